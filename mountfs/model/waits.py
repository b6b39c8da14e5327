"""How long a program waits for a service that says when to ask again, and what ends all such waits."""

from __future__ import annotations

from typing import Protocol

PATIENCE_S = 60.0
"""As long as for one that is silent."""
SHORTEST_WAIT_S = 0.25
"""Also where the service says "at once": nothing must ask as fast as it can for a minute."""


class Ending(Protocol):
    """What ends all waits once it is set: a ``threading.Event``."""

    def set(self) -> None: ...

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...
