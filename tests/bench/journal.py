"""How large the journal grows while very many files are written."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread

from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess

FILES = 20_000
FILES_IN_ONE_FOLDER = 200
FILE_BYTES = 4096
MB = 1_000_000
LOOK_EVERY_S = 0.005
WAIT_S = 600.0


def journal(folder: Path, far_side: SandboxProcess) -> dict[str, float]:
    """Writes 20,000 files of 4 KiB one after the other, and waits for their commit. The file system that the
    journal is on is that of TMPDIR."""
    with RealMount(folder, far_side) as mount, Watch(mount.state_dir) as watch:
        mount.start()
        began = time.perf_counter()
        for number in range(FILES):
            parent = mount.path / f"d{number // FILES_IN_ONE_FOLDER}"
            if number % FILES_IN_ONE_FOLDER == 0:
                parent.mkdir()
            (parent / f"f{number}").write_bytes(number.to_bytes(4) * (FILE_BYTES // 4))
        written = time.perf_counter()
        largest_bytes = watch.largest_bytes
        mount.wait_committed(timeout_s=WAIT_S)
        committed = time.perf_counter()
    return {
        "written, files/s": FILES / (written - began),
        "largest while written, MB": largest_bytes / MB,
        "committed, files/s": FILES / (committed - began),
        "largest until committed, MB": watch.largest_bytes / MB,
    }


class Watch:
    """Looks at the size of a journal with its log again and again."""

    def __init__(self, state_dir: Path) -> None:
        self.largest_bytes = 0
        self._state_dir = state_dir
        self._is_over = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_EVERY_S):
            self.largest_bytes = max(self.largest_bytes, self._size_bytes())

    def _size_bytes(self) -> int:
        files = [*self._state_dir.glob("accounts/*/slot-*/journal.db*")]
        return sum(path.stat().st_size for path in files if path.name in ("journal.db", "journal.db-wal"))
