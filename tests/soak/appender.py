"""A writer that keeps its file open, as a daemon does its log, and syncs what must not be lost."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from random import Random

from tests.soak.figures import Figures
from tests.soak.station import Station
from tests.soak.trees import copy_of

MOST_BYTES = 100_000
RECORDS = 8
PAUSE_S = 0.3


class Appender:
    """One thread calls ``turn``."""

    def __init__(self, station: Station, draw: Random, figures: Figures) -> None:
        self.name = f"{station.name}-log"
        self.folder = station.mount.path / self.name
        self.body = b""
        """What the log holds."""
        self.number = 0
        self._station = station
        self._draw = draw
        self._figures = figures

    @property
    def path(self) -> Path:
        return self.folder / f"log{self.number}"

    def begin(self) -> None:
        self.folder.mkdir()
        self._new()

    def turn(self) -> None:
        """Opens the log, appends records, closes it; looks for what was safe if any of that failed."""
        if len(self.body) > MOST_BYTES:
            self._new()
        deaths = self._station.deaths
        safe = whole = self.body
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                for _ in range(RECORDS):
                    record = self._draw.randbytes(self._draw.randrange(20, 3000))
                    whole += record
                    if os.write(fd, record) < len(record):
                        raise OSError(errno.ENOSPC, "a part of it was written")
                    if self._draw.random() < 0.5:
                        os.fsync(fd)
                        safe = whole
                        self._figures.count("done", "fsync")
                    time.sleep(self._draw.random() * PAUSE_S)
            finally:
                os.close(fd)
        except OSError as error:
            self._figures.tell(f"{self.name} FAILED {self.path.name}: {error}")
            assert self._station.excuses(error, deaths), f"{self.name}: {error}"
            self._figures.count("failed", "log")
            self._look_for(safe, whole)
            self._new()
        else:
            self.body = whole
            self._figures.count("done", "log")

    def check(self) -> None:
        found: list[bytes] = []
        self._station.again(lambda: found.append(self.path.read_bytes()), f"{self.name}: the log is read")
        assert found[-1] == self.body, f"{self.name}: {len(found[-1])} bytes of {len(self.body)}"

    def _look_for(self, safe: bytes, whole: bytes) -> None:
        """What was closed is in the log, what was synced there or in a recovered copy of it."""
        bodies: dict[str, bytes] = {}

        def read() -> None:
            for path in self.folder.iterdir():
                bodies[path.name] = path.read_bytes()

        self._station.again(read, f"{self.name}: the log is read after a failure")
        log = self.path.name
        ours = {
            name: body
            for name, body in bodies.items()
            if name == log or ((copy := copy_of(name)) is not None and copy.original == log)
        }
        shown = {name: len(body) for name, body in bodies.items()}
        assert bodies.get(log, b"").startswith(self.body), f"{self.name}: {log} had {len(self.body)}: {shown}"
        assert any(body.startswith(safe) for body in ours.values()), f"{self.name}: {len(safe)} of {shown}"
        assert all(whole.startswith(body) for body in ours.values()), f"{self.name}: torn: {shown}"
        self._figures.count("seen", "recovered copies", len(ours) - 1)

    def _new(self) -> None:
        """Removes the log and what lies beside it, and begins another one."""

        def do() -> None:
            for path in self.folder.iterdir():
                path.unlink()
            with self.path.open("wb", buffering=0) as file:
                file.write(self.body)

        self.number += 1
        self.body = self._draw.randbytes(50)
        self._station.again(do, f"{self.name}: a new log is made")
