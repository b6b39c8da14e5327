"""Which directory may be covered by a mount."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from daemon.failure import EXIT_FOR_A_PERSON, Failure
from daemon.places import outside
from daemon.places.mounttable import MountEntry
from daemon.process import mountpoint
from daemon.process.mountpoint import SystemKernel, check_fuse, may_mount, prepare


def test_an_empty_directory_is_fit_and_links_to_it_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert prepare(tmp_path / "link") == (tmp_path / "real").resolve()


def test_a_missing_mount_point_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("absent")
    for name in ("absent", "link"):
        with pytest.raises(Failure, match=f"does not exist; run: mkdir -p {tmp_path}/{name}") as told:
            prepare(tmp_path / name)
        assert told.value.exit_code == EXIT_FOR_A_PERSON


@pytest.mark.parametrize("name", ["file/mnt", "n" * 256])
def test_a_path_that_leads_nowhere_is_for_a_person_to_mend(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot use the mount point") as told:
        prepare(tmp_path / name)
    assert told.value.exit_code == EXIT_FOR_A_PERSON


def test_links_that_lead_in_circles_are_for_a_person_to_mend(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(Failure, match="choose another directory") as told:
        prepare(tmp_path / "link")
    assert told.value.exit_code == EXIT_FOR_A_PERSON


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="is not a directory"):
        prepare(tmp_path / "file")


def test_a_directory_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="is not empty"):
        prepare(tmp_path)


def test_a_directory_that_is_not_ours_to_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so the kernel's answer is played.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Failure, match="is not writable for this user") as told:
        prepare(tmp_path)
    assert told.value.exit_code == EXIT_FOR_A_PERSON


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("fuse.mountfs", "mountfs already is mounted here"), ("tmpfs", r"another file system \(tmpfs\)")],
)
def test_a_mount_is_not_covered_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: str
) -> None:
    _mounts(monkeypatch, MountEntry(tmp_path, kind, "x:"))
    with pytest.raises(Failure, match=expected):
        prepare(tmp_path)


def test_a_dead_mount_of_another_program_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mounts(monkeypatch, MountEntry(tmp_path, "fuse.sshfs", "host:"))
    monkeypatch.setattr(mountpoint, "is_dead", lambda path: True)
    with pytest.raises(Failure, match="a dead mount of another program"):
        prepare(tmp_path)


def test_a_dead_mount_of_ours_is_taken_away_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _mounts(monkeypatch, MountEntry(tmp_path, "fuse.mountfs", "x:"))
    monkeypatch.setattr(mountpoint, "is_dead", lambda path: True)
    detached: list[Path] = []

    def detach(path: Path) -> None:
        detached.append(path)
        _mounts(monkeypatch)

    monkeypatch.setattr(mountpoint, "detach", detach)
    assert prepare(tmp_path) == tmp_path
    assert detached == [tmp_path]


def test_a_directory_that_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot use the mount point: File name too long"):
        prepare(tmp_path / ("x" * 300))


def test_no_mount_is_not_dead_and_does_not_answer(tmp_path: Path) -> None:
    assert not mountpoint.is_dead(tmp_path)
    assert not mountpoint.is_dead(tmp_path / "absent")
    assert not SystemKernel().answers(tmp_path)


def test_a_mount_whose_process_ended_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def xattr(*_: object) -> bytes:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(outside, "xattr", xattr)
    assert mountpoint.is_dead(tmp_path)


def test_what_is_not_mounted_cannot_be_unmounted(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=f"cannot unmount; run: fusermount3 -uz {tmp_path}"):
        mountpoint.detach(tmp_path)


@pytest.mark.parametrize(
    ("line", "is_allowed"), [("user_allow_other\n", True), ("#user_allow_other\n", False)]
)
def test_only_fuse_conf_lets_users_open_their_mounts_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, is_allowed: bool
) -> None:
    (tmp_path / "fuse.conf").write_text(f"# comment\n{line}")
    monkeypatch.setattr(mountpoint, "FUSE_CONF", tmp_path / "fuse.conf")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if is_allowed:
        check_fuse(allow_other=True)
    else:
        with pytest.raises(Failure, match="has the line user_allow_other"):
            check_fuse(allow_other=True)


def test_who_cannot_open_the_device_is_told_and_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mountpoint, "DEV_FUSE", tmp_path / "fuse")
    with pytest.raises(Failure, match="is missing") as missing:
        check_fuse(allow_other=False)
    (tmp_path / "fuse").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Failure, match=r"cannot be opened by this user; have root run: chmod a.rw") as closed:
        check_fuse(allow_other=False)
    assert missing.value.exit_code == closed.value.exit_code == EXIT_FOR_A_PERSON


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CapInh:\t0\nCapEff:\t000001ffffffffff\n", True),
        ("CapEff:\t00000000a80425fb\n", False),  # what Docker leaves to root
        ("", True),
    ],
)
def test_root_without_the_right_to_mount_is_found(tmp_path: Path, text: str, expected: bool) -> None:
    status = tmp_path / "status"
    assert may_mount(status)
    status.write_text(text)
    assert may_mount(status) is expected


def _mounts(monkeypatch: pytest.MonkeyPatch, *entries: MountEntry) -> None:
    monkeypatch.setattr(mountpoint, "read_mounts", lambda: list(entries))


def test_a_mount_is_asked_by_another_process(tmp_path: Path) -> None:
    """Python's own audit tells of every getxattr of this process: there is none."""
    asked: list[object] = []
    file = tmp_path / "file"
    file.touch()
    os.setxattr(file, "user.a", b"value")

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.getxattr" and arguments[0] == file:
            asked.append(arguments)

    sys.addaudithook(note)
    assert outside.xattr(file, "user.a") == b"value"
    with pytest.raises(OSError) as missing:
        outside.xattr(file, "user.b")
    assert missing.value.errno == errno.ENODATA
    assert asked == []


def test_one_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "_ASK", "import sys; sys.stdin.read() or __import__('signal').pause()")
    with pytest.raises(TimeoutError):
        outside.xattr(tmp_path, "user.a", 0.2)
