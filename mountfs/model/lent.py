"""A file that is handed on to be read, instead of its bytes."""

from __future__ import annotations

from typing import Protocol


class Lent(Protocol):
    """An open file, which closes with the last reference to it."""

    fd: int
