"""A request body on its way in: hashed as it comes, in memory when small, in a scratch file when not."""

import asyncio
import secrets
from collections.abc import AsyncIterable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Generic, Protocol, Self, TypeVar

from cloudsandbox.content import ContentFiles

PIECE_BYTES = 1024 * 1024
HASHED_ON_LOOP_BYTES = 64 * 1024


class Hasher(Protocol):
    """What a service hashes its bodies with, as hashlib's objects do."""

    def update(self, piece: bytes | memoryview, /) -> None:
        """Take the next bytes, however they are cut."""


H = TypeVar("H", bound=Hasher)


class PayloadTooLarge(Exception):
    """The body is longer than the service takes; it was read to its end and thrown away."""


@dataclass(slots=True)
class Body(AbstractContextManager["Body[H]"], Generic[H]):
    """A whole body; *hasher* has seen it all. Leaving its context removes the scratch file."""

    hasher: H
    size_bytes: int = 0
    memory: bytes = b""
    scratch: Path | None = None

    def store(self, files: ContentFiles, blob: str, offset_bytes: int) -> None:
        """Put the whole body at an offset of a content file."""
        self.store_range(files, blob, offset_bytes, 0, self.size_bytes)

    def store_range(
        self, files: ContentFiles, blob: str, offset_bytes: int, start_bytes: int, length_bytes: int
    ) -> None:
        """Put a range of the body at an offset of a content file."""
        if not length_bytes:
            return  # the scratch file may be the content file of another range by now
        if self.scratch is None:
            view = memoryview(self.memory)[start_bytes : start_bytes + length_bytes]
            files.write_at(blob, offset_bytes, view)
        elif length_bytes == self.size_bytes and not files.path(blob).exists() and offset_bytes == 0:
            files.adopt(blob, self.scratch)
        else:
            files.copy_at(blob, offset_bytes, self.scratch, start_bytes, length_bytes)

    def pieces(self, start_bytes: int, length_bytes: int) -> Iterator[bytes]:
        """A range of the body in pieces of moderate size."""
        if self.scratch is None or not length_bytes:
            yield self.memory[start_bytes : start_bytes + length_bytes]
            return
        with self.scratch.open("rb") as reader:
            reader.seek(start_bytes)
            while length_bytes:
                piece = reader.read(min(PIECE_BYTES, length_bytes))
                length_bytes -= len(piece)
                yield piece

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.scratch is not None:
            self.scratch.unlink(missing_ok=True)


async def receive(
    stream: AsyncIterable[bytes], limit_bytes: int, files: ContentFiles, executor: Executor, hasher: H
) -> Body[H]:
    """Read a body to its end. Disk and hashing of all but small bodies go to *executor*.

    Raises PayloadTooLarge past *limit_bytes*; whatever ends it early, no scratch file stays.
    """
    loop = asyncio.get_running_loop()
    body = Body(hasher)
    pieces: list[bytes] = []
    waiting_bytes = 0
    writer: BinaryIO | None = None
    try:
        async for piece in stream:
            body.size_bytes += len(piece)
            if body.size_bytes > limit_bytes:
                pieces.clear()
                continue
            pieces.append(piece)
            waiting_bytes += len(piece)
            if waiting_bytes >= PIECE_BYTES:
                if writer is None:
                    body.scratch = files.incoming / secrets.token_hex(8)
                    writer = body.scratch.open("wb", buffering=0)
                await loop.run_in_executor(executor, _flush, writer, hasher, pieces)
                pieces, waiting_bytes = [], 0
        if body.size_bytes > limit_bytes:
            raise PayloadTooLarge
        await _finish(body, writer, pieces, executor)
    except BaseException:
        body.__exit__(None, None, None)
        raise
    finally:
        if writer is not None:
            writer.close()
    return body


def _flush(writer: BinaryIO, hasher: Hasher, pieces: list[bytes]) -> None:
    for piece in pieces:
        view = memoryview(piece)
        hasher.update(view)
        while view:
            view = view[writer.write(view) :]


async def _finish(body: Body[H], writer: BinaryIO | None, pieces: list[bytes], executor: Executor) -> None:
    loop = asyncio.get_running_loop()
    if writer is not None:
        await loop.run_in_executor(executor, _flush, writer, body.hasher, pieces)
        return
    body.memory = b"".join(pieces)
    if body.size_bytes <= HASHED_ON_LOOP_BYTES:
        body.hasher.update(body.memory)
    else:
        await loop.run_in_executor(executor, body.hasher.update, body.memory)
