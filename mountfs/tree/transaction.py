"""A transaction of the tree, as what `with` takes: a generator costs 2 us, many times a file."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Transaction:
    """Holds *lock*; the outermost of nested ones counts. One object serves all of a tree's transactions."""

    __slots__ = ("_begin", "_cancel", "_end", "_lock", "_tell", "depth")

    def __init__(
        self,
        lock: threading.RLock,
        *,
        begin: Callable[[], None],
        end: Callable[[], None],
        cancel: Callable[[BaseException], None],
        tell: Callable[[], None],
    ) -> None:
        """*end*: makes happen what was done inside. *cancel*: undoes it, and may raise a better error than
        the one that it is given. *tell*: of what happened, after the end. All are called under the lock."""
        self._lock = lock
        self._begin = begin
        self._end = end
        self._cancel = cancel
        self._tell = tell
        self.depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        if self.depth:
            self.depth += 1
            return
        self.depth = 1
        try:
            self._begin()
        except BaseException as error:
            self._break_off(error)
            raise

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self.depth > 1:
            self.depth -= 1
            self._lock.release()
            return
        if error is not None:
            self._break_off(error)
            return
        try:
            self._end()
        except BaseException as failure:
            self._break_off(failure)
            raise
        self.depth = 0
        try:
            self._tell()
        finally:
            self._lock.release()

    def _break_off(self, error: BaseException) -> None:
        self.depth = 0
        try:
            self._cancel(error)
        finally:
            self._lock.release()
