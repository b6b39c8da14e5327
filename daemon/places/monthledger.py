"""Calls that an account has made, by month: kept in a file that all mounts of the account add to."""

from __future__ import annotations

import json
import re
from pathlib import Path

from daemon.places.durable import write_whole
from daemon.places.locks import alone

KEPT_MONTHS = 13
_MONTH = re.compile(r"\d{4}-\d{2}")


class MonthLedger:
    """The file *path*, and a lock beside it. Months are as in ``2026-11``. Any process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def months(self) -> dict[str, int]:
        """Calls by month, the oldest first; what makes no sense is left out."""
        try:
            return self._read()
        except OSError:
            return {}

    def add(self, month: str, calls: int) -> int:
        """So many more in *month*; how many that makes. OSError: what cannot be read just now is not
        written over."""
        with alone(Path(f"{self._path}.lock")):
            months = self._read()
            months[month] = months.get(month, 0) + calls
            if calls:
                kept = dict(sorted(months.items())[-KEPT_MONTHS:])
                write_whole(self._path, json.dumps(kept, indent=1))
            return months[month]

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {
            month: calls
            for month, calls in sorted(found.items())
            if _MONTH.fullmatch(month) and isinstance(calls, int) and calls >= 0
        }
