"""The log's lines about folders that the service refuses to list."""

from __future__ import annotations

import logging
from collections import OrderedDict

from mountfs.errors import MountfsError, NotADirectory, NotFound, NotSignedIn, Refused, ShuttingDown
from mountfs.model.logevent import LogEvent
from mountfs.tree.node import ROOT_ID

LOG = logging.getLogger(__name__)

MOST_LINES = 10
"""In PERIOD_S: ``find`` in a tree where the account may list nothing is no reason for a line a folder."""
PERIOD_S = 60.0
MOST_KNOWN = 1000
"""Folders of which is known why they were refused the last time."""


class RefusedListings:
    """A folder is told of once, and again when the reason changes or it was listed meanwhile. Its owner
    locks."""

    __slots__ = ("_known", "_lines", "_since_s", "_untold")

    def __init__(self) -> None:
        self._known: OrderedDict[int, str] = OrderedDict()
        """Reasons by the id of the folder."""
        self._since_s = float("-inf")
        self._lines = 0
        self._untold = 0

    def refused(self, folder_id: int, path: str, error: MountfsError, now_s: float) -> None:
        """*error* is why the folder was not listed; of failures that are no refusal nothing is told."""
        if not _is_refusal(folder_id, error) or self._known.get(folder_id) == str(error):
            return
        if now_s - self._since_s >= PERIOD_S:
            self._since_s, self._lines = now_s, 0
        if self._lines == MOST_LINES:
            self._untold += 1
            return
        self._lines += 1
        self._known[folder_id] = str(error)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        LOG.warning(LogEvent("listing-refused", path=path, reason=error, untold=self._untold))
        self._untold = 0

    def listed(self, folder_id: int) -> None:
        """The service has listed the folder."""
        self._known.pop(folder_id, None)


def _is_refusal(folder_id: int, error: MountfsError) -> bool:
    """Whether the service has the folder and does not show it. Credentials that it refuses are a trouble of
    their own, and a folder that is gone is no trouble, unless it is the one that is mounted."""
    if isinstance(error, NotFound | NotADirectory):
        return folder_id == ROOT_ID
    return isinstance(error, Refused) and not isinstance(error, NotSignedIn | ShuttingDown)
