"""A writer in the folder that the writers of the other mount write to as well."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from random import Random

from mountfs.model.hashing import HashKind, content_hash
from tests.soak.claims import Claim
from tests.soak.figures import Figures
from tests.soak.station import Station
from tests.soak.trees import copy_of

FOLDER = "shared"
NAMES = 4
ROUND_S = 15.0
"""So long all write to the same few names; then to others: a service lists the end of a long history only."""
MOST_BYTES = 60_000
"""One call of the kernel, which does not split what begins with a page."""


class Sharer:
    """One thread calls ``turn``. *claims*: of this mount, in the order of its calls."""

    def __init__(self, station: Station, kind: HashKind, draw: Random, figures: Figures) -> None:
        self.name = f"{station.name}-shared"
        self.claims: list[Claim] = []
        self._station = station
        self._kind = kind
        self._draft = f".{station.name}.tmp"
        self._draw = draw
        self._figures = figures
        self._began_s = time.monotonic()

    @property
    def folder(self) -> Path:
        return self._station.mount.path / FOLDER

    def turn(self) -> None:
        number = int((time.monotonic() - self._began_s) / ROUND_S)
        path = self.folder / f"s{number}-{self._draw.randrange(NAMES)}.bin"
        do = self._draw.choices([self._edit, self._save, self._read], [6, 2, 3])[0]
        deaths = self._station.deaths
        try:
            do(path)
        except FileNotFoundError as error:
            is_fine = do == self._read or self._station.excuses(error, deaths)
            assert is_fine, f"{self.name}: {error}"
        except OSError as error:
            self._figures.tell(f"{self.name} FAILED {path.name}: {error}")
            assert self._station.excuses(error, deaths), f"{self.name}: {error}"
            self._figures.count("failed", "shared writes")
        else:
            self._figures.tell(f"{self.name} {do.__name__} {path.name}")

    def tidy(self) -> None:
        """Removes what calls that failed have left: drafts, and recovered copies, which stay in one mount."""

        def do() -> None:
            for path in self.folder.iterdir():
                copy = copy_of(path.name)
                if path.name.endswith(self._draft) or (copy is not None and copy.kind == "recovered"):
                    path.unlink()

        self._station.again(do, f"{self.name}: tidied")

    def _edit(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            saw = self._read_through(fd)
            claim, body = self._claim(path, saw)
            try:
                written = os.pwrite(fd, body, 0)
                assert written == len(body), f"{self.name}: {written} bytes of {len(body)}"
                os.ftruncate(fd, len(body))
            except OSError:
                self._claim_torn(claim, fd)
                raise
        finally:
            os.close(fd)
        self._told(claim)

    def _claim_torn(self, claim: Claim, fd: int) -> None:
        """What a full disk made of a version is another one, once the file is closed."""
        with contextlib.suppress(OSError):
            torn = self._read_through(fd)
            if torn not in (claim.digest, claim.saw):
                self.claims.append(replace(claim, digest=torn))

    def _read_through(self, fd: int) -> str:
        return content_hash(self._kind, os.pread(fd, 2 * MOST_BYTES, 0))

    def _save(self, path: Path) -> None:
        draft = path.with_name(path.name + self._draft)
        claim, body = self._claim(path, None)
        draft.write_bytes(body)
        draft.rename(path)
        self._told(claim)

    def _read(self, path: Path) -> None:
        path.read_bytes()
        self._figures.count("done", "shared reads")

    def _claim(self, path: Path, saw: str | None) -> tuple[Claim, bytes]:
        body = self._draw.randbytes(self._draw.randrange(1000, MOST_BYTES))
        name = str(path.relative_to(self._station.mount.path))
        claim = Claim(self._station.name, name, content_hash(self._kind, body), saw)
        self.claims.append(claim)
        self._figures.tell(f"{self.name} writes {path.name}: {claim.digest:.12}, saw {saw or 'any':.12}")
        return claim, body

    def _told(self, claim: Claim) -> None:
        claim.is_told = True
        self._figures.count("done", "shared writes")
