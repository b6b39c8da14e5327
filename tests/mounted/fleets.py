"""Mounts as if on machines of their own, that share one account through a Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess

LEASE_S = 4.0
"""As short as a busy machine allows: tests wait for it."""


class Machine(RealMount):
    """One with a state directory of its own, in the fleet of *url*; "" is no fleet."""

    def __init__(self, folder: Path, far_side: SandboxProcess, url: str, name: str, **given: Any) -> None:
        home = folder / name
        home.mkdir(parents=True)
        fallback = given.pop("fallback", "wait")
        super().__init__(home, far_side, **given)
        self.name = name
        if url:
            lines = [f'url = "{url}"', f'name = "{name}"', f"lease = {LEASE_S}", f'fallback = "{fallback}"']
            with self.config.open("a") as config:
                config.write("\n".join(["", "[fleet]", *lines, ""]))
