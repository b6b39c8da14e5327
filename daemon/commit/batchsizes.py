"""How many orders go into one batch at most: fewer where the service refuses batches as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from mountfs.model.order import OrderKind


class BatchSizes:
    """``most``: by kind; between 1 and what the service states."""

    def __init__(self, stated: Mapping[OrderKind, int]) -> None:
        self._stated = stated
        self.most = dict(stated)

    def shrink(self, kind: OrderKind, entries: int) -> None:
        """The service refused a batch as a whole: the next ones are half as large."""
        self.most[kind] = max(1, entries // 2)

    def grow(self, kind: OrderKind, entries: int) -> None:
        """A batch went through: after a refusal the next ones may be larger again."""
        most = self._stated[kind]
        if entries >= self.most[kind] < most:
            self.most[kind] = min(most, self.most[kind] * 2)
