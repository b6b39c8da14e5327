"""Which bytes of a draft are in its spool file, and what the uploads are told of them."""

from __future__ import annotations

from mountfs.files import overlaid
from mountfs.files.services import Services
from mountfs.model.ranges import RangeSet
from mountfs.tree.content import Content
from mountfs.tree.overlay import Overlay


class Written:
    """Guarded by the open file's lock. A large draft goes up while it is written, so the uploads are told of
    each write from then on when it became large."""

    __slots__ = ("_is_announced", "_services", "ranges")

    def __init__(self, services: Services) -> None:
        self.ranges = RangeSet()
        self._services = services
        self._is_announced = False

    def begin(self, overlay: Overlay | None, size_bytes: int) -> None:
        """A draft begins with *size_bytes*, of which *overlay* says what its spool file lacks."""
        self.ranges = overlaid.present(overlay, size_bytes)
        self._is_announced = False

    def add(self, content: Content | None, start: int, stop: int, size_bytes: int) -> None:
        """The bytes [start, stop) of *content* were written, which has *size_bytes* now; None: the node is
        gone."""
        self.ranges.add(start, stop)
        limits = self._services.limits
        if limits.size_known_at_start or size_bytes < limits.session_min_bytes or content is None:
            return
        ranges = [(start, stop)] if self._is_announced else self.ranges
        self._is_announced = True
        for low, high in ranges:
            self._services.uploads.wrote(content.id, low, high)

    def cut(self, content: Content | None, size_bytes: int) -> None:
        """*content* was cut or extended to *size_bytes*."""
        self.ranges.truncate(size_bytes)
        if self._is_announced and content is not None:
            self._services.uploads.truncated(content.id, size_bytes)
