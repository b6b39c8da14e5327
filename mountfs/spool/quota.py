"""How much of the local disk pending bytes may take: go on, slow down, or no space."""

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
    """The rule of one spool: *reserve_bytes* of its disk stay free."""

    reserve_bytes: int = RESERVE_BYTES

    def spare_bytes(self) -> int:
        """With so much of the disk free nobody is slowed for its sake."""
        return self.reserve_bytes + SLOW_ZONE_BYTES

    def check_fits(self, growth_bytes: int, free_bytes: int) -> None:
        """DiskFull where *growth_bytes* do not fit into *free_bytes* beside the reserve."""
        room_bytes = free_bytes - self.reserve_bytes
        if room_bytes < growth_bytes:
            raise DiskFull(
                f"{growth_bytes // MIB} MiB more have to fit on the disk that keeps pending files, "
                f"which has room for {max(0, room_bytes) // MIB} MiB: free some space"
            )

    def may_write(self, free_bytes: int) -> float:
        """Seconds that each further MiB must take with *free_bytes* free: 0 for full speed. DiskFull when
        there is no room.

        The pace falls with the square of what is used of the zone: hardly felt at first, and with
        uploads going on it settles where both are equally fast, long before the end.
        """
        room_bytes = free_bytes - self.reserve_bytes
        if room_bytes <= 0:
            raise DiskFull(
                f"the disk that keeps pending files has {free_bytes // MIB} MiB free, "
                f"{self.reserve_bytes // MIB} MiB stay reserved: free some space"
            )
        if room_bytes >= SLOW_ZONE_BYTES:
            return 0.0
        return SLOWEST_S_PER_MIB * (1.0 - room_bytes / SLOW_ZONE_BYTES) ** 2
