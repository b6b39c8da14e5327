"""Small files, read and hashed where they are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mountfs.errors import DiskTrouble, MountfsError
from mountfs.model.hashing import HashKind, content_hash, hasher
from mountfs.model.pendingbytes import Unreadable
from mountfs.ports import Piece

T = TypeVar("T")

READ_BYTES = 1024 * 1024
"""Bytes in memory at once of a file that is hashed and not sent."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A small file in memory, for a session of its own."""

    session: str
    body: bytes


def sent_together(
    pieces: Sequence[Piece],
    kind: HashKind,
    send: Callable[[Sequence[Loaded]], Sequence[MountfsError | None]],
) -> list[str | MountfsError]:
    """By position what the port's ``append_pack`` gives, where *send* makes the request: it is called with
    those that can be read, unless there are none, and says by position what is wrong with each."""
    read = [_or_trouble(partial(_loaded, piece)) for piece in pieces]
    loaded = [each for each in read if isinstance(each, Loaded)]
    errors = iter(send(loaded) if loaded else ())
    return [
        each if isinstance(each, MountfsError) else next(errors) or content_hash(kind, each.body)
        for each in read
    ]


def content_hashes(pieces: Sequence[Piece], kind: HashKind) -> list[str | MountfsError]:
    """As the port's method of that name."""
    return [_or_trouble(partial(_hash, piece, kind)) for piece in pieces]


def _loaded(piece: Piece) -> Loaded:
    return Loaded(piece.session, piece.source.exactly(0, piece.length))


def _hash(piece: Piece, kind: HashKind) -> str:
    state = hasher(kind)
    for at in range(0, piece.length, READ_BYTES):
        state.update(piece.source.exactly(at, min(READ_BYTES, piece.length - at)))
    return state.hexdigest()


def _or_trouble(make: Callable[[], T]) -> T | MountfsError:
    """What *make* gives, or why the pending bytes cannot be read."""
    try:
        return make()
    except (Unreadable, DiskTrouble) as error:
        return error
