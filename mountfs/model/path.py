"""A path in the account: case-preserving for people, case-folded as a key."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache


def fold(name: str) -> str:
    """The key under which the services hold two spellings of a name equal; the same for a key."""
    if name.isascii():
        return name.lower()
    # Some capitals have an accent of their own only once they are small: capital iota with both of its marks.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


@dataclass(frozen=True, slots=True, order=True)
class RemotePath:
    """An absolute path in the account: ``""`` is the root, anything else starts with a slash.

    Two paths are equal when their spelling is; compare ``key`` to ask whether they name one object.
    """

    text: str
    key: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold(self.text))

    @classmethod
    def parse(cls, text: str) -> RemotePath:
        """From the kernel's form, where the root is ``/``; repeated and trailing slashes are dropped."""
        return _parse(text)

    @property
    def is_root(self) -> bool:
        return not self.text

    @property
    def name(self) -> str:
        """The last component; empty for the root."""
        return self.text.rpartition("/")[2]

    @property
    def name_key(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that holds it; the root is its own parent."""
        return _parse(self.text.rpartition("/")[0])

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(self.text.split("/")[1:])

    def child(self, name: str) -> RemotePath:
        return RemotePath(f"{self.text}/{name}")

    def ancestors(self) -> Iterator[RemotePath]:
        """Every folder above it, the nearest first and the root last; none for the root."""
        path = self
        while not path.is_root:
            path = path.parent
            yield path

    def is_below(self, other: RemotePath) -> bool:
        """Whether it is a descendant of *other*, ignoring case."""
        return self.key != other.key and self.key.startswith(other.key + "/")

    def moved(self, source: RemotePath, target: RemotePath) -> RemotePath:
        """Where it stands after *source*, which is it or an ancestor of it, became *target*."""
        # By components: folding may change the length of a spelling.
        rest = self.components[len(source.components) :]
        return RemotePath("/".join((target.text, *rest)))

    def __str__(self) -> str:
        return self.text or "/"


@lru_cache(maxsize=65536)
def _parse(text: str) -> RemotePath:
    parts = [part for part in text.split("/") if part]
    return RemotePath("".join("/" + part for part in parts))


ROOT = RemotePath("")
