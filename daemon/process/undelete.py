"""``mountfs undelete``: what was removed at a path is there again, wherever its removal had got to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from daemon.commit.verdicts import leaves_open
from daemon.control.account import GoesOn
from daemon.control.status import plural
from daemon.core import Core
from mountfs.errors import AlreadyExists, Busy, InvalidArgument, MountfsError, NotFound, Refused, Transient
from mountfs.model.path import RemotePath, fold
from mountfs.model.undeleted import Removed
from mountfs.tree.broughtback import BroughtBack
from mountfs.tree.discard import Discard
from mountfs.tree.node import Node
from mountfs.tree.place import place_in

WAIT_S, LOOK_S = 60.0, 0.5
"""So long removals that are being sent are waited for, and so often who asked is looked after."""
AT_ONCE = 8
"""Files and folders that one call brings back: between two calls it is looked whether anybody still waits."""
BEING_REMOVED = "it is still being removed: try again when mountfs wait has returned"


class Undelete:
    """Any thread. Paths are relative to the top of the mount.

    ``rm f``, not sent yet      is taken back; nothing is asked of the service
    ``rm f``, being sent        is waited for; also where it was given up and may still arrive
    ``rm f``, landed            the service brings f back
    ``rm -r d``                 each of it as it is, and then what the service removed within the last minute
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._discard = Discard(core.tree, core.listings, core.copies)

    def run(self, path: RemotePath, goes_on: GoesOn) -> Iterator[str]:
        if path.is_root:
            raise InvalidArgument("name what was removed")
        folder, ours, stands = self._there(path)
        if ours is not None and ours.state.parent is not None and ours is not stands:
            raise Busy("it is still being renamed: try again when mountfs wait has returned")
        taken = 0
        if ours is not None:
            taken = self._take_back(ours, goes_on)
            folder, ours, stands = self._there(path)
        if ours is not None and ours is not stands:
            raise Busy(BEING_REMOVED)
        if taken and stands is not None and not stands.is_folder:
            yield "it is back: its removal was not sent yet"
            return
        try:
            headway = self._bring_back(folder, path, stands, goes_on, is_recent=bool(taken))
        except (AlreadyExists, Transient) as error:
            if not taken or stands is None:
                raise
            why = (
                "" if isinstance(error, AlreadyExists) else f"; what the service removed stays away: {error}"
            )
            yield f"it is back: {_unsent(taken)}{why}"
            return
        yield _told(headway, taken)

    def _there(self, path: RemotePath) -> tuple[Node, Node | None, Node | None]:
        """The folder of *path*; what the service has there, as far as is known, and what the mount shows."""
        core = self._core
        try:
            folder, shown = core.listings.loaded(lambda: core.view.folder(path.parent.components))
        except NotFound:
            missing = self._missing_above(path) or path.parent
            raise NotFound(f"{missing} is not there: bring that back first") from None
        with core.tree.lock:
            ours = core.tree.base_child(folder, fold(path.name))
            stands = shown.get(fold(path.name))
        if stands is not None and stands is not ours:
            raise AlreadyExists("what stands there is not sent yet: give it another name first")
        return folder, ours, stands

    def _missing_above(self, path: RemotePath) -> RemotePath | None:
        """The topmost folder on the way to *path* that is not there: what is below it comes back with it."""
        for above in reversed(list(path.ancestors())):
            try:
                self._core.view.stat(above.components)
            except NotFound:
                return above
        return None

    def _take_back(self, top: Node, goes_on: GoesOn) -> int:
        """How many removals at or below *top* were not sent yet, and are taken back. Those that are being
        sent have landed by then. Busy."""
        removed, count = self._discard.removals(top), 0
        until_s = self._core.clock.now_s() + WAIT_S
        while removed:
            told = self._discard.take_back(removed)
            count += told.count
            # What was on its way then may wait for another try by now, and is not to be sent again.
            removed = list(told.under_way)
            if removed:
                if self._core.clock.now_s() >= until_s or not goes_on(0, 0):
                    raise Busy(BEING_REMOVED)
                self._core.waiting.wait(LOOK_S)
        return count

    def _bring_back(
        self, folder: Node, path: RemotePath, stands: Node | None, goes_on: GoesOn, *, is_recent: bool
    ) -> Headway:
        """At the service."""
        core = self._core
        with core.tree.lock:
            place = place_in(folder, path.name)
        back = BroughtBack(core.tree, core.listings, folder)
        try:
            undeleted = core.backend.undelete(place, is_recent=is_recent)
        except MountfsError as error:
            is_there = core.listings.try_relist(folder) and self._is_there(path)
            # What stood there before tells nothing: it may be a folder, whose rest was to come back.
            if stands is not None or not leaves_open(error) or not is_there:
                raise
            return Headway(1, goes_on)
        headway = Headway(len(undeleted.rest) + undeleted.is_back, goes_on)
        headway.done += undeleted.is_back
        is_shown = undeleted.entry is not None and back.show(undeleted.entry)
        try:
            self._bring_back_rest(undeleted.rest, headway)
            if undeleted.entry is None:
                back = BroughtBack(core.tree, core.listings, folder)
                is_shown = back.show(core.backend.stat(place))
        except MountfsError as error:
            raise headway.cut_short(error) from error
        finally:
            if not is_shown:
                core.listings.try_relist(folder)
            back.doubt_below(path.name)
        return headway

    def _bring_back_rest(self, rest: Sequence[Removed], headway: Headway) -> None:
        away: set[str] = set()
        for start in range(0, len(rest), AT_ONCE):
            headway.check()
            part = rest[start : start + AT_ONCE]
            asked = [each for each in part if each.folder_id not in away]
            away.update(each.id for each in part if each.folder_id in away)
            headway.left += len(part) - len(asked)
            for each, is_back in zip(asked, self._core.backend.bring_back(asked), strict=False):
                if isinstance(is_back, MountfsError):
                    raise is_back
                headway.done += is_back
                headway.left += not is_back
                if not is_back:
                    away.add(each.id)

    def _is_there(self, path: RemotePath) -> bool:
        with suppress(MountfsError):
            return self._core.view.stat(path.components).state.base is not None
        return False


class Headway:
    """How many files and folders are back, of how many, and how many stay away."""

    def __init__(self, total: int, goes_on: GoesOn) -> None:
        self.done = self.left = 0
        self._total = total
        self._goes_on = goes_on

    def check(self) -> None:
        """Refused: nobody waits for it any more."""
        if not self._goes_on(self.done + self.left, self._total):
            raise Refused("it was ended")

    def cut_short(self, error: MountfsError) -> MountfsError:
        """*error*, which ended it, saying how many came back before."""
        came = f"{self.done} of {self._total} files and folders came back"
        told = f"{error}; {came}: undelete it once more for the others"
        if isinstance(error, Transient):
            return Transient(told, error.retry_after_s)  # what stands there by now does not tell
        error.args = (told,)
        return error


def _unsent(taken: int) -> str:
    return f"{plural(taken, 'removal')} {'was' if taken == 1 else 'were'} not sent yet"


def _told(headway: Headway, taken: int) -> str:
    many = f": {headway.done} files and folders" if headway.done > 1 else ""
    if taken:
        many = f": {_unsent(taken)}, and {headway.done} had been removed"
    away = f"{headway.left} more {'stays' if headway.left == 1 else 'stay'} away"
    left = f"; {away}, for something else stands there, or nothing is kept" if headway.left else ""
    return f"it is back{many}{left}"
