"""Refresh tokens that are good for one use: the newest is on the disk before anything is done with it.

    tokens/MARK.json   the newest refresh token of one grant, and the access token that came with it
    tokens/MARK.lock   held by the one process that refreshes

A grant is known by the token the user wrote down and by its client; writing down a new one begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

from daemon.places.durable import write_synced
from daemon.places.holders import holder_of
from daemon.signin.credentials import REFRESH_AHEAD_S, Grant
from mountfs.errors import NotSignedIn, Transient, Unreachable
from mountfs.model.entry import NS_PER_S
from mountfs.ports import Clock

GRACE_S = 3.0
"""So long an exchange may go on when the mount ends: its token is spent, and the reply has the next one."""
PATIENCE_S = 60.0
"""So long another process that refreshes is waited for: as long as a service that is silent."""
STOPPING = "no token: the mount is being stopped"
LOOK_S = 0.1
"""Between two looks whether it still does; flock(2) itself waits for ever."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a refresh token was exchanged for."""

    access_token: str
    expires_in_s: float
    refresh_token: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The content of the file."""

    access_token: str
    expires_ns: int
    refresh_token: str


class TokenStore:
    """Rotating tokens of one grant, shared by all processes of this machine.

    *exchange* spends a refresh token at the service; it is called with the newest one alone, by one
    process at a time. It raises NotSignedIn or Transient.
    """

    def __init__(
        self,
        directory: Path,
        client_id: str,
        first_token: str,
        exchange: Callable[[str], Exchanged],
        clock: Clock,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        """*end*: cuts an exchange that runs."""
        mark = hashlib.sha256(f"{client_id}\n{first_token}".encode()).hexdigest()[:32]
        self._directory = directory
        self._file = directory / f"{mark}.json"
        self._lock_file = directory / f"{mark}.lock"
        self._first_token = first_token
        self._exchange = exchange
        self._clock = clock
        self._end = end
        self._ends = Event()
        self._is_idle = Event()
        self._is_idle.set()
        self._given: str | None = None
        self._unsaved: _Kept | None = None
        """Exchanged, but the disk did not take it: nothing else has it, and the one before is spent."""

    def refresh(self) -> Grant:
        """An access token other than the one given last: another process's, or exchanged now.

        One caller at a time. NotSignedIn; Transient, also when the disk does not take the new token.
        """
        try:
            with self._locked():
                kept = self._newest()
        except OSError as error:
            raise Transient(f"the refresh token cannot be stored: {error.strerror}") from error
        self._given = kept.access_token
        return Grant(kept.access_token, (kept.expires_ns - self._clock.wall_ns()) / NS_PER_S)

    def retire(self, revoke: Callable[[str], None]) -> None:
        """*revoke* gets each token of the grant that is still good, the refresh token last. Then what is kept
        of it is removed, also when the service knows none of them any more: NotSignedIn. Raises what else
        *revoke* does; Transient when another process does not let go."""
        with self._locked():
            try:
                kept = self._read()
            except NotSignedIn:
                self._file.unlink(missing_ok=True)
                raise
            tokens = [self._first_token] if kept is None else [kept.access_token, kept.refresh_token]
            unknown = [refused for token in tokens if (refused := _refusal(revoke, token)) is not None]
            self._file.unlink(missing_ok=True)
            if len(unknown) == len(tokens):
                raise unknown[-1]

    def close(self) -> None:
        """The mount ends: an exchange that runs has a moment to be stored, and no other one begins."""
        self._ends.set()
        self._is_idle.wait(GRACE_S)
        self._end()

    def _newest(self) -> _Kept:
        kept = self._read()
        if self._unsaved is not None:
            self._save(self._unsaved)
            kept, self._unsaved = self._unsaved, None
        if kept is not None and kept.access_token != self._given and self._is_good(kept):
            return kept
        exchanged = self._exchange(self._first_token if kept is None else kept.refresh_token)
        expires_ns = self._clock.wall_ns() + round(exchanged.expires_in_s * NS_PER_S)
        self._unsaved = _Kept(exchanged.access_token, expires_ns, exchanged.refresh_token)
        self._save(self._unsaved)
        kept, self._unsaved = self._unsaved, None
        return kept

    def _is_good(self, kept: _Kept) -> bool:
        return (kept.expires_ns - self._clock.wall_ns()) / NS_PER_S > REFRESH_AHEAD_S

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Waits for the process that refreshes; the system ends the lock with the process."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(fd)
            self._is_idle.clear()
            if self._ends.is_set():
                raise Unreachable(STOPPING)
            yield
        finally:
            os.close(fd)
            self._is_idle.set()

    def _take(self, fd: int) -> None:
        for _ in range(math.ceil(PATIENCE_S / LOOK_S)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._ends.wait(LOOK_S):
                    raise Unreachable(STOPPING) from None
            else:
                return
        raise Unreachable(f"no token: another mountfs{holder_of(fd)} refreshes the token, and does not end")

    def _read(self) -> _Kept | None:
        """None where nothing was stored yet. NotSignedIn for a file that cannot be understood: to present the
        token before it instead could have the whole grant revoked. OSError."""
        try:
            fd = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise NotSignedIn(
                    f"{self._file} belongs to another user, or others may read it; remove it first"
                )
            text = file.read()
        try:
            kept = json.loads(text)
            return _Kept(str(kept["access_token"]), int(kept["expires_ns"]), str(kept["refresh_token"]))
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            raise NotSignedIn(f"{self._file} is damaged") from None

    def _save(self, kept: _Kept) -> None:
        """Whole, for this user alone, and on the disk when it returns; or not at all. OSError."""
        write_synced(self._file, json.dumps(asdict(kept)))


def _refusal(revoke: Callable[[str], None], token: str) -> NotSignedIn | None:
    try:
        revoke(token)
    except NotSignedIn as error:
        return error
    return None
