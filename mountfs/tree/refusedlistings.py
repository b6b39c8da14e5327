"""The log's lines about folders that the service refuses to list."""

from __future__ import annotations

from collections import OrderedDict

from mountfs.errors import MountfsError, NotADirectory, NotFound, NotSignedIn, Refused, ShuttingDown
from mountfs.model.logevent import LogEvent
from mountfs.tree.node import ROOT_ID

MOST_LINES = 10
"""In PERIOD_S: ``find`` in a tree where the account may list nothing is no reason for a line a folder."""
PERIOD_S = 60.0
MOST_KNOWN = 1000
"""Folders of which is known why they were refused the last time."""


class RefusedListings:
    """Decides which refusals get a line: the first one of a folder, and later ones if the reason is another,
    or if the folder was listed in between. Its owner locks, and writes the lines without the lock."""

    __slots__ = ("_known", "_lines", "_since_s", "_untold")

    def __init__(self) -> None:
        self._known: OrderedDict[int, str] = OrderedDict()
        """Reasons by the id of the folder."""
        self._since_s = float("-inf")
        self._lines = 0
        self._untold = 0

    def refused(self, folder_id: int, path: str, error: MountfsError, now_s: float) -> LogEvent | None:
        """The line about the folder at *path*, which was not listed because of *error*; None: it gets none,
        or *error* is no refusal."""
        if not _is_refusal(folder_id, error) or self._known.get(folder_id) == str(error):
            return None
        if now_s - self._since_s >= PERIOD_S:
            self._since_s, self._lines = now_s, 0
        if self._lines == MOST_LINES:
            self._untold += 1
            return None
        self._lines += 1
        self._known[folder_id] = str(error)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        untold, self._untold = self._untold, 0
        return LogEvent("listing-refused", path=path, reason=error, untold=untold)

    def why(self, folder_id: int) -> str:
        """Why the folder is not listed; "": it is, or nobody has looked."""
        return self._known.get(folder_id, "")

    def listed(self, folder_id: int) -> None:
        """The service has listed the folder."""
        self._known.pop(folder_id, None)


def _is_refusal(folder_id: int, error: MountfsError) -> bool:
    """Whether the service has the folder and does not show it. Credentials that it refuses are a trouble of
    their own, and a folder that is gone is no trouble, unless it is the one that is mounted."""
    if isinstance(error, NotFound | NotADirectory):
        return folder_id == ROOT_ID
    return isinstance(error, Refused) and not isinstance(error, NotSignedIn | ShuttingDown)
