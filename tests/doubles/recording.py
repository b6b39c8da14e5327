"""An account in memory that remembers every version it was ever given."""

from __future__ import annotations

from mountfs.model.entry import File, Place
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MemoryAccount


class RecordingAccount(MemoryAccount):
    """``given`` has the bytes of every version that anybody made, in order."""

    def __init__(self, limits: BackendLimits) -> None:
        super().__init__(limits)
        self.given: list[bytes] = []
        overwrite = self.tree.overwrite

        def recording(place: Place, body: bytes, mtime_ns: int, *, makes_parents: bool = True) -> File:
            self.given.append(body)
            return overwrite(place, body, mtime_ns, makes_parents=makes_parents)

        self.tree.overwrite = recording  # type: ignore[method-assign]
