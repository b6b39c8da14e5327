"""Messages of the control socket by which a person slows a mount down, or has it go on."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.model.rates import SLOWEST_BYTES_S, Rates


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


@dataclass(frozen=True, slots=True)
class Steered:
    """It is so from here on."""


def wrong_with(message: object) -> str:
    """What a request of these says that makes no sense; "": nothing."""
    if not isinstance(getattr(message, "is_held", False), bool):
        return "is_held must be true or false"
    rates = (getattr(message, name, None) for name in ("up_bytes_s", "down_bytes_s"))
    if not all(map(_is_rate, rates)):
        return f"a rate must be a whole number from {SLOWEST_BYTES_S} on, or null"
    return ""


def _is_rate(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and SLOWEST_BYTES_S <= value < 1 << 50
