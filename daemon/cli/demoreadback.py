"""What the demonstration's account holds, as another client sees it: one that the sandbox brings along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.failure import Failure


@dataclass(frozen=True, slots=True)
class ReadBack:
    """For each path of a file: the hash that the service states, and that of the bytes it delivers."""

    stated: Mapping[str, str]
    delivered: Mapping[str, str]


def read_back(service: str, url: str, token: str) -> ReadBack:
    """All files of the stand-in at *url*. Failure."""
    # The token goes by the environment: a command line can be read by every user of the machine.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cloudsandbox.readback", service, url],
        env={**os.environ, "CLOUDSANDBOX_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise Failure(lines[-1].removeprefix("cloudsandbox: "))
    files = json.loads(done.stdout)
    return ReadBack(
        {path: file["stated"] for path, file in files.items()},
        {path: file["delivered"] for path, file in files.items()},
    )
