"""Files of which more is asked for before the first answer: whoever reads so, reads on."""

from __future__ import annotations

import threading
from collections import Counter

from mountfs.reading.contentkey import Key


class Beginnings:
    """Reads of the beginnings of files, in large pieces, that are not answered yet.

    The kernel asks for 128 KiB at a time. It asks for the next ones before it has the first where a program
    has announced that it reads in sequence (posix_fadvise(2), as `cat`, `cp` and `sha256sum` do), or wants
    more than that at once. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unanswered: Counter[Key] = Counter()

    def began(self, key: Key) -> bool:
        """Whether another read of the same file's beginning is not answered yet."""
        with self._lock:
            self._unanswered[key] += 1
            return self._unanswered[key] > 1

    def answered(self, key: Key) -> None:
        """To be called once for each ``began``."""
        with self._lock:
            self._unanswered[key] -= 1
            if not self._unanswered[key]:
                del self._unanswered[key]
