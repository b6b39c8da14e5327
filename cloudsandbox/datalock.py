"""Whose a data directory is: of one process at a time, and always of the same service."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "service"
"""Locked while a process has the directory; holds the name of the service whose account it is."""
PATIENCE_S = 5.0
"""A sandbox whose parent was killed is given so long to end."""
LOOK_EVERY_S = 0.05


class DataError(Exception):
    """The directory is not to be had; the text names it and says why."""


@contextmanager
def held(data: Path, service: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Has the directory to itself within the block. Raises DataError or OSError.

    Two processes on one account would each write over what the other one has changed.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / FILE).open("a+", encoding="utf-8") as file:
        end_s = time.monotonic() + patience_s
        while not _is_taken(file.fileno()):
            if time.monotonic() >= end_s:
                raise DataError(f"{data}: another sandbox keeps its account there")
            time.sleep(LOOK_EVERY_S)
        file.seek(0)
        owner = file.read().strip()
        if owner not in ("", service):
            raise DataError(f"{data}: keeps an account of {owner}, not of {service}")
        if not owner:
            file.write(f"{service}\n")
            file.flush()
        yield


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
