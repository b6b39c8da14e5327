"""Which program makes a call, for the few that nothing is to be fetched ahead for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from cachetools import TTLCache

COMM_CHARS = 15
"""The kernel keeps so much of a program's name (PR_SET_NAME in prctl(2))."""
PROCESSES_KEPT = 1024
KEPT_S = 60.0
"""A number may be another process's after this. Within it the name is read once."""

PROC = Path("/proc")


class Programs:
    """Tells whether the process that makes a call is one of some programs. Any thread, in a call of the
    kernel's."""

    def __init__(self, names: Iterable[str], caller: Callable[[], int], proc: Path = PROC) -> None:
        """*caller*: the id of the process that makes the present call; 0: the kernel itself."""
        self._names = {name[:COMM_CHARS] for name in names}
        self._caller = caller
        self._proc = proc
        self._lock = threading.Lock()
        self._known: TTLCache[int, bool] = TTLCache(PROCESSES_KEPT, KEPT_S)

    def is_caller(self) -> bool:
        """Whether one of them makes the present call."""
        if not self._names:
            return False
        pid = self._caller()
        with self._lock:
            known = self._known.get(pid)
            if known is None:
                known = self._known[pid] = self._name_of(pid) in self._names
            return known

    def _name_of(self, pid: int) -> str:
        try:
            return (self._proc / str(pid) / "comm").read_text(errors="replace").rstrip("\n")
        except OSError:
            return ""  # it has ended, or is in another namespace of processes
