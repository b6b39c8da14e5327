"""What the calls are about: paths, modes, bytes and times, drawn at random and the same for both sides."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from tests.posix.place import MEMBER, OTHER, OWNER, ROOT, User

LONGEST = "n" * 255
NAMES = ("a", "b", "c", "d", "e", "f")
DEEPEST = 3
LOOKED_ANEW = 40
"""After so many draws what is there is looked at again: most paths that are drawn lead to something."""
MODES = (0o644, 0o600, 0o666, 0o755, 0o777, 0o700, 0o4755, 0o2775, 0o1777, 0o444, 0o000, 0o640)
MASKS = (0o022, 0o022, 0o000, 0o066, 0o027)
USERS = (ROOT, ROOT, OWNER, MEMBER, OTHER)
IDS = (-1, 0, 1001, 1002, 1003, 1005)
TIMES_NS = (1, 10**18 + 123_456_789, 1_300_000_000_000_000_007, 4 * 10**18 + 5, -(10**9) - 7)


class Draws:
    """By one random generator."""

    def __init__(self, seed: int, top: Path, longest: str = LONGEST) -> None:
        """*top*: the model, in which paths are looked for. *longest*: the longest name."""
        self.random = Random(seed)
        self._names = (*NAMES, longest)
        self._top = top
        self._known: list[str] = []
        self._drawn = 0

    def user(self) -> User:
        return self.random.choice(USERS)

    def mask(self) -> int:
        return self.random.choice(MASKS)

    def mode(self) -> int:
        return self.random.choice(MODES)

    def new_path(self) -> str:
        """Anywhere, also below files or where nothing is."""
        depth = self.random.choices((1, 2, 3), (2, 4, 3))[0]
        return "/".join(self.random.choices(self._names, (9, 9, 9, 9, 9, 9, 1), k=depth))

    def path(self) -> str:
        """Mostly of something that is there."""
        if self._drawn % LOOKED_ANEW == 0:
            self._known = self._found()
        self._drawn += 1
        if self._known and self.random.random() < 0.8:
            return self.random.choice(self._known)
        return self.new_path()

    def target(self) -> str:
        """Of a symbolic link."""
        up = "../" * self.random.choice((0, 0, 1, 2))
        return self.random.choice(
            (up + self.path(), up + self.random.choice(self._names), "nowhere", up or ".")
        )

    def body(self) -> bytes:
        """Mostly short, now and then more than a page or than what the service takes in one request."""
        size = self.random.choices((0, 1, 10, 5000, 70_000, 1_500_000), (1, 3, 8, 8, 3, 0.2))[0]
        return self.random.randbytes(self.random.randint(size // 2, size))

    def offset(self) -> int:
        return self.random.choices((0, 1, 4095, 4096, 10_000, 200_000, 9_000_000), (9, 3, 2, 2, 3, 1, 0.05))[
            0
        ]

    def times_ns(self) -> tuple[int, int]:
        return self.random.choice(TIMES_NS), self.random.choice(TIMES_NS)

    def _found(self) -> list[str]:
        found = []
        for folder, folders, files in os.walk(self._top):
            below = os.path.relpath(folder, self._top)
            prefix = "" if below == "." else f"{below}/"
            found += [f"{prefix}{name}" for name in (*folders, *files)]
            if prefix.count("/") >= DEEPEST:
                folders.clear()
        return sorted(found)
