"""How much may be pending on the local disk: go on, slow down, or no space."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.errors import DiskFull

MIB = 1024 * 1024

RESERVE_BYTES = 256 * MIB
"""Left free for others on the disk. The journal and its log stay below 100 MiB, logs and package
updates of the machine want the rest; ext4 and btrfs also slow down sharply on their last percents."""

SLOW_ZONE_BYTES = 256 * MIB
"""Writers are slowed once less room than this is left: a minute and a half of warning at the pace below."""

SLOWEST_S_PER_MIB = 1.0
"""The pace just before the end: 1 MiB/s, below any line worth mounting over, so that uploads catch up."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The rule of one spool: at most *limit_bytes* pending, and *reserve_bytes* free on the disk."""

    limit_bytes: int | None = None
    reserve_bytes: int = RESERVE_BYTES

    def room_bytes(self, pending_bytes: int, free_bytes: int) -> int:
        """How much more may be written; negative when there is too much already."""
        room = free_bytes - self.reserve_bytes
        return room if self.limit_bytes is None else min(room, self.limit_bytes - pending_bytes)

    def slow_zone_bytes(self) -> int:
        """Below this much room a writer is slowed: a quarter of a small limit."""
        return SLOW_ZONE_BYTES if self.limit_bytes is None else min(SLOW_ZONE_BYTES, self.limit_bytes // 4)

    def spare_bytes(self) -> int:
        """With so much of the disk free nobody is slowed for its sake."""
        return self.reserve_bytes + self.slow_zone_bytes()

    def may_write(self, pending_bytes: int, free_bytes: int) -> float:
        """Seconds that each further MiB must take: 0 for full speed. NoSpace when there is no room.

        The pace falls with the square of what is used of the zone: hardly felt at first, and with
        uploads going on it settles where both are equally fast, long before the end.
        """
        room = self.room_bytes(pending_bytes, free_bytes)
        if room <= 0:
            raise DiskFull(self._why(pending_bytes, free_bytes))
        zone = self.slow_zone_bytes()
        if room >= zone:
            return 0.0
        return SLOWEST_S_PER_MIB * (1.0 - room / zone) ** 2

    def _why(self, pending_bytes: int, free_bytes: int) -> str:
        if self.limit_bytes is not None and pending_bytes >= self.limit_bytes:
            return (
                f"{pending_bytes // MIB} MiB wait for upload, the limit is {self.limit_bytes // MIB} MiB: "
                "wait for uploads, or raise the limit"
            )
        return (
            f"the disk that keeps pending files has {free_bytes // MIB} MiB free, "
            f"{self.reserve_bytes // MIB} MiB stay reserved: free some space"
        )
