"""A request body on its way in: hashed as it comes, in memory when small, in a scratch file when not."""

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from aiohttp import StreamReader

from mountfs.sandbox.dropbox.content import ContentFiles
from mountfs.sandbox.dropbox.errors import SandboxError
from mountfs.sandbox.dropbox.hashing import Block, BlockHasher, combined

PIECE_BYTES = 1024 * 1024
HASHED_ON_LOOP_BYTES = 64 * 1024


class PayloadTooLarge(SandboxError):
    """The body is longer than the service takes; it was read to its end and thrown away."""


@dataclass(slots=True)
class Body(AbstractContextManager["Body"]):
    """A whole body. Leaving its context removes the scratch file."""

    size_bytes: int = 0
    memory: bytes = b""
    scratch: Path | None = None
    blocks: list[Block] = field(default_factory=list)

    @property
    def content_hash(self) -> str:
        """The content hash of exactly this body."""
        return combined(block.digest for block in self.blocks)

    def store(self, files: ContentFiles, blob: str, offset_bytes: int) -> None:
        """Put the whole body at an offset of a content file."""
        self.store_range(files, blob, offset_bytes, 0, self.size_bytes)

    def store_range(
        self, files: ContentFiles, blob: str, offset_bytes: int, start_bytes: int, length_bytes: int
    ) -> None:
        """Put a range of the body at an offset of a content file."""
        if self.scratch is None:
            view = memoryview(self.memory)[start_bytes : start_bytes + length_bytes]
            files.write_at(blob, offset_bytes, view)
        elif length_bytes == self.size_bytes and not files.path(blob).exists() and offset_bytes == 0:
            files.adopt(blob, self.scratch)
        else:
            files.copy_at(blob, offset_bytes, self.scratch, start_bytes, length_bytes)

    def pieces(self, start_bytes: int, length_bytes: int) -> Iterator[bytes]:
        """A range of the body in pieces of moderate size."""
        if self.scratch is None:
            yield self.memory[start_bytes : start_bytes + length_bytes]
            return
        with self.scratch.open("rb") as reader:
            reader.seek(start_bytes)
            while length_bytes:
                piece = reader.read(min(PIECE_BYTES, length_bytes))
                length_bytes -= len(piece)
                yield piece

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.scratch is not None:
            self.scratch.unlink(missing_ok=True)


async def receive(stream: StreamReader, limit_bytes: int, files: ContentFiles, executor: Executor) -> Body:
    """Read a body to its end. Disk and hashing of all but small bodies go to *executor*.

    Raises PayloadTooLarge past *limit_bytes*; whatever ends it early, no scratch file stays.
    """
    loop = asyncio.get_running_loop()
    body, hasher = Body(), BlockHasher()
    pieces: list[bytes] = []
    waiting_bytes = 0
    writer: BinaryIO | None = None
    try:
        async for piece in stream.iter_any():
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
        await _finish(body, writer, hasher, pieces, executor)
    except BaseException:
        body.__exit__(None, None, None)
        raise
    finally:
        if writer is not None:
            writer.close()
    body.blocks = hasher.blocks()
    return body


def _flush(writer: BinaryIO, hasher: BlockHasher, pieces: list[bytes]) -> None:
    for piece in pieces:
        view = memoryview(piece)
        hasher.update(view)
        while view:
            view = view[writer.write(view) :]


async def _finish(
    body: Body, writer: BinaryIO | None, hasher: BlockHasher, pieces: list[bytes], executor: Executor
) -> None:
    loop = asyncio.get_running_loop()
    if writer is not None:
        await loop.run_in_executor(executor, _flush, writer, hasher, pieces)
        return
    body.memory = b"".join(pieces)
    if body.size_bytes <= HASHED_ON_LOOP_BYTES:
        hasher.update(body.memory)
    else:
        await loop.run_in_executor(executor, hasher.update, body.memory)
