"""``mountfs conflicts``: what is listed, and what each decision leaves."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cli import conflicts, run
from daemon.control.client import Place
from daemon.control.status import Copy
from daemon.failure import Failure
from mountfs.tree.beside import name_beside, original_name
from tests.unit.daemon.test_status_command import WELL

MINE = "report (conflicted copy laptop 2026-11-29).txt"


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that stands for a mount in which two people changed report.txt."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "report.txt").write_text("theirs")
    (tmp_path / "d" / MINE).write_text("mine")
    copies = (
        Copy(f"/d/{MINE}", "conflicted copy", 60.0, ""),
        Copy("/x (recovered copy laptop 2026-11-29)", "recovered copy", 60.0, ""),
    )

    def ask(place: Path) -> object:
        there = tuple(each for each in copies if Path(f"{place}{each.path}").exists())
        return replace(WELL, account=replace(WELL.account, copies=there))

    monkeypatch.setattr("daemon.cli.conflicts.all_mounts", lambda: [tmp_path])
    monkeypatch.setattr("daemon.cli.conflicts.ask_status", ask)
    monkeypatch.setattr(
        "daemon.cli.conflicts.find_place",
        lambda path, **_: Place(tmp_path, f"/{path.relative_to(tmp_path)}".rstrip(".")),
    )
    yield tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_conflicted_copies_are_listed_with_what_they_lie_beside(
    mount: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["conflicts", "--json"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "mine": str(mount / "d" / MINE),
        "theirs": str(mount / "d" / "report.txt"),
        "age_s": 60.0,
    }
    assert run(["conflicts", str(mount / "d")]) == 1
    assert run(["conflicts", str(mount / "d" / "other.txt")]) == 0


def test_on_a_narrow_terminal_no_path_is_cut(
    mount: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert run(["conflicts"]) == 1
    _, *lines = capsys.readouterr().out.splitlines()
    first = "".join(line.partition("  ")[0].strip() for line in lines).replace(" ", "")
    assert first == f"{mount}/d/{MINE}".replace(" ", "")


@pytest.mark.parametrize("named", [MINE, "report.txt"])
@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("mine", {"report.txt": "mine"}),
        ("theirs", {"report.txt": "theirs"}),
        ("both", {"report (mine).txt": "mine", "report.txt": "theirs"}),
    ],
)
def test_a_decision_leaves_what_was_chosen(
    mount: Path, capsys: pytest.CaptureFixture[str], keep: str, left: dict[str, str], named: str
) -> None:
    assert run(["conflicts", "--keep", keep, str(mount / "d" / named)]) == 0
    assert contents(mount / "d") == left
    assert run(["conflicts"]) == 0


def test_another_mount_is_not_asked_about_a_path_of_this_one(
    mount: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be one that hangs."""
    asked: list[Path] = []

    def ask(place: Path) -> object:
        asked.append(place)
        return WELL

    monkeypatch.setattr("daemon.cli.conflicts.all_mounts", lambda: [mount, Path("/hangs")])
    monkeypatch.setattr("daemon.cli.conflicts.ask_status", ask)
    assert run(["conflicts", str(mount / "d")]) == 0
    assert run(["conflicts", "--keep", "theirs", str(mount / "d" / MINE)]) == 0
    assert asked == [mount, mount]


def test_a_mount_that_does_not_answer_is_no_mount_without_conflicts(
    mount: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(place: Path) -> object:
        raise Failure(f"{place}: the mount does not answer")

    monkeypatch.setattr("daemon.cli.conflicts.ask_status", ask)
    assert run(["conflicts", str(mount / "d")]) == 1
    assert run(["conflicts", "--keep", "mine", str(mount / "d" / MINE)]) == 1
    assert run(["conflicts"]) == 1
    assert capsys.readouterr().err.count("does not answer") == 3


def test_the_other_mounts_are_listed_beside_one_that_does_not_answer(
    mount: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(place: Path) -> object:
        if place == Path("/hangs"):
            raise Failure("/hangs: the mount does not answer")
        return asked(place)

    asked = vars(conflicts)["ask_status"]
    monkeypatch.setattr(conflicts, "ask_status", ask)
    monkeypatch.setattr(conflicts, "all_mounts", lambda: [Path("/hangs"), mount])
    assert run(["conflicts", "--json"]) == 1
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    assert told.err == "mountfs: /hangs: the mount does not answer\n"
    monkeypatch.setattr(conflicts, "all_mounts", list)
    assert run(["conflicts"]) == 1
    assert capsys.readouterr().err == "mountfs: nothing is mounted; mountfs status tells what is journaled\n"


def test_what_is_written_to_mine_while_it_is_copied_is_not_lost(
    mount: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_stat = shutil.copystat

    def write_and_copy(mine: Path, draft: Path) -> None:
        copy_stat(mine, draft)
        mine.write_text("mine, and more")

    monkeypatch.setattr(shutil, "copystat", write_and_copy)
    assert run(["conflicts", "--keep", "mine", str(mount / "d" / MINE)]) == 1
    assert "was written to meanwhile" in capsys.readouterr().err
    assert contents(mount / "d") == {MINE: "mine, and more", "report.txt": "theirs"}


def test_mine_is_there_until_its_bytes_survive_a_power_loss_under_the_name(
    mount: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be all there is: synced long ago, and not at the service yet."""
    folder = mount / "d"

    def fail(fd: int) -> None:
        assert os.path.samestat(os.fstat(fd), folder.stat())
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    assert run(["conflicts", "--keep", "mine", str(folder / MINE)]) == 1
    assert "Input/output error" in capsys.readouterr().err
    assert contents(folder) == {MINE: "mine", "report.txt": "mine"}


@pytest.mark.parametrize(("state", "code"), [(b"uploading", 1), (b"clean", 0)])
def test_mine_is_not_removed_before_a_trash_can_have_it(
    mount: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: bytes, code: int
) -> None:
    monkeypatch.setattr(os, "getxattr", lambda *_, **__: state)
    assert run(["conflicts", "--keep", "theirs", str(mount / "d" / MINE)]) == code
    assert (mount / "d" / MINE).exists() is bool(code)
    assert ("still to be sent" in capsys.readouterr().err) is bool(code)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files to others")
def test_mine_stays_its_owner_s_where_root_decides(mount: Path) -> None:
    os.chown(mount / "d" / MINE, 1001, 1002)
    (mount / "d" / MINE).chmod(0o4640)
    assert run(["conflicts", "--keep", "mine", str(mount / "d" / MINE)]) == 0
    found = (mount / "d" / "report.txt").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1001, 1002, 0o4640)


def test_what_is_gone_is_not_kept(mount: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mount / "d" / "report.txt").unlink()
    assert run(["conflicts", "--keep", "theirs", str(mount / "d" / MINE)]) == 1
    assert "your version is all there is" in capsys.readouterr().err
    assert contents(mount / "d") == {MINE: "mine"}


def test_a_name_that_is_taken_is_left_alone(mount: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mount / "d" / "report (mine).txt").write_text("another")
    assert run(["conflicts", "--keep", "both", str(mount / "d" / MINE)]) == 0
    assert contents(mount / "d")["report (mine).txt"] == "another"
    assert contents(mount / "d")["report (mine 2).txt"] == "mine"


def test_of_several_copies_one_has_to_be_named(mount: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["conflicts", "--keep", "mine", str(mount / "d")]) == 1
    assert "no conflicted copy, and none lies beside it" in capsys.readouterr().err
    assert run(["conflicts", "--keep", "mine"]) == 2


@pytest.mark.parametrize("name", ["report.txt", "README", ".profile", "a.tar.gz", "photo (1).jpg"])
def test_a_copy_s_name_leads_back_to_the_file(name: str) -> None:
    copy = name_beside(name, "conflicted", "laptop", 1_700_000_000 * 10**9, 255, lambda _: False)
    assert original_name(copy) == name
    stem, dot, extension = name.rpartition(".") if not name.startswith(".") else (name, "", "")
    of_dropbox = f"{stem or extension} (Franz's conflicted copy 2026-11-29){dot}{extension if stem else ''}"
    assert original_name(of_dropbox) == name
    assert original_name(name) is None
