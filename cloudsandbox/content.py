"""The bytes: content files named by random words, and the scratch files of bodies still coming in."""

import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self


class ContentReader:
    """An open content file; leaving its context closes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly *length_bytes* from an offset. Raises EOFError when the content file is shorter."""
        data = os.pread(self._descriptor, length_bytes, offset_bytes)
        if len(data) != length_bytes:
            raise EOFError(f"a content file ends before {offset_bytes + length_bytes}")
        return data

    def read_now(self, offset_bytes: int, length_bytes: int) -> bytes | bytearray | None:
        """As `read_at`, but None where that would wait for a disk (RWF_NOWAIT, preadv(2))."""
        data = bytearray(length_bytes)
        try:
            length = os.preadv(self._descriptor, [data], offset_bytes, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            return self.read_at(offset_bytes, length_bytes)  # tmpfs: it is memory, and cannot tell
        return data if length == length_bytes else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


class ContentFiles:
    """Content files in a directory. A name may be given out before its file exists: no file, no bytes."""

    def __init__(self, root: Path) -> None:
        self._root = root / "content"
        self.incoming = root / "incoming"
        self._root.mkdir(parents=True, exist_ok=True)
        self.incoming.mkdir(exist_ok=True)
        for left in self.incoming.iterdir():  # bodies cut off by the death of an earlier process
            left.unlink()

    @staticmethod
    def new_name() -> str:
        """A name for bytes to come."""
        return secrets.token_hex(12)

    def path(self, blob: str) -> Path:
        """Where the bytes of *blob* are."""
        return self._root / blob[:2] / blob

    def _writable(self, blob: str) -> Path:
        """As `path`, its directory made."""
        path = self.path(blob)
        path.parent.mkdir(exist_ok=True)
        return path

    def write_at(self, blob: str, offset_bytes: int, data: bytes | memoryview) -> None:
        """Put bytes held in memory at an offset."""
        if not data:
            return
        descriptor = os.open(self._writable(blob), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, offset_bytes)
                view, offset_bytes = view[written:], offset_bytes + written
        finally:
            os.close(descriptor)

    def adopt(self, blob: str, source: Path) -> None:
        """Make a scratch file the content file."""
        source.replace(self._writable(blob))

    def copy_at(
        self, blob: str, offset_bytes: int, source: Path, start_bytes: int, length_bytes: int
    ) -> None:
        """Put a range of a scratch file at an offset."""
        with source.open("rb") as reader:
            target = os.open(self._writable(blob), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while length_bytes:
                    # Within one file system the kernel copies; no byte passes through this process.
                    count = os.copy_file_range(
                        reader.fileno(), target, length_bytes, start_bytes, offset_bytes
                    )
                    if count == 0:
                        raise EOFError(f"{source} is shorter than it was")
                    start_bytes, offset_bytes = start_bytes + count, offset_bytes + count
                    length_bytes -= count
            finally:
                os.close(target)

    def reader(self, blob: str) -> "ContentReader":
        """A content file to read from, also when it is removed meanwhile. Raises FileNotFoundError."""
        return ContentReader(os.open(self.path(blob), os.O_RDONLY | os.O_CLOEXEC))

    def read_at(self, blob: str, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly *length_bytes* from an offset. Raises EOFError when the content file is shorter."""
        if length_bytes == 0:
            return b""
        with self.reader(blob) as reader:
            return reader.read_at(offset_bytes, length_bytes)

    def forget(self, blob: str) -> None:
        """Remove bytes that nothing names."""
        self.path(blob).unlink(missing_ok=True)
