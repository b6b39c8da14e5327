"""Who can change what we rely on. Whose the files are is played by asking as another user."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.places.ownership import complaint, is_others, make_private, refusal, unwritable

ME = os.getuid()
NOBODY = 4_000_000_001
"""A user that this machine does not know, and who owns nothing."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "above" / "state"
    path.mkdir(parents=True)
    for each in (path, path.parent):
        each.chmod(0o755)
    return path


def test_what_only_its_owner_can_change_is_fine(place: Path) -> None:
    assert complaint(place, ME) is None
    assert complaint(place, ME, may_be_roots=True) is None
    assert complaint(place / "missing" / "deeper", ME) is None


def test_what_belongs_to_somebody_else_is_not(place: Path) -> None:
    told = complaint(place, NOBODY)
    assert told is not None
    assert "belongs to" in told
    assert f"chown user {NOBODY} " in told
    assert is_others(place.stat(), NOBODY)
    assert not is_others(place.stat(), ME)


@pytest.mark.parametrize("which", ["itself", "above"])
def test_what_others_can_write_to_is_not(place: Path, which: str) -> None:
    writable = place if which == "itself" else place.parent
    writable.chmod(0o757)
    assert complaint(place, ME) == f"others may write to {writable}; run: chmod go-w {writable}"


def test_a_sticky_folder_above_is_fine_and_a_sticky_one_itself_is_not(place: Path) -> None:
    place.parent.chmod(0o1777)
    assert complaint(place, ME) is None
    place.chmod(0o1777)
    assert complaint(place, ME) is not None


def test_a_link_is_followed_and_both_ways_are_looked_at(place: Path, tmp_path: Path) -> None:
    link = tmp_path / "open" / "link"
    link.parent.mkdir(mode=0o755)
    link.symlink_to(place)
    assert complaint(link, ME) is None
    place.parent.chmod(0o757)
    assert complaint(link, ME) == f"others may write to {place.parent}; run: chmod go-w {place.parent}"
    place.parent.chmod(0o755)
    link.parent.chmod(0o757)
    assert complaint(link, ME) == f"others may write to {link.parent}; run: chmod go-w {link.parent}"


def test_a_group_of_the_owner_s_own_counts_as_the_owner(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class User:
        pw_name, pw_gid = "ann", place.stat().st_gid

    class Group:
        gr_name = "ann"
        gr_mem: tuple[str, ...] = ("ann",)

    monkeypatch.setattr("pwd.getpwuid", lambda uid: User)
    monkeypatch.setattr("grp.getgrgid", lambda gid: Group)
    place.chmod(0o775)
    assert complaint(place, ME) is None
    for name, members in (("staff", ()), ("ann", ("ann", "bob"))):
        Group.gr_name, Group.gr_mem = name, members
        assert complaint(place, ME) is not None


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_what_we_make_is_ours_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    made = tmp_path / f"{umask:o}" / ".local" / "state"
    before = os.umask(umask)
    try:
        make_private(made)
        make_private(made)
    finally:
        os.umask(before)
    assert complaint(made, ME) is None
    assert [each.stat().st_mode & 0o777 for each in (made, *made.parents[:2])] == [0o700] * 3


def test_a_device_is_not_changed_by_what_is_written_to_it() -> None:
    assert complaint(Path(os.devnull), ME, may_be_roots=True) is None


def test_the_command_that_mends_it_names_the_path_as_a_shell_wants_it(tmp_path: Path) -> None:
    place = tmp_path / "Bob's files"
    place.mkdir()
    place.chmod(0o777)
    told = complaint(place, ME)
    assert told is not None
    subprocess.run(told.partition("run: ")[2], shell=True, check=True)
    assert complaint(place, ME) is None


def test_a_file_system_that_is_mounted_read_only_is_told_from_missing_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(tmp_path) == "is not writable for this user"
    flags = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: flags)
    assert refusal(tmp_path) == "is on a file system that is mounted read-only"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "is not writable for this user"),
        (errno.EPERM, "keeps nothing: Operation not permitted"),
        (errno.ENOSPC, None),
        (errno.EDQUOT, None),
    ],
)
def test_a_place_that_keeps_nothing_says_why(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str | None
) -> None:
    monkeypatch.setattr("daemon.places.ownership.mkdtemp", _failing(number))
    assert unwritable(place) == told


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EINTR])
def test_trouble_that_may_pass_says_nothing_of_a_place(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("daemon.places.ownership.mkdtemp", _failing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        unwritable(place)


def _failing(number: int) -> Callable[..., str]:
    def mkdtemp(**_where: object) -> str:
        raise OSError(number, os.strerror(number))

    return mkdtemp
