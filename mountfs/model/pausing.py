"""When nothing more fits into an account: uploads pause as a whole, and go on when there is room.

A full account would refuse every file that is sent, so that asking file by file only costs calls. Removals,
renames and new folders go on meanwhile: they are what makes room.

Where the account has room, and a file is refused all the same, it is another's room that is short: what
stands in a folder that somebody else shares counts for its owner (Box). Such a file waits by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mountfs.errors import DiskFull, MountfsError, NoSpace, NotSignedIn, TransferLimit, Transient
from mountfs.model.pacing import ALONE, Pace, grown_s

FIRST_PROBE_S = 5.0
"""Somebody who frees space at the service looks here next."""
LONGEST_PROBE_S = 300.0
"""Twelve calls an hour disturb nobody; an upgrade or a clean-up takes longer than five minutes."""
PROBES_OF_ROOM = Pace(FIRST_PROBE_S, LONGEST_PROBE_S)
HURRIED_PROBE_S = 1.0
"""Between two questions while removals take effect: `rm -r` of a thousand files makes room bit by bit."""
ROOM_HOLDS_S = 60.0
"""So long an answer that there is room counts. Others fill the account, or its figures lag behind."""
TRY_EVERY = 4
"""At each such probe something is tried although the room is less than what was refused: smaller files may
wait behind a large one."""


def is_full(error: object) -> bool:
    """Whether the service refuses a file because of the account's state, and every other file with it."""
    return isinstance(error, NoSpace | TransferLimit) and not isinstance(error, DiskFull)


def is_passing(error: object) -> bool:
    """Whether the same may be sent again, as it is, once the trouble is over: that of the service, the
    account or this machine, whatever is sent."""
    return isinstance(error, Transient | NotSignedIn) or is_full(error)


class Pause:
    """The one pause of an account's uploads; guarded by the account's lock. ``changed`` is set by the
    assembly and called, under that lock, when a pause begins or ends."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.error: MountfsError | None = None
        """Why uploads pause; None while they do not."""
        self.needed_bytes = 0
        """The smallest file that was refused since it began."""
        self.due_s = math.inf
        """When the service is asked again."""
        self.limit: MountfsError | None = None
        """Why no call is left until the month ends; None: there are some."""
        self.is_held = False
        """Whether a person has stopped all that is sent, whatever there is room for."""
        self._began_s = -math.inf
        self._probed_s = -math.inf
        self._room_bytes: float = 0
        """What the account had room for when it was asked last, and until when that counts."""
        self._room_until_s = -math.inf
        self._elsewhere: MountfsError | None = None
        self._elsewhere_until_s = -math.inf
        self._vain = 0
        """Probes, and attempts after a pause, that found no room, in a row."""

    @property
    def is_on(self) -> bool:
        return self.error is not None

    @property
    def stops_files(self) -> bool:
        """Whether no file is sent or committed, because there is no room, or no call left this month."""
        return self.is_on or self.limit is not None

    @property
    def stops_uploads(self) -> bool:
        return self.stops_files or self.is_held

    def bound(self, error: MountfsError | None) -> None:
        """The calls of the month are used up, as *error* says; None: there are some."""
        had, self.limit = self.limit, None if error is None else error.bare()
        if (had is None) is not (error is None):
            self.changed()

    def elsewhere(self, now_s: float) -> MountfsError | None:
        """What a file was refused by though the account has room: nobody here can tell when that is over."""
        return self._elsewhere if now_s < self._elsewhere_until_s else None

    def hold(self, is_held: bool) -> None:
        """A person wants nothing to be sent, or wants that no longer."""
        if is_held is not self.is_held:
            self.is_held = is_held
            self.changed()

    def begin(self, error: MountfsError, size_bytes: int, *, started_s: float, now_s: float) -> bool:
        """A file of *size_bytes*, sent at *started_s*, was refused. Files refused side by side count as
        one refusal. False: it is no matter of the account, which was just found to have room for it."""
        if self.is_on:
            self.needed_bytes = min(self.needed_bytes, size_bytes)
            return True
        if isinstance(error, NoSpace) and now_s < self._room_until_s and size_bytes <= self._room_bytes:
            self._vain = 0
            self._elsewhere, self._elsewhere_until_s = error.bare(), now_s + 2 * ALONE.longest_s
            return False
        self._vain += started_s >= self._began_s
        self._began_s = now_s
        self.error, self.needed_bytes = error.bare(), size_bytes
        self.due_s = now_s + self._delay_s()
        self.changed()
        return True

    def probed(self, free_bytes: int | None, now_s: float) -> None:
        """The service was asked: it has room for *free_bytes*; None: it has no limit, or does not tell."""
        self._probed_s = now_s
        if not self.is_on:
            return
        if isinstance(self.error, NoSpace):
            self._room_bytes = math.inf if free_bytes is None else free_bytes
            self._room_until_s = now_s + ROOM_HOLDS_S
        is_tried = bool(free_bytes) and self._vain % TRY_EVERY == 0
        if free_bytes is None or free_bytes >= max(1, self.needed_bytes) or is_tried:
            self.end()
        else:
            self.postpone(now_s)

    def postpone(self, now_s: float) -> None:
        """The service could not be asked, or has no room yet."""
        self._vain += 1
        self._probed_s = now_s
        self.due_s = now_s + self._delay_s()

    def hurry(self, now_s: float) -> None:
        """Something may have made room: the service is asked now, or soon if it was asked just now."""
        if not self.is_on:
            return
        self._vain = 1
        due_s = max(now_s, self._probed_s + HURRIED_PROBE_S)
        if due_s < self.due_s:
            self.due_s = due_s
            self.changed()

    def end(self) -> None:
        """Uploads go on."""
        if self.is_on:
            self.error, self.due_s = None, math.inf
            self.changed()

    def succeeded(self) -> None:
        """A file was taken: the next refusal is the first one again."""
        if not self.is_on:
            self._vain = 0

    def _delay_s(self) -> float:
        return grown_s(self._vain, PROBES_OF_ROOM)
