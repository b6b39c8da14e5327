"""Bytes of ours: which spool file holds them, what they were made from, how far they are at the service."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.model.entry import File
from mountfs.model.value import value
from mountfs.tree.overlay import Overlay


@dataclass(frozen=True, slots=True)
class Over:
    """The revision of the service that some bytes were made from, and that they may replace."""

    revision: str
    content_hash: str | None

    @classmethod
    def of(cls, file: File) -> Over:
        """The revision that *file* is."""
        return cls(file.revision, file.content_hash)

    def is_of(self, file: File) -> bool:
        """Whether the bytes of it are those of *file*: by the revision, or by an equal hash."""
        is_same = self.content_hash is not None and self.content_hash == file.content_hash
        return is_same or self.revision == file.revision


@dataclass(frozen=True, slots=True)
class Twin:
    """A file of the service's that has the bytes of one of ours: its id, and the revision that has them."""

    item_id: str
    revision: str


@value
class Content:
    """Bytes of ours in the spool file *spool*. While they are being written the open file knows their size
    and time better.

    ``is_flushed``: they were closed and not written to since, so that a crash finds them whole.
    ``is_synced``: they survive a power loss. ``over``: what they replace at the service; None: nothing.
    ``overlay``: what the spool file lacks of the revision that the bytes were made from; None: nothing, ever.
    ``content_hash`` and ``session`` are known once the bytes are at the service (``session`` stays None
    where small files travel with their commit); a large file's session is known from its beginning.
    ``twin``: the bytes are at the service as another file, of which it makes a copy; there is no session.
    """

    id: int
    spool: str
    size_bytes: int
    mtime_ns: int
    over: Over | None = None
    is_flushed: bool = False
    is_synced: bool = False
    content_hash: str | None = None
    session: str | None = None
    overlay: Overlay | None = None
    twin: Twin | None = None

    def closed(self, size_bytes: int, mtime_ns: int) -> Content:
        """Closed with so many bytes: a crash finds them whole."""
        return Content(
            self.id,
            self.spool,
            size_bytes,
            mtime_ns,
            self.over,
            is_flushed=True,
            content_hash=self.content_hash,
            session=self.session,
            overlay=self.overlay,
            twin=self.twin,
        )

    def synced(self) -> Content:
        """The same bytes, which survive a power loss."""
        return Content(
            self.id,
            self.spool,
            self.size_bytes,
            self.mtime_ns,
            self.over,
            self.is_flushed,
            is_synced=True,
            content_hash=self.content_hash,
            session=self.session,
            overlay=self.overlay,
            twin=self.twin,
        )

    def uploaded(self, content_hash: str, session: str | None, twin: Twin | None) -> Content:
        """The same bytes, which are at the service."""
        return Content(
            self.id,
            self.spool,
            self.size_bytes,
            self.mtime_ns,
            self.over,
            self.is_flushed,
            self.is_synced,
            content_hash,
            session,
            self.overlay,
            twin,
        )

    @property
    def is_whole(self) -> bool:
        """Whether all its bytes are in the spool file."""
        return self.overlay is None or not self.overlay.missing

    @property
    def is_uploaded(self) -> bool:
        """Whether nothing but the name is missing at the service."""
        return self.content_hash is not None


def is_made_from(content: Content, file: File) -> bool:
    """Whether *content* was made from the bytes of *file*, and may replace it. A move or another time gives
    them another revision, which a file that was opened before does not know of."""
    return content.over is not None and content.over.is_of(file)
