"""Messages of the control socket by which a person slows a mount down, or has it go on."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.model.rates import SLOWEST_BYTES_S, Rates

WRONG_RATE = f"a rate must be a whole number from {SLOWEST_BYTES_S} on, or null"


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Asks to send nothing more, or to go on; answered by Steered."""

    is_held: bool


@dataclass(frozen=True, slots=True)
class RatesRequest:
    """Asks to keep bytes to so many a second, None: to no bound; answered by Steered."""

    up_bytes_s: int | None = None
    down_bytes_s: int | None = None

    @property
    def rates(self) -> Rates:
        return Rates(self.up_bytes_s, self.down_bytes_s)

    @property
    def is_possible(self) -> bool:
        given = (each for each in (self.up_bytes_s, self.down_bytes_s) if each is not None)
        return all(SLOWEST_BYTES_S <= each < 1 << 50 for each in given)


@dataclass(frozen=True, slots=True)
class Steered:
    """It is so from here on."""
