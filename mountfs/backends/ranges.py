"""A range of a file's bytes: what to ask the service for, and whether its reply is that."""

from __future__ import annotations

from mountfs.backends.wire import Response, Window
from mountfs.errors import NotSupported, ServerFault
from mountfs.model.entry import File


def window_of(file: File, offset: int, length: int) -> Window | None:
    """What there is of *length* bytes from *offset* on; None: nothing. NotSupported."""
    if not file.is_downloadable:
        raise NotSupported(f"a document without bytes of its own: {file.name}")
    length = min(length, file.size_bytes - offset)
    return Window(offset, length, file.size_bytes) if length > 0 else None


def body_of(response: Response, file: File, window: Window) -> bytes:
    """What a download came to; less or more than was asked for is a fault."""
    if response.status == 416:
        raise ServerFault(f"{file.name} is shorter than its metadata says")
    if response.content_bytes != window.length:
        raise ServerFault(f"{file.name}: asked for {window.length} bytes, got {response.content_bytes}")
    return response.body
