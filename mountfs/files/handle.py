"""What one open(2) of a file may do, and what the kernel may keep of it."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.files.openfile import OpenFile


@dataclass(frozen=True, slots=True)
class Handle:
    """One open(2) of a file.

    ``keep_cache``: what the kernel has cached of this inode are these very bytes. ``is_direct``: the
    inode is open with other bytes too, or the bytes by another spelling, or the file is being filled, so that
    this handle must not share the kernel's pages. ``fills``: it only writes, what was empty when it came, and
    came first; or it may write, and came while such a one was open. ``reads_ahead``: whether more may be
    fetched than is read.
    """

    file: OpenFile
    can_read: bool
    can_write: bool
    is_append: bool
    is_writer: bool
    """Whether its close ends a version: it may write, or it made or emptied the file."""
    keep_cache: bool = False
    is_direct: bool = False
    fills: bool = False
    reads_ahead: bool = True
