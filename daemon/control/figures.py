"""What a mount has counted since its process began, for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figures:
    """``outcomes``: requests by route and by what came of them (``2xx``, ``4xx``, ``stale-token``,
    ``429``, ``5xx``, ``offline``). ``latencies``: by call of the kernel, how many took up to each of
    ``bounds_s`` and no less than the one before, the last ones longer than all, and the seconds of all
    together. ``batches``: by kind and entries, how many were launched. ``sent_bytes`` and
    ``received_bytes``: of bodies."""

    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    bounds_s: tuple[float, ...] = ()
    latencies: Mapping[str, tuple[tuple[int, ...], float]] = field(default_factory=dict)
    batches: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    sent_bytes: int = 0
    received_bytes: int = 0
    committed: int = 0
