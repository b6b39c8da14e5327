"""The kernel's list of mounts, and finding one's way in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.control.client import Place, all_mounts, bind_at, find_mount, find_place
from daemon.failure import Failure
from daemon.places import outside
from daemon.places.answering import check_answers
from daemon.places.mounttable import MountEntry, mount_above, mount_at, parse_mountinfo, read_mounts, resolved

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
99 22 0:50 / /mnt/a rw,nosuid,nodev,relatime shared:7 master:2 - fuse.mountfs work:/Scans rw,user_id=0
98 22 0:51 / /mnt/with\040space\134 rw - tmpfs tmpfs rw
97 99 0:52 / /mnt/a/inner rw - tmpfs tmpfs rw
96 22 0:53 / /mnt/b rw - tmpfs tmpfs rw
95 96 0:54 / /mnt/b rw - fuse.mountfs home: rw
"""


def test_each_line_is_an_entry_with_its_escapes_undone() -> None:
    entries = parse_mountinfo(MOUNTINFO)
    assert entries[1] == MountEntry(Path("/mnt/a"), "fuse.mountfs", "work:/Scans", "0:50", "/", 0)
    assert entries[2].mountpoint == Path("/mnt/with space\\")
    assert [entry.is_ours for entry in entries] == [False, True, False, False, False, True]


def test_this_machine_has_a_root() -> None:
    assert mount_at(Path("/"), read_mounts()) is not None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/mnt/a", "fuse.mountfs"),
        ("/mnt/a/x/y", "fuse.mountfs"),
        ("/mnt/a/inner/x", "tmpfs"),
        ("/mnt/ab", "ext4"),
        ("/mnt/b/x", "fuse.mountfs"),
    ],
)
def test_a_path_lies_on_the_deepest_and_topmost_mount(path: str, kind: str) -> None:
    entry = mount_above(Path(path), parse_mountinfo(MOUNTINFO))
    assert entry is not None
    assert entry.kind == kind


def test_a_place_is_a_mount_and_the_path_inside() -> None:
    place = find_place(Path("/mnt/a/x/y"), parse_mountinfo(MOUNTINFO))
    assert (place.mountpoint, place.inner) == (Path("/mnt/a"), "/x/y")
    assert find_place(Path("/mnt/a"), parse_mountinfo(MOUNTINFO)).inner == "/"


def test_a_place_elsewhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="is not on a mountfs mount"):
        find_place(tmp_path, parse_mountinfo(MOUNTINFO))
    with pytest.raises(Failure, match="does not exist"):
        find_place(tmp_path / "absent", parse_mountinfo(MOUNTINFO))


def test_a_mount_is_found_at_its_root_only() -> None:
    entries = parse_mountinfo(MOUNTINFO)
    assert find_mount(Path("/mnt/b"), entries) == Path("/mnt/b")
    for path in ("/mnt/a/inner", "/mnt"):
        with pytest.raises(Failure, match="no mountfs mount here"):
            find_mount(Path(path), entries)
    with pytest.raises(Failure, match="it lies on the mount at /mnt/a: name that"):
        find_mount(Path("/mnt/a/x"), entries)


def test_all_mounts_are_listed() -> None:
    assert all_mounts(parse_mountinfo(MOUNTINFO)) == [Path("/mnt/a"), Path("/mnt/b")]


OTHERS = r"""
99 22 0:50 / /mnt/roots rw - fuse.mountfs work: rw,user_id=0,group_id=0
98 22 0:51 / /mnt/roots-for-all rw - fuse.mountfs work: rw,user_id=0,group_id=0,allow_other
97 22 0:52 / /mnt/franz rw - fuse.mountfs work: rw,user_id=1000,group_id=1000
96 22 0:53 / /mnt/franz-for-all rw - fuse.mountfs work: rw,user_id=1000,group_id=1000,allow_other
"""


@pytest.mark.parametrize(
    ("uid", "found"),
    [
        (0, ["roots", "roots-for-all", "franz-for-all"]),
        (1000, ["franz", "franz-for-all"]),
        (1001, []),
    ],
)
def test_what_takes_no_commands_of_this_user_is_none_of_all_mounts(
    uid: int, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the mount of somebody else would be trouble for who looks after his own."""
    monkeypatch.setattr("os.geteuid", lambda: uid)
    assert [path.name for path in all_mounts(parse_mountinfo(OTHERS))] == found


BOUND = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
99 22 0:50 / /mnt/a rw - fuse.mountfs work: rw
98 22 0:50 /a\040folder /srv/folder rw - fuse.mountfs work: rw
97 22 0:50 / /srv/whole rw - fuse.mountfs work: rw
96 22 8:1 /home /srv/home rw - ext4 /dev/sda1 rw
95 22 0:51 /x /srv/alone rw - fuse.mountfs gone: rw
"""


def test_what_is_bound_elsewhere_is_one_mount() -> None:
    entries = parse_mountinfo(BOUND)
    assert all_mounts(entries) == [Path("/mnt/a"), Path("/srv/alone")]
    assert find_place(Path("/srv/folder/x/y"), entries) == Place(Path("/mnt/a"), "/a folder/x/y")
    assert find_place(Path("/srv/folder"), entries) == Place(Path("/mnt/a"), "/a folder")
    assert find_place(Path("/srv/whole/x"), entries) == Place(Path("/mnt/a"), "/x")
    assert find_place(Path("/srv/alone/y"), entries).mountpoint == Path("/srv/alone")


def test_a_mount_is_found_where_it_is_bound() -> None:
    entries = parse_mountinfo(BOUND)
    for path in ("/mnt/a", "/srv/whole", "/srv/folder"):
        assert find_mount(Path(path), entries) == Path("/mnt/a")
    with pytest.raises(Failure, match="it lies on the mount at /srv/folder: name that"):
        find_mount(Path("/srv/folder/x"), entries)
    assert [bind_at(Path(path), entries) for path in ("/mnt/a", "/srv/alone", "/srv/home", "/mnt")] == [
        None
    ] * 4
    assert [bind_at(Path(path), entries) for path in ("/srv/whole", "/srv/folder")] == [
        Path("/srv/whole"),
        Path("/srv/folder"),
    ]


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """A folder with links of all kinds."""
    folder = tmp_path.resolve() / "top"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "file").touch()
    for name, target in {
        "to-a": "a",
        "to-b": "to-a/b",
        "up": "a/../a/b/..",
        "absolute": str(folder / "a"),
        "nowhere": "absent/x",
        "out": "../..",
        "a/b/back": "../../to-b",
    }.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.mark.parametrize(
    "path",
    [
        *("a", "a/b", "to-a", "to-b", "to-b/back", "to-b/back/..", "up/b", "absolute/b", "nowhere"),
        *("nowhere/..", "absent", "absent/../a", "a/file", "a/file/x", "out", "a/./b//back/back", "..", "."),
    ],
)
def test_a_path_is_resolved_as_the_system_does(
    links: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolved(links / path, []) == Path(os.path.realpath(links / path))
    monkeypatch.chdir(links / "a")
    assert resolved(Path("..", path), []) == Path(os.path.realpath(f"../{path}"))


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        resolved(tmp_path / "a" / "x", [])


def test_a_mount_of_ours_is_asked_by_another_process(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    readlink = os.readlink

    def note(path: Path) -> str:
        asked.append(path)
        return readlink(path)

    monkeypatch.setattr(os, "readlink", note)
    mounts = [
        MountEntry(links / "a", "fuse.mountfs", "x:"),
        MountEntry(links / "a" / "b", "tmpfs", "tmpfs"),
        MountEntry(links / "a" / "b" / "c", "fuse.mountfs", "y:"),
    ]
    (links / "a" / "out").symlink_to("../to-b/..")
    assert resolved(links / "to-a" / "x" / ".." / "y", mounts) == links / "a" / "y"
    assert resolved(links / "to-b" / "back" / "c" / "z", mounts) == links / "a" / "b" / "c" / "z"
    assert resolved(links / "to-a" / "out", mounts) == links / "a"
    assert resolved(links / "to-a" / "out", mounts, is_itself=True) == links / "a" / "out"
    assert resolved(links / "to-a" / "out" / "..", mounts, is_itself=True) == links
    assert not [path for path in asked if path == links / "a" or path.is_relative_to(links / "a" / "b" / "c")]
    assert links / "a" / "out" not in asked
    assert links / "a" / "b" in asked


def test_in_a_mount_that_does_not_answer_no_link_is_followed(
    links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "_FOLLOW", "import signal; signal.pause()")
    monkeypatch.setattr(outside, "PATIENCE_S", 0.0)
    mounts = [MountEntry(links, "fuse.mountfs", "x:")]
    assert resolved(links / "to-a" / "b", mounts) == links / "to-a" / "b"


def test_what_is_above_a_link_of_a_mount_that_does_not_answer_is_not_guessed(
    links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mountfs discard a/folder/../x --yes`, where a/folder leads into another mount that hangs, would give
    up what is pending of a/x."""
    monkeypatch.setattr(outside, "_FOLLOW", "import signal; signal.pause()")
    monkeypatch.setattr(outside, "PATIENCE_S", 0.0)
    mounts = [MountEntry(links, "fuse.mountfs", "x:")]
    path = links / "to-a" / ".." / "b"
    with pytest.raises(TimeoutError, match="a mount that it leads through does not answer"):
        find_place(path, mounts)
    with pytest.raises(Failure, match="a mount that it leads through does not answer"):
        check_answers(path, mounts)


def test_where_one_is_matters_to_relative_paths_alone(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a directory that was removed, or lay on a mount that was taken away."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert resolved(links / "to-a", []) == links / "a"
    with pytest.raises(FileNotFoundError):
        resolved(Path("to-a"), [])
