"""Accounts and slots in the state directory."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from daemon.failure import EXIT_FOR_A_PERSON, Failure
from daemon.places.holders import holder_of
from daemon.places.statedir import Slot, StateDir
from mountfs.errors import (
    Forbidden,
    MountfsError,
    NoSpace,
    NotPassedOn,
    NotPermitted,
    NotSignedIn,
    Offline,
    Refused,
    RequestTooBig,
    TooLarge,
    TransferLimit,
)
from mountfs.model.entry import Account
from mountfs.tree.peek import Holding
from tests.fakes.accountdisk import account_in

ACCOUNT = Account("dropbox-1", "Ann")


def away() -> Account:
    raise Offline("no network")


def test_an_account_is_remembered_while_the_service_is_away(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    assert state.identify("work", "credentials", lambda: ACCOUNT) == ACCOUNT
    assert state.identify("work", "credentials", away) == ACCOUNT
    with pytest.raises(Failure, match="does not answer"):
        state.identify("work", "other credentials", away)


def test_refused_credentials_are_told_with_the_command_that_gets_others(tmp_path: Path) -> None:
    def refused() -> Account:
        raise NotSignedIn("the refresh token is not accepted: it was revoked")

    with pytest.raises(Failure, match=r"it was revoked; run: mountfs login work$") as told:
        StateDir(tmp_path).identify("work", "credentials", refused)
    assert told.value.exit_code == EXIT_FOR_A_PERSON


def test_a_slot_can_be_taken_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        StateDir(tmp_path).take_slot(ACCOUNT).release()
    finally:
        os.umask(before)


def test_remotes_that_are_mounted_at_once_are_all_remembered(tmp_path: Path) -> None:
    """Each reads what the others wrote, whoever writes last."""
    names = [f"work{number}" for number in range(8)]

    def mount(name: str) -> None:
        for turn in range(10):
            ask = partial(Account, f"key-{name}-{turn}", "Ann")
            StateDir(tmp_path).identify(name, "credentials", ask)

    threads = [Thread(target=mount, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: StateDir(tmp_path).last_key(name) for name in names} == {
        name: f"key-{name}-9" for name in names
    }


def test_whose_calls_are_counted_is_known_while_the_service_is_away(tmp_path: Path) -> None:
    account = Account("box-1-f7", "Ann", "box-1")
    StateDir(tmp_path).identify("work", "credentials", lambda: account)
    assert StateDir(tmp_path).identify("work", "credentials", away).counted_as == "box-1"
    assert Account("dropbox-1", "Ann").counted_as == "dropbox-1"
    file = tmp_path / "remotes.json"
    file.write_text(file.read_text().replace('"box-1"', '"../box-1"'))
    with pytest.raises(Failure, match="does not answer"):
        StateDir(tmp_path).identify("work", "credentials", away)


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_a_disk_that_takes_nothing_keeps_no_account_from_its_journal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: object,
    call: str,
) -> None:
    state = StateDir(tmp_path)
    state.identify("work", "credentials", lambda: ACCOUNT)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(owner, call, refuse)
        assert state.identify("work", "credentials", lambda: ACCOUNT) == ACCOUNT
        assert not caplog.records  # nothing is new
        assert state.identify("home", "others", lambda: ACCOUNT) == ACCOUNT
    [line] = caplog.messages
    assert "No space left on device" in line
    assert state.identify("work", "credentials", away) == ACCOUNT
    assert {path.name for path in tmp_path.iterdir()} <= {"remotes.json", "remotes.lock"}


def test_accounts_that_cannot_be_read_just_now_are_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = StateDir(tmp_path)
    state.identify("work", "credentials", lambda: ACCOUNT)

    def refuse(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", refuse)
        assert state.identify("home", "others", lambda: ACCOUNT) == ACCOUNT
    [line] = caplog.messages
    assert "Too many open files" in line
    assert state.identify("work", "credentials", away) == ACCOUNT


def test_an_account_is_remembered_over_a_power_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may have the name of a file that replaced another one, and none of its bytes."""
    synced: list[tuple[int, bool]] = []
    known = tmp_path / "remotes.json"
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append((os.fstat(fd).st_ino, known.exists())))
    StateDir(tmp_path).identify("work", "credentials", lambda: ACCOUNT)
    assert synced == [(known.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


@pytest.mark.parametrize("content", ["", "[]", "5", '{"work": 5}', "{", "[" * 100_000])
def test_what_was_remembered_and_makes_no_sense_is_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "remotes.json").write_text(content)
    with pytest.raises(Failure, match="does not answer"):
        StateDir(tmp_path).identify("work", "credentials", away)


@pytest.mark.parametrize("key", ["", ".", "..", "../x", "/etc", "a/b", "a\0b", "\ud800", "a" * 300])
def test_an_account_s_directory_is_never_elsewhere(tmp_path: Path, key: str) -> None:
    state = StateDir(tmp_path / "state")
    with pytest.raises(Failure, match="not the key of an account"):
        state.take_slot(Account(key, "x"))
    assert [path.name for path in tmp_path.iterdir()] == []


def test_what_was_remembered_may_lack_a_key(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.identify("work", "credentials", lambda: ACCOUNT)
    known = tmp_path / "remotes.json"
    kept = json.loads(known.read_text())
    del kept["work"]["key"]
    known.write_text(json.dumps(kept))
    with pytest.raises(Failure, match="does not answer"):
        state.identify("work", "credentials", away)


@pytest.mark.parametrize("which", ["accounts", "accounts/dropbox-1", "accounts/dropbox-1/slot-0"])
def test_a_directory_that_others_can_write_to_is_not_used(tmp_path: Path, which: str) -> None:
    state = StateDir(tmp_path)
    state.take_slot(ACCOUNT).release()
    (tmp_path / which).chmod(0o777)
    with pytest.raises(Failure, match="others may write to it; move it away"):
        state.take_slot(ACCOUNT)


@pytest.mark.parametrize("key", ["../x", "", None, ["a"]])
def test_a_key_that_makes_no_sense_leads_nowhere(tmp_path: Path, key: object) -> None:
    state = StateDir(tmp_path)
    assert state.last_key("work") is None
    state.identify("work", "credentials", lambda: ACCOUNT)
    assert state.last_key("work") == ACCOUNT.key
    (tmp_path / "remotes.json").write_text(json.dumps({"work": {"key": key}}))
    assert state.last_key("work") is None
    with pytest.raises(Failure, match="does not answer"):
        state.identify("work", "credentials", away)


@pytest.mark.parametrize("key", ["../x", "", "a/b"])
def test_a_slot_is_looked_for_in_no_other_place(tmp_path: Path, key: str) -> None:
    with pytest.raises(Failure, match="not the key of an account"):
        list(StateDir(tmp_path).stopped_slots(key))


def test_a_slot_tells_of_the_caches_beside_its_own(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    first = state.take_slot(ACCOUNT)
    assert first.other_caches() == []
    second = state.take_slot(ACCOUNT)
    state.take_slot(Account("dropbox-2", "Bob"))
    (first.directory.parent / "slot-0.bak").mkdir()
    assert first.other_caches() == [second.cache]
    assert second.other_caches() == [first.cache]


def test_a_mount_that_starts_while_an_idle_cache_goes_has_that_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another one it would neither send nor show what is pending there."""
    state = StateDir(tmp_path)
    mine, idle = (state.take_slot(ACCOUNT) for _ in range(2))
    idle.cache.mkdir()
    (idle.cache / "f").write_bytes(b"x")
    idle.release()
    started: list[Slot] = []
    rmtree = shutil.rmtree

    def removing(path: Path, *, ignore_errors: bool) -> None:
        if path.exists():
            started.append(state.take_slot(ACCOUNT))
        rmtree(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", removing)
    state.drop_idle_caches(mine, lambda _: False)
    assert [slot.directory for slot in started] == [idle.directory]
    assert [path.name for path in mine.directory.parent.rglob("*") if path.name in ("cache", "f")] == []


def test_idle_caches_go_but_for_those_that_are_kept(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    mine, running, kept, idle = (state.take_slot(ACCOUNT) for _ in range(4))
    for slot in (mine, running, kept, idle):
        slot.cache.mkdir()
        (slot.cache / "f").write_bytes(b"x")
    kept.release()
    idle.release()
    state.drop_idle_caches(mine, lambda journal: journal == kept.journal)
    assert [slot.cache.exists() for slot in (mine, running, kept, idle)] == [True, True, True, False]
    again = state.take_slot(ACCOUNT)
    assert again.directory == kept.directory, "nothing stays locked"


def test_what_a_running_mount_of_another_account_sends_waits_for_none(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    running, stopped = (state.take_slot(ACCOUNT) for _ in range(2))
    for slot, content in ((running, b"four"), (stopped, b"sixsix")):
        with account_in(slot.directory) as account:
            account.put("a", content)
    stopped.release()
    other = Account("box-1", "Ann")
    assert state.others(other) == {ACCOUNT.key: Holding(1, 6)}
    running.release()
    assert state.others(other) == {ACCOUNT.key: Holding(2, 10)}
    (stopped.directory / "lock").unlink()
    assert state.others(other) == {ACCOUNT.key: Holding(2, 10)}


def test_who_uses_a_slot_is_known_where_locks_are_told_of_by_another_device(tmp_path: Path) -> None:
    """As on Btrfs, where stat(2) names the device of the subvolume."""
    with (tmp_path / "lock").open("wb") as lock:
        mount_id = re.search(r"mnt_id:\s+(\d+)", Path(f"/proc/self/fdinfo/{lock.fileno()}").read_text())
        assert mount_id is not None
        locks, mounts = tmp_path / "locks", tmp_path / "mountinfo"
        inode = os.fstat(lock.fileno()).st_ino
        locks.write_text(f"1: FLOCK  ADVISORY  WRITE 17 ff:ef:{inode} 0 EOF\n")
        mounts.write_text(f"{mount_id[1]} 1 255:239 / /home rw,relatime - btrfs /dev/vda1 rw\n")
        assert holder_of(lock.fileno(), locks, mounts) == " (process 17)"
        mounts.write_text("")
        assert holder_of(lock.fileno(), locks, mounts) == ""


def test_a_file_system_without_locks_is_told_and_costs_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDir(tmp_path)
    opened = len(os.listdir("/proc/self/fd"))

    def refuse(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(Failure, match=f"{tmp_path}/.*/slot-0/lock: cannot be locked: No locks available"):
        state.take_slot(ACCOUNT)
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((error, 2) for error in (Forbidden, NotSignedIn, NotPermitted)),
        *((error, 1) for error in (NotPassedOn, Refused, TooLarge, NoSpace, TransferLimit, RequestTooBig)),
    ],
)
def test_the_service_manager_starts_no_mount_again_that_the_service_refuses_in_so_many_words(
    tmp_path: Path, error: type[MountfsError], code: int
) -> None:
    """What something on the way may have said, or a limit that passes, is asked for again."""

    def ask() -> Account:
        raise error("no")

    with pytest.raises(Failure, match=r"remote 'work'( does not answer)?: no") as told:
        StateDir(tmp_path).identify("work", "credentials", ask)
    assert told.value.exit_code == code
