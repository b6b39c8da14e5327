"""How fast bytes may travel."""

from __future__ import annotations

from dataclasses import dataclass

SLOWEST_BYTES_S = 16 * 1024
"""Below that, parts of a large file would take longer than a service waits for a request."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes a second of one mount, up to the service and down from it; None: as fast as the line is."""

    up_bytes_s: int | None = None
    down_bytes_s: int | None = None

    def __str__(self) -> str:
        """As the option has it: ``2M:off``."""
        if self.down_bytes_s is None:
            return _in_units(self.up_bytes_s)
        return f"{_in_units(self.up_bytes_s)}:{_in_units(self.down_bytes_s)}"


def _in_units(bytes_s: int | None) -> str:
    if bytes_s is None:
        return "off"
    for unit, size in (("G", 1024**3), ("M", 1024**2), ("K", 1024)):
        if bytes_s % size == 0:
            return f"{bytes_s // size}{unit}"
    return str(bytes_s)


UNLIMITED = Rates()
