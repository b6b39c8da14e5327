"""What is told of a slot that a process left behind."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.fsck import _look_at
from daemon.cli.slotcheck import Finding, SlotCheck
from daemon.cli.slotrepair import repair
from daemon.places.statedir import Slot
from mountfs.clock import boot_id
from mountfs.tree.database import StoreUnusable
from mountfs.tree.doubt import CUT_SHORT, LOST, UNPROVEN
from tests.doubles.world import World
from tests.unit.upload.bodies import SMALL_LIMITS, body_of, content_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, limits=SMALL_LIMITS, boot_id=boot_id())


def slot_of(world: World) -> Slot:
    """Its own, which nobody locks here."""
    return Slot(world.directory, fd=-1)


def check_of(world: World) -> SlotCheck:
    return SlotCheck(slot_of(world))


def left_by(world: World) -> list[Finding]:
    """What is found once its process has ended; no label is needed for any of it."""
    world.core.durability.save()
    world.close()
    return check_of(world).check()


def faults(found: list[Finding]) -> list[str]:
    return [finding.where for finding in found if finding.is_fault]


def test_of_work_in_every_stage_nothing_is_a_fault(world: World) -> None:
    world.account.write("/theirs", b"1")
    for name in ("/sent", "/renamed", "/removed", "/kept"):
        world.put(name, name.encode())
    world.settle()
    world.rename("/renamed", "/other")
    world.fs.unlink("/removed")
    world.put("/large", body_of(100))
    world.upload_all()
    world.mkdir("/folder")
    world.put("/folder/new", b"new")
    world.put("/kept", b"newer")
    world.begin("/open", body_of(100))
    world.core.durability.step(world.clock.now_s() + 2)
    assert faults(left_by(world)) == []


def test_pending_bytes_that_changed_are_told_where_the_service_has_them_whole(world: World) -> None:
    world.put("/large", body_of(100))
    world.upload_all()
    spool_file = world.places.spool / content_of(world, "/large").spool
    spool_file.write_bytes(body_of(100, seed=3))
    [finding] = left_by(world)
    assert not finding.is_fault
    assert finding.where == "/large"
    assert "whole at the service" in finding.text


def test_pending_bytes_that_the_disk_cannot_read_are_told_likewise(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("/large", body_of(100))
    world.upload_all()
    bad = world.places.spool / content_of(world, "/large").spool
    world.core.durability.save()
    world.close()
    open_any = Path.open

    def fail(path: Path, *arguments: Any, **named: Any) -> Any:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        return open_any(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", fail)
    [finding] = check_of(world).check()
    assert (finding.where, finding.is_fault) == ("/large", False)
    assert "whole at the service" in finding.text


def test_a_file_that_a_mount_linked_to_take_it_over_is_the_other_slot_s(tmp_path: Path) -> None:
    theirs = World(tmp_path / "slot-1", boot_id=boot_id())
    theirs.put("/a", b"theirs")
    theirs.core.durability.save()
    theirs.close()
    ours = World(tmp_path / "slot-0", boot_id=boot_id())
    ours.close()
    (file,) = theirs.places.spool.iterdir()
    os.link(file, ours.places.spool / file.name)
    assert check_of(ours).check() == []
    assert list(repair(check_of(ours))) == []
    assert (ours.places.spool / file.name).read_bytes() == b"theirs"
    theirs.places.store.unlink()
    (told,) = check_of(ours).check()
    assert told.where == f"spool/{file.name}"


def closed_without_a_row(world: World) -> Path:
    """The spool file of one that was closed a moment before its process died."""
    world.put("/a", b"precious")
    world.close()
    [file] = world.places.spool.iterdir()
    return file


def test_what_was_closed_and_has_no_row_yet_is_no_fault(world: World) -> None:
    file = closed_without_a_row(world)
    [finding] = check_of(world).check()
    assert (finding.where, finding.is_fault) == (f"spool/{file.name}", False)
    assert "8 B of /a, which was closed" in finding.text


def test_what_was_closed_without_a_row_and_cut_since_is_told(world: World) -> None:
    file = closed_without_a_row(world)
    os.truncate(file, 3)
    [finding] = check_of(world).check()
    assert finding.is_fault
    assert CUT_SHORT in finding.text


def test_after_another_run_of_the_machine_what_was_not_synced_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, boot_id="another")
    world.put("/synced", b"1")
    world.core.durability.step(world.clock.now_s())
    world.put("/not synced", b"2")
    [finding] = left_by(world)
    assert (finding.where, finding.is_fault) == ("/not synced", False)
    assert UNPROVEN in finding.text


def test_bytes_that_the_service_has_are_not_missed(world: World) -> None:
    world.put("/large", body_of(100))
    world.upload_all()
    (world.places.spool / content_of(world, "/large").spool).unlink()
    assert left_by(world) == []


def test_of_what_was_refused_the_bytes_are_looked_at_too(world: World) -> None:
    world.put("/a", b"precious")
    world.put("/b", b"lost")
    (world.places.spool / content_of(world, "/b").spool).unlink()
    found = left_by(world)
    assert faults(found) == ["/b"]
    assert LOST in found[0].text
    list(repair(check_of(world)))
    assert faults(check_of(world).check()) == ["/b"]
    world.start()
    assert world.word("/b") == "failed"
    world.settle()
    assert world.remote() == {"/a": b"precious"}
    world.close()


def test_a_cut_file_is_repaired_once_and_sent_when_it_is_renamed(world: World) -> None:
    world.put("/d.txt", b"longer than that")
    (world.places.spool / content_of(world, "/d.txt").spool).write_bytes(b"longer")
    assert faults(left_by(world)) == ["/d.txt"]
    told = list(repair(check_of(world)))
    assert len(told) == 1
    assert check_of(world).check() == []
    world.start()
    [name] = world.names()
    assert "recovered copy" in name
    world.rename(f"/{name}", "/d.txt")
    world.settle()
    assert world.remote() == {"/d.txt": b"longer"}
    world.close()


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nmountfs: all committed", "txt.\u202egnp.exe"])
def test_what_is_told_of_a_name_is_a_line_that_prints(
    world: World, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put(f"/{name}", b"lost")
    (world.places.spool / content_of(world, f"/{name}").spool).unlink()
    left_by(world)
    for is_repairing in (False, True):
        _look_at(slot_of(world), is_repairing)
        lines = capsys.readouterr().out.split("\n")[:-1]
        assert lines
        assert [line for line in lines if not line.isprintable() or LOST not in line] == []


@pytest.mark.parametrize("where", ["../outside", "{top}/outside", "..", ""])
def test_a_repair_takes_no_file_from_elsewhere_whatever_a_journal_names(world: World, where: str) -> None:
    world.put("/a", b"precious")
    left_by(world)
    check_of(world).set_aside.mkdir()
    outside = world.directory / "outside"
    outside.write_bytes(b"private")
    with closing(sqlite3.connect(world.places.store)) as db, db:
        db.execute("UPDATE contents SET spool = ?", (where.format(top=world.directory),))
    found = check_of(world).check()
    assert "/a" in faults(found)
    assert not [finding for finding in found if "takes it back" in finding.text]
    list(repair(check_of(world)))
    assert outside.read_bytes() == b"private"
    assert not [file for file in world.places.spool.iterdir() if file.name == "outside"]


def test_a_journal_with_a_folder_inside_of_itself_is_told_and_repaired(world: World) -> None:
    world.mkdir("/d")
    world.mkdir("/d/e")
    world.put("/d/e/f", b"precious")
    left_by(world)
    with closing(sqlite3.connect(world.places.store)) as db, db:
        db.execute("UPDATE nodes SET parent = (SELECT id FROM nodes WHERE name = 'e') WHERE name = 'd'")
    [finding] = check_of(world).check()
    assert finding.is_fault
    assert "inside of themselves" in finding.text
    list(repair(check_of(world)))
    assert faults(check_of(world).check()) == []
    world.start()
    assert list(world.tree().values()) == [b"precious"]
    world.close()


SENSELESS = [
    "UPDATE nodes SET base_name = 'x' WHERE base_name IS NULL",
    "UPDATE nodes SET time_s = 5, time_ns = NULL",
    "INSERT INTO flights SELECT 7, 7, 0, NULL, 'put', 0, id, NULL, 1, 'f', '/f', '', NULL, NULL, '', NULL,"
    " NULL, 5, NULL FROM nodes WHERE name = 'f'",
]


@pytest.mark.parametrize("statement", SENSELESS)
def test_rows_that_keep_a_mount_from_starting_are_told_and_repaired(world: World, statement: str) -> None:
    world.put("/f", b"pending")
    world.core.durability.save()
    world.close()
    with closing(sqlite3.connect(world.places.store, isolation_level=None)) as db:
        assert db.execute(statement).rowcount == 1
    with pytest.raises(StoreUnusable, match="run mountfs fsck --repair"):
        world.start()
    assert faults(check_of(world).check()) == ["journal.db"]
    assert _look_at(slot_of(world), True) == 1
    world.start()
    [(path, word)] = world.pending()
    assert (path[:3], word) == ("/f ", "failed")
    assert world.get(path) == b"pending"
    world.close()


def gapped(tmp_path: Path) -> World:
    """One with an edited file of the service of which most bytes are not here."""
    world = World(tmp_path, limits=SMALL_LIMITS, boot_id=boot_id(), settings={"small_bytes": 0})
    world.theirs("/f", b"0123456789")
    number = world.open("/f", os.O_WRONLY)
    world.fs.write(number, 3, b"abc")
    world.close_file(number)
    return world


def test_bytes_that_only_the_service_has_are_told_and_no_fault(tmp_path: Path) -> None:
    world = gapped(tmp_path)
    [finding] = left_by(world)
    assert (finding.where, finding.is_fault) == ("/f", False)
    assert "7 B of it only the service has" in finding.text


def test_a_repair_without_the_journal_takes_no_gap_for_zeros(tmp_path: Path) -> None:
    world = gapped(tmp_path)
    world.put("/whole", b"whole")
    left_by(world)
    with closing(sqlite3.connect(world.places.store)) as db, db:
        db.execute("DELETE FROM meta WHERE key = 'schema'")
    told = list(repair(check_of(world)))
    assert any("set aside" in line for line in told), told
    world.start()
    copies = {name for name in world.names() if "recovered copy" in name}
    assert [world.get(f"/{name}") for name in copies] == [b"whole"]
    aside = [file.read_bytes() for file in check_of(world).set_aside.iterdir()]
    assert aside == [b"\0\0\0abc\0\0\0\0"]
    world.close()
