"""When the entries of folders last changed, until their rows say so."""

from __future__ import annotations

from mountfs.ports import Clock
from mountfs.tree.node import Node


class FolderTimes:
    """Under the tree's lock. A row of the folder with each file that is made in it would double what that
    costs, so the rows are written a second later (``attributing.save_folder_times``); a kill takes that
    second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.changed: dict[int, int] = {}
        """Wall clock in ns by the folder's id."""

    def note(self, before: Node | None, after: Node | None) -> None:
        """An entry left the folder *before* and came into *after*. Folders that are just being listed for the
        first time have not changed."""
        for folder in (before, after):
            if folder is not None and (folder.part.listing.listed_at or folder.state.base is None):
                self.changed[folder.id] = self._clock.wall_ns()

    def of(self, folder: Node) -> int | None:
        """When its entries last changed; None: its state says it."""
        return self.changed.get(folder.id)

    def forget(self, folder: Node) -> None:
        """*folder* was given a time, by touch(1) for instance: that one counts."""
        self.changed.pop(folder.id, None)

    def saved(self, changed: dict[int, int]) -> None:
        """The rows of these folders have the times *changed*. A folder that changed once more since then
        stays noted."""
        for folder_id, mtime_ns in changed.items():
            if self.changed.get(folder_id) == mtime_ns:
                del self.changed[folder_id]
