"""What a soak did and met, counted; and the diary, which tells it in order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

from rich.table import Table


class Figures:
    """Counts by group and name; groups are shown in the order of their first count. Any thread."""

    def __init__(self, diary: Path) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()
        self._diary = diary.open("w")
        self._began_s = time.monotonic()

    def count(self, group: str, name: str, number: float = 1) -> None:
        with self._lock:
            self._counts.setdefault(group, Counter())[name] += number  # type: ignore[assignment]

    def tell(self, what: str) -> None:
        """Writes a line, or more, into the diary."""
        with self._lock:
            self._diary.write(f"{time.monotonic() - self._began_s:8.2f} {what}\n")
            self._diary.flush()

    def close(self) -> None:
        self._diary.close()

    def table(self, title: str) -> Table:
        table = Table("what", "", "figure", title=title)
        table.columns[2].justify = "right"
        for group, counts in self._counts.items():
            for number, (name, count) in enumerate(sorted(counts.items())):
                shown = f"{count:,.1f}" if isinstance(count, float) else f"{count:,}"
                table.add_row("" if number else group, name, shown)
            table.add_section()
        return table
