"""`mountfs attributes`: what only one machine keeps, carried over to another."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.attributes import Loading
from daemon.control.protocol import LONGEST_LINE_BYTES, Told, encode
from daemon.process.commands import Commands
from mountfs.attributes import Caller
from mountfs.errors import InvalidArgument
from mountfs.model.path import RemotePath
from mountfs.tree import keptrows
from tests.doubles.world import World
from tests.unit.daemon.test_pinner import pinner_of

ANNA = Caller(1001, 1002)
THEN_NS = 10**18 + 7


def dumped(world: World, path: str = "/") -> dict[str, dict[str, Any]]:
    """By path, from all pages."""
    commands = Commands(world.core, pinner_of(world))
    found: dict[str, dict[str, Any]] = {}
    after = ""
    while True:
        *lines, after = commands.carry_out("attributes", RemotePath.parse(path), after)
        found |= {fields.pop("path"): fields for fields in map(json.loads, lines)}
        if not after:
            return found


@pytest.fixture
def kept(world: World) -> World:
    world.theirs("/d/theirs", b"text")
    world.names("/d")
    world.fs.metadata.chmod("/d/theirs", 0o4750)
    world.fs.metadata.setxattr("/d/theirs", "user.origin", b"\xff")
    world.touch("/d/theirs", THEN_NS)
    world.fs.mkdir("/d/e", 0o700, ANNA)
    world.fs.symlink("/d/e/link", "no/where", ANNA)
    world.fs.mknod("/d/e/disk", stat.S_IFBLK | 0o660, 0x0801, ANNA)
    world.theirs("/plain", b"text")
    world.names()
    world.settle()
    return world


def test_what_is_kept_is_dumped_and_nothing_else(kept: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dumped(kept)
    assert set(found) == {"d", "d/theirs", "d/e", "d/e/link", "d/e/disk"}
    assert found["d/theirs"] == {
        "kind": "file",
        "mode": "4750",
        "mtime_ns": THEN_NS,
        "size": 4,
        "xattrs": {"user.origin": "\xff"},
    }
    assert found["d/e/link"]["kind"] == "link"
    assert found["d/e/link"]["target"] == "no/where"
    assert (found["d/e/disk"]["kind"], found["d/e/disk"]["device"]) == ("blocks", 0x0801)
    monkeypatch.setattr(keptrows, "PAGE_ROWS", 2)
    assert dumped(kept) == found
    assert set(dumped(kept, "/d/e")) == {".", "link", "disk"}
    assert set(dumped(kept, "/d/theirs")) == {"."}
    kept.restart()
    assert set(dumped(kept)) == set(found)


def test_no_page_is_longer_than_a_reply_may_be(world: World) -> None:
    for number in range(110):
        path = f"/{number}"
        world.put(path, b"text")
        for each in range(3):
            world.fs.metadata.setxattr(path, f"user.{each}", b"\xff" * 4096)
    commands = Commands(world.core, pinner_of(world))
    sizes, count, after = [], 0, ""
    while not count or after:
        *lines, after = commands.carry_out("attributes", RemotePath.parse("/"), after)
        sizes.append(len(encode(Told((*lines, after)))))
        count += len(lines)
    assert count == 110
    assert max(sizes) < LONGEST_LINE_BYTES // 2


def test_a_page_that_no_dump_told_of_is_refused(kept: World) -> None:
    with pytest.raises(InvalidArgument):
        Commands(kept.core, pinner_of(kept)).carry_out("attributes", RemotePath.parse("/"), "-1; DROP")


def load(top: Path, *lines: dict[str, Any] | str) -> Loading:
    loading = Loading(top, is_numeric=True)
    for number, line in enumerate(lines, 1):
        loading.take(number, line if isinstance(line, str) else json.dumps(line))
    loading.end()
    return loading


def test_what_was_dumped_is_kept_where_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("text")
    loading = load(
        tmp_path,
        {"path": "d", "kind": "folder", "mode": "0750", "mtime_ns": THEN_NS},
        {"path": "d/f", "kind": "file", "mode": "0640", "mtime_ns": THEN_NS, "size": 4},
        {"path": "d/link", "kind": "link", "target": "f"},
        {"path": "d/fifo", "kind": "fifo", "mode": "0600"},
    )
    assert (loading.count, loading.problems) == (4, [])
    assert stat.S_IMODE((tmp_path / "d" / "f").stat().st_mode) == 0o640
    assert os.readlink(tmp_path / "d" / "link") == "f"
    assert stat.S_ISFIFO((tmp_path / "d" / "fifo").stat().st_mode)
    assert (tmp_path / "d" / "f").stat().st_mtime_ns == (tmp_path / "d").stat().st_mtime_ns == THEN_NS


def test_the_time_of_other_bytes_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("longer")
    load(tmp_path, {"path": "f", "kind": "file", "mtime_ns": THEN_NS, "size": 4})
    assert (tmp_path / "f").stat().st_mtime_ns != THEN_NS


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no JSON", "line 1: mountfs attributes --dump did not print this"),
        ("[" * 100_000, "line 1: "),
        ({"path": "../f", "kind": "file", "mode": "0777"}, "its path leads elsewhere"),
        ({"path": "/etc", "kind": "folder", "mode": "0777"}, "its path leads elsewhere"),
        ({"path": "out/f", "kind": "file", "mode": "0777"}, "leads through a symbolic link"),
        ({"path": "f", "kind": "door"}, "unknown kind 'door'"),
        ({"path": "f", "kind": "file", "mode": "99"}, "line 1: "),
        ({"path": "f", "kind": "file", "mode": 420}, "no such mode"),
        ({"path": "f", "kind": ["file"]}, "unknown kind"),
        ({"path": "f", "kind": "file", "uid": "0"}, "a number that is none"),
        ({"path": "f", "kind": "file", "uid": -7}, "line 1: "),
        ({"path": "f", "kind": "file", "mtime_ns": 10**40, "size": 0}, "line 1: "),
        ({"path": "\ud800", "kind": "file"}, "line 1: "),
        ({"path": "f", "kind": "file", "xattrs": {"user.a\0": ""}}, "line 1: "),
        ({"path": "f", "kind": "file", "xattrs": {"user.a": "\u20ac"}}, "line 1: "),
        ({"path": "new", "kind": "link", "target": "a\0b"}, "line 1: "),
        ({"path": "new", "kind": "fifo", "device": 2**80}, "line 1: "),
        ({"path": "f", "kind": "folder", "mode": "0777"}, "f: is no folder here"),
        ({"path": "none", "kind": "file", "mode": "0777"}, "none: No such file or directory"),
    ],
)
def test_a_line_that_cannot_be_loaded_is_told_and_changes_nothing(
    tmp_path: Path, line: dict[str, Any] | str, problem: str
) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    top.mkdir()
    outside.mkdir()
    for path in (top / "f", outside / "f"):
        path.touch(0o600)
    (top / "out").symlink_to(outside)
    loading = load(top, line, {"path": "f", "kind": "file", "mode": "0640"})
    assert (loading.count, len(loading.problems)) == (1, 1)
    assert problem in loading.problems[0]
    assert stat.S_IMODE((outside / "f").stat().st_mode) == 0o600
    assert stat.S_IMODE((top / "f").stat().st_mode) == 0o640


def test_mode_and_time_are_loaded_where_the_owner_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    (tmp_path / "f").touch(0o600)
    line = {"path": "f", "kind": "file", "uid": 4321, "mode": "4640", "mtime_ns": THEN_NS, "size": 0}
    loading = load(tmp_path, line)
    assert (loading.count, loading.problems) == (0, ["f: Operation not permitted"])
    found = (tmp_path / "f").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, THEN_NS)
