"""Programs that nothing is fetched ahead for."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

from mountfs.fuse.operations import Operations
from mountfs.fuse.programs import Programs
from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.reading.readahead import MIB
from tests.doubles.world import World
from tests.unit.fuse.answers import taken
from tests.unit.fuse.test_operations import Info


class Processes:
    """Their names, as /proc has them; ``caller`` makes the present call."""

    def __init__(self, proc: Path, **names: str) -> None:
        self.proc = proc
        self.caller = 0
        self._pids = {name: number for number, name in enumerate(names, 100)}
        for name, comm in names.items():
            folder = proc / str(self._pids[name])
            folder.mkdir()
            (folder / "comm").write_text(f"{comm}\n")
            (folder / "status").write_text(f"Name:\t{comm}\nTgid:\t{folder.name}\nPid:\t{folder.name}\n")

    def are(self, name: str) -> None:
        self.caller = self._pids[name]

    def forget(self, name: str) -> None:
        shutil.rmtree(self.proc / str(self._pids[name]))


def test_a_program_is_known_by_the_name_that_the_kernel_cuts_off(tmp_path: Path) -> None:
    processes = Processes(tmp_path, cat="cat", long="gdk-pixbuf-thum", other="gdk-pixbuf")
    programs = Programs(["gdk-pixbuf-thumbnailer"], lambda: processes.caller, tmp_path)
    answers = []
    for name in ("cat", "long", "other"):
        processes.are(name)
        answers.append(programs.is_caller())
    assert answers == [False, True, False]


def test_a_thread_is_known_by_the_name_of_its_process() -> None:
    """The kernel tells which thread makes a call, and glib names those of a pool `pool-tumblerd`."""
    name = Path("/proc/self/comm").read_text().strip()
    answers: list[bool] = []

    def reads() -> None:
        thread = threading.get_native_id()
        Path(f"/proc/self/task/{thread}/comm").write_text("pool-tumblerd")
        answers.extend(Programs([wanted], lambda: thread).is_caller() for wanted in (name, "other"))

    reader = threading.Thread(target=reads)
    reader.start()
    reader.join()
    assert answers == [True, False]


def test_a_name_is_read_once_for_a_process(tmp_path: Path) -> None:
    processes = Processes(tmp_path, one="updatedb")
    programs = Programs(["updatedb"], lambda: processes.caller, tmp_path)
    processes.are("one")
    assert programs.is_caller()
    processes.forget("one")
    assert programs.is_caller()


def test_nobody_and_who_has_ended_are_no_such_program(tmp_path: Path) -> None:
    assert not Programs(["updatedb"], lambda: 0, tmp_path).is_caller()
    assert not Programs([], lambda: 1 // 0, tmp_path).is_caller()


def test_they_get_what_they_read_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    processes = Processes(tmp_path / "proc", cat="cat", tumblerd="tumblerd")
    world = World(tmp_path, settings={"walkers": 2})
    for number in range(20):
        world.account.mkdir(f"/w/d{number}")
        world.account.write(f"/s/f{number:02}", bytes([number]) * 4 * BLOCK_BYTES)
    world.account.write("/big", b"x" * 8 * MIB)
    world.follow()
    ops = Operations(world.fs, programs=Programs(["tumblerd"], lambda: processes.caller, processes.proc))
    asked: list[int] = []
    inner = world.memory.read

    def counted(file: object, offset: int, length: int) -> bytes:
        asked.append(length)
        return inner(file, offset, length)  # type: ignore[arg-type]

    world.memory.read = counted  # type: ignore[method-assign, assignment]

    def read(path: str, length: int) -> None:
        info = Info(os.O_RDONLY)
        ops("open", path, info)
        for at in range(0, length, BLOCK_BYTES):
            assert len(taken(ops("read", None, BLOCK_BYTES, at, info))) == BLOCK_BYTES
        ops("release", None, info)

    processes.are("tumblerd")
    for number in range(6):
        number_of = ops("opendir", f"/w/d{number}")
        list(ops("readdir", None, number_of))
        ops("releasedir", None, number_of)
        read(f"/s/f{number:02}", BLOCK_BYTES)
    read("/big", 4 * BLOCK_BYTES)
    assert asked == [BLOCK_BYTES] * 10
    assert not world.memory.calls().get("list_tree")
    del asked[:]
    processes.are("cat")
    read("/big", 6 * BLOCK_BYTES)
    world.core.reader.close()
    assert sum(asked) > 2 * BLOCK_BYTES
    world.close()
