"""``mountfs fsck`` on what a killed mount left, whole and damaged."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.cli import run
from mountfs.tree.schema import VERSION
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.waiting import until

BODIES = {
    "docs/whole.txt": random.Random(1).randbytes(3000),
    "docs/other.bin": random.Random(2).randbytes(5000),
    "top.txt": random.Random(3).randbytes(700),
}
OPEN = random.Random(4).randbytes(4000)
GARBAGE = b"what is this? " * 3000


@dataclass
class Left:
    """A state directory of its own, as a killed mount left it."""

    mount: RealMount
    far_side: DropboxProcess
    state_dir: Path

    @property
    def slot(self) -> Path:
        [slot] = (self.state_dir / "accounts").glob("*/slot-0")
        return slot

    @property
    def journal(self) -> Path:
        return self.slot / "journal.db"

    def spool_file(self, body: bytes) -> Path:
        [file] = [each for each in (self.slot / "spool").iterdir() if each.read_bytes() == body]
        return file

    def kept(self) -> set[bytes]:
        """All bytes of files in the slot that are in no journal."""
        folders = [self.slot / "spool", self.slot / "spool-set-aside"]
        return {file.read_bytes() for folder in folders if folder.is_dir() for file in folder.iterdir()}

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.journal)) as db, db:
            db.execute(statement)

    def mounted(self, **files: bytes) -> dict[str, bytes]:
        """What the next mount shows, to which *files* come, while the service takes no bytes."""
        self.mount.options["state_dir"] = str(self.state_dir)
        self.far_side.faults({"route": "files/upload*", "action": "reply", "status": 503})
        self.far_side.resume()
        self.mount.start()
        try:
            top = self.mount.path
            for name, body in files.items():
                (top / name).write_bytes(body)
            return {
                str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()
            }
        finally:
            self.mount.kill9()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealMount, SandboxProcess]]:
    """A mount that was killed while three closed files were pending and a fourth was open."""
    folder = tmp_path_factory.mktemp("killed")
    with DropboxProcess(folder / "far-side") as far_side:
        far_side.write("/docs/theirs", "at the service")
        with RealMount(folder, far_side) as mount:
            mount.start()
            assert os.listdir(mount.path / "docs") == ["theirs"]
            far_side.pause()
            for name, body in BODIES.items():
                (mount.path / name).write_bytes(body)
            (mount.path / "docs" / "new").mkdir()
            with pytest.raises(OSError), (mount.path / "open.bin").open("wb", buffering=0) as file:
                file.write(OPEN)
                until(lambda: rows(mount.state_dir) == len(BODIES) + 1, "the journal knows of it")
                mount.kill9()
                file.write(b"x")
            yield mount, far_side


def rows(state_dir: Path) -> int:
    [journal] = state_dir.glob("accounts/*/slot-0/journal.db")
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM contents").fetchone()[0])


@pytest.fixture
def left(killed: tuple[RealMount, DropboxProcess], tmp_path: Path) -> Left:
    return Left(*killed, Path(shutil.copytree(killed[0].state_dir, tmp_path / "state")))


Fsck = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def fsck(left: Left, capsys: pytest.CaptureFixture[str]) -> Fsck:
    """Runs the command on the state directory, or what is named instead: exit code and lines."""

    def fsck(*options: str, what: Path | str = left.state_dir) -> tuple[int, list[str]]:
        capsys.readouterr()
        code = run(["fsck", *options, str(what)])
        told = capsys.readouterr()
        return code, [*told.out.splitlines(), *told.err.splitlines()]

    return fsck


def test_what_a_killed_mount_left_is_clean(left: Left, fsck: Fsck) -> None:
    before = {path: path.stat().st_mtime_ns for path in (left.slot / "spool").iterdir()}
    code, lines = fsck()
    assert code == 0
    [line, verdict] = lines
    assert "/open.bin: was still being written" in line
    assert verdict.endswith("slot-0: nothing is wrong")
    assert fsck("--repair") == (0, lines)
    assert {path: path.stat().st_mtime_ns for path in (left.slot / "spool").iterdir()} == before


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_slot_an_account_or_all_of_them_may_be_named(left: Left, fsck: Fsck, depth: int) -> None:
    what = [left.slot, *left.slot.parents][depth] if depth < 3 else left.state_dir
    assert fsck(what=what)[0] == 0


def test_a_remote_may_be_named(left: Left, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "mountfs.toml"
    config.touch(mode=0o600)
    config.write_text(f'{left.mount.config.read_text()}[mount]\nstate_dir = "{left.state_dir}"\n')
    left.spool_file(BODIES["top.txt"]).unlink()
    assert run(["--config", str(config), "fsck", "work:"]) == 4
    assert "/top.txt" in capsys.readouterr().out


def test_beside_a_running_mount_nothing_is_looked_at(left: Left, fsck: Fsck) -> None:
    with (left.slot / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, [line] = fsck("--repair")
    assert code == 8
    assert line.endswith("slot-0: a mount uses it; unmount first")


def test_what_is_no_state_directory_is_told(tmp_path: Path, fsck: Fsck) -> None:
    code, [line] = fsck(what=tmp_path)
    assert code == 8
    assert "has no account's directory" in line


def test_missing_bytes_are_told_with_what_they_were(left: Left, fsck: Fsck) -> None:
    gone = left.spool_file(BODIES["docs/whole.txt"])
    gone.unlink()
    code, lines = fsck()
    assert code == 4
    [line] = [each for each in lines if "/docs/whole.txt" in each]
    assert gone.name in line
    assert "restore it from a backup" in line
    # Nothing but a backup brings them back.
    assert fsck("--repair")[0] == 4
    assert left.kept() == {BODIES["docs/other.bin"], BODIES["top.txt"], OPEN}


def test_bytes_that_were_set_aside_are_taken_back_when_the_journal_names_them(left: Left, fsck: Fsck) -> None:
    file = left.spool_file(BODIES["docs/whole.txt"])
    aside = left.slot / "spool-set-aside"
    aside.mkdir()
    file.rename(aside / file.name)
    assert fsck()[0] == 4
    assert fsck("--repair")[0] == 1
    assert fsck()[0] == 0
    assert file.read_bytes() == BODIES["docs/whole.txt"]


def test_a_file_that_was_cut_becomes_a_recovered_copy(left: Left, fsck: Fsck) -> None:
    file = left.spool_file(BODIES["docs/other.bin"])
    os.truncate(file, 1234)
    code, lines = fsck()
    assert code == 4
    assert any("/docs/other.bin: is shorter" in each and "1234 of 5000 bytes" in each for each in lines)
    assert fsck("--repair")[0] == 1
    assert fsck()[0] == 0
    shown = left.mounted()
    assert "docs/other.bin" not in shown
    [copy] = [name for name in shown if name.startswith("docs/other (recovered copy ")]
    assert shown[copy] == BODIES["docs/other.bin"][:1234]
    assert shown["docs/whole.txt"] == BODIES["docs/whole.txt"]


def test_bytes_that_nothing_names_are_set_aside(left: Left, fsck: Fsck) -> None:
    (left.slot / "spool" / ("f" * 32)).write_bytes(b"whose?")
    code, lines = fsck()
    assert code == 4
    assert any("no row of the journal names" in each for each in lines)
    assert fsck("--repair")[0] == 1
    assert (left.slot / "spool-set-aside" / ("f" * 32)).read_bytes() == b"whose?"
    code, lines = fsck()
    assert code == 0
    assert any("spool-set-aside: 1 file of lost changes" in each for each in lines)


def _remove(left: Left) -> None:
    for file in left.slot.glob("journal.db*"):
        file.unlink()


def _overwrite(left: Left) -> None:
    for file in left.slot.glob("journal.db*"):
        file.write_bytes(GARBAGE)


def _checkpoint(left: Left) -> None:
    with closing(sqlite3.connect(left.journal)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _cut(left: Left) -> None:
    _checkpoint(left)
    os.truncate(left.journal, left.journal.stat().st_size // 2)


def _spoil_pages(left: Left) -> None:
    """All pages of tables and indexes but the first, which describes them."""
    _checkpoint(left)
    pages = left.journal.read_bytes()
    left.journal.write_bytes(pages[:4096] + bytes(len(pages) - 4096))


def _lose_folders(left: Left) -> None:
    left.change("UPDATE nodes SET parent = 999 WHERE is_dirty AND kind = 'file'")


def _odd_version(left: Left) -> None:
    left.change("UPDATE meta SET value = 'x' WHERE key = 'schema'")


DAMAGES = [_remove, _overwrite, _cut, _spoil_pages, _lose_folders, _odd_version]


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_journal_all_bytes_are_kept_and_named(
    left: Left, fsck: Fsck, damage: Callable[[Left], None]
) -> None:
    before = left.kept()
    damage(left)
    code, lines = fsck()
    assert code == 4
    assert any("journal.db: " in each for each in lines)
    assert left.kept() == before
    assert fsck("--repair")[0] == 1
    assert left.kept() == before
    assert fsck()[0] == 0


@pytest.mark.parametrize("version", ["1", "99"])
def test_a_journal_of_another_version_is_no_damage_and_stays_as_it_is(
    left: Left, fsck: Fsck, version: str
) -> None:
    left.change(f"UPDATE meta SET value = '{version}' WHERE key = 'schema'")
    before = {path: path.read_bytes() for path in left.slot.rglob("*") if path.is_file()}
    for options in ([], ["--repair"]):
        code, lines = fsck(*options)
        assert code == 4
        assert any(
            f"its version is {version}" in each and "use the mountfs that wrote it" in each for each in lines
        )
    assert {path: path.read_bytes() for path in before} == before
    # The mountfs that wrote it finds everything pending.
    left.change(f"UPDATE meta SET value = '{VERSION}' WHERE key = 'schema'")
    assert fsck()[0] == 0


@pytest.mark.parametrize("damage", [_overwrite, _lose_folders])
def test_after_that_a_mount_shows_recovered_copies_and_removes_nothing_of_the_service(
    left: Left, fsck: Fsck, damage: Callable[[Left], None]
) -> None:
    damage(left)
    assert fsck("--repair")[0] == 1
    assert left.kept() == {*BODIES.values(), OPEN}
    shown = left.mounted()
    copies = {name: body for name, body in shown.items() if " (recovered copy " in name}
    assert {name.partition(" (")[0]: body for name, body in copies.items()} == {
        "whole": BODIES["docs/whole.txt"],
        "other": BODIES["docs/other.bin"],
        "top": BODIES["top.txt"],
        "open": OPEN,
    }
    assert shown.keys() - copies.keys() == {"docs/theirs"}
    assert left.far_side.asked(Asked.DELETE) == []


@pytest.mark.parametrize(
    "change", ["UPDATE meta SET value = '2' WHERE key = 'next_id'", "DELETE FROM meta WHERE key = 'next_id'"]
)
def test_a_next_number_that_is_taken_or_lost_costs_nothing(left: Left, fsck: Fsck, change: str) -> None:
    """Those that are in use tell which ones are free: new files get no row that another one has."""
    left.change(change)
    assert fsck()[0] == 0
    assert left.mounted(new=b"new").items() >= BODIES.items()
    assert left.mounted().items() >= BODIES.items() | {("new", b"new")}


def test_a_damaged_index_costs_nothing(left: Left, fsck: Fsck) -> None:
    _checkpoint(left)
    with closing(sqlite3.connect(left.journal)) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'nodes_by_parent'"
        (page,) = db.execute(query).fetchone()
    with left.journal.open("r+b") as file:
        file.seek(page * 4096 - 60)
        file.write(bytes(range(60)))
    assert fsck()[0] == 4
    code, lines = fsck("--repair")
    assert code == 1
    assert any("made anew" in each for each in lines)
    assert fsck()[0] == 0
    assert left.mounted().items() >= BODIES.items()


def test_a_slot_that_nobody_uses_is_looked_at_like_any_other(left: Left, fsck: Fsck) -> None:
    other = left.slot.with_name("slot-1")
    shutil.copytree(left.slot, other)
    for file in other.glob("journal.db*"):
        file.write_bytes(GARBAGE)
    code, lines = fsck()
    assert code == 4
    [line] = [each for each in lines if "cannot be used" in each]
    assert "slot-1: journal.db" in line
