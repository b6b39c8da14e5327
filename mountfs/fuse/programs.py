"""Which program makes a call, for the few that nothing is to be fetched ahead for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from cachetools import TTLCache

COMM_CHARS = 15
"""The kernel keeps so much of a program's name (PR_SET_NAME in prctl(2))."""
THREADS_KEPT = 1024
KEPT_S = 60.0
"""A number may be another thread's after this. Within it the name is read once."""

PROC = Path("/proc")


class Programs:
    """Tells whether the process that makes a call is one of some programs. Any thread, in a call of the
    kernel's."""

    def __init__(self, names: Iterable[str], caller: Callable[[], int], proc: Path = PROC) -> None:
        """*caller*: the id of the thread that makes the present call, which of a process's first one is that
        of the process; 0: the kernel itself."""
        self._names = {name[:COMM_CHARS] for name in names}
        self._caller = caller
        self._proc = proc
        self._lock = threading.Lock()
        self._known: TTLCache[int, bool] = TTLCache(THREADS_KEPT, KEPT_S)

    def is_caller(self) -> bool:
        """Whether one of them makes the present call."""
        if not self._names:
            return False
        thread = self._caller()
        with self._lock:
            known = self._known.get(thread)
            if known is None:
                known = self._known[thread] = self._name_of(thread) in self._names
            return known

    def _name_of(self, thread: int) -> str:
        """The name of the process: threads may have names of their own, as those of a pool of glib do."""
        try:
            status = (self._proc / str(thread) / "status").read_text(errors="replace")
            process = next(line.split()[1] for line in status.splitlines() if line.startswith("Tgid:"))
            return (self._proc / process / "comm").read_text(errors="replace").rstrip("\n")
        except (OSError, StopIteration):
            return ""  # it has ended, or is in another namespace of processes
