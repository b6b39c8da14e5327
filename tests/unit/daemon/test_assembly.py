"""A mount put together as the process does it, on an account in memory; its threads are not started."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from daemon.commit.committer import Committer
from daemon.config.options import MountOptions
from daemon.config.settings import DropboxRemote, RemoteSpec
from daemon.failure import Failure
from daemon.places.statedir import StateDir
from daemon.process import adoption, assembly
from daemon.process.assembly import IDLE_CACHE_S, assemble
from daemon.process.connection import Connection
from daemon.process.mounted import RunningAccount
from daemon.process.run import MountPlan
from daemon.upkeep.filler import Filler
from daemon.upkeep.follow import Follower
from mountfs.clock import boot_id
from mountfs.errors import DiskFull, Offline
from mountfs.model.path import ROOT, RemotePath
from mountfs.tree.database import StoreUnusable
from mountfs.tree.schema import VERSION
from mountfs.upload.uploader import Uploader
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.world import World

REMOTE = DropboxRemote("work", access_token="t")


class Machine:
    """A state directory, and the account that all mounts on the machine are of."""

    def __init__(self, directory: Path, account: MemoryAccount) -> None:
        self.directory = directory
        self.account = account
        self.running: list[RunningAccount] = []
        self.heard: list[Callable[[], None]] = []
        """What is called when the service has answered."""
        self.silent: tuple[str, ...] = ()
        """What the service takes and never answers."""

    def mount(self, folder: RemotePath = ROOT) -> RunningAccount:
        options = MountOptions(self.directory, os.getuid(), os.getgid())
        plan = MountPlan(RemoteSpec("work", folder), REMOTE, Path("/mnt/x"), options)
        account = assemble(plan, REMOTE, Path("/run/s"))
        self.running.append(account)
        return account

    def unmount(self, account: RunningAccount) -> None:
        self.running.remove(account)
        account.close()

    def slot(self, number: int) -> Path:
        return self.directory / "accounts" / self.account.key / f"slot-{number}"

    def leave(self, number: int, path: str, body: bytes) -> None:
        """A mount that ran in this slot ends with something pending."""
        self.slot(number).mkdir(parents=True, exist_ok=True)
        left = World(self.slot(number), self.account, boot_id=boot_id())
        left.put(path, body)
        left.close()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    account = MemoryAccount()
    made = Machine(tmp_path, account)

    def connect(*_: object) -> Connection:
        backend = MemoryBackend(account)
        for route in made.silent:
            backend.hold(route)
        return Connection(backend, hear=made.heard.append)

    monkeypatch.setattr(assembly, "connect", connect)
    yield made
    for each in made.running:
        each.close()


def pending(account: RunningAccount) -> int:
    return account.backlog(ROOT).pending


def told(account: RunningAccount) -> list[str]:
    return [trouble.reason for trouble in account.status().troubles]


def test_whoever_waits_because_the_service_was_away_hears_that_it_answers(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    for kind in (Uploader, Committer, Filler, Follower):
        monkeypatch.setattr(kind, "answered", lambda _, name=kind.__name__: told.append(name))
    machine.mount()
    for call in machine.heard:
        call()
    assert told == ["Uploader", "Committer", "Filler", "Follower"]


# What other mounts left


def test_a_mount_takes_over_what_mounts_that_no_longer_run_left(machine: Machine) -> None:
    for number in (1, 2):
        machine.leave(number, f"/f{number}", b"12345")
    account = machine.mount()
    assert pending(account) == 2
    assert account.status().pending.size_bytes == 10
    assert not (machine.slot(1) / "journal.db").exists()


def test_files_that_a_killed_mount_had_linked_before_its_rows_are_no_files_of_its_own(
    machine: Machine,
) -> None:
    machine.leave(1, "/f", b"12345")
    World(machine.slot(1), machine.account, boot_id=boot_id()).close()  # it wrote the rows that were missing
    (machine.slot(0) / "spool").mkdir(parents=True)
    for file in (machine.slot(1) / "spool").iterdir():
        os.link(file, machine.slot(0) / "spool" / file.name)
    account = machine.mount()
    assert pending(account) == 1
    assert told(account) == []


def test_a_cache_that_nobody_adds_to_any_more_becomes_part_of_the_one_of_the_next_mount(
    machine: Machine,
) -> None:
    """That of a second mount, which may run again tomorrow, stays there."""
    cached = "00000001.4.abcd"
    for number, age_s in ((1, 2 * IDLE_CACHE_S), (2, 60.0)):
        cache = machine.slot(number) / "cache"
        cache.mkdir(parents=True, mode=0o700)
        (cache / cached).write_bytes(b"body")
        since_s = cache.stat().st_mtime - age_s
        os.utime(cache, (since_s, since_s))
    machine.mount()
    assert not (machine.slot(1) / "cache").exists()
    assert (machine.slot(0) / "cache" / cached).read_bytes() == b"body"
    assert (machine.slot(2) / "cache" / cached).exists()


def test_what_a_running_mount_has_stays_with_it(machine: Machine) -> None:
    machine.leave(0, "/f", b"x")
    first = machine.mount()
    second = machine.mount()
    assert (pending(first), pending(second)) == (1, 0)
    machine.unmount(first)
    machine.unmount(second)
    assert pending(machine.mount()) == 1


def test_a_mount_of_another_folder_has_yet_to_send_what_was_left_outside_of_it(machine: Machine) -> None:
    machine.account.mkdir("/sub")
    machine.leave(0, "/outside", b"12345")
    account = machine.mount(RemotePath("/sub"))
    assert pending(account) == 0
    assert (account.unsent().pending, account.unsent().size_bytes) == (1, 5)
    assert account.status().pending.count == 1


def garbage(store: Path) -> None:
    store.write_bytes(b"what is this? " * 1000)


def cut_off(store: Path) -> None:
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = store.stat().st_size
    os.truncate(store, size // 2)


def of_another_version(store: Path) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")


def without_a_table(store: Path) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("DROP TABLE contents")


def a_directory(store: Path) -> None:
    store.unlink()
    store.mkdir()


def with_a_spool_that_is_none(store: Path) -> None:
    for path in (store.parent / "spool").iterdir():
        path.unlink()
    (store.parent / "spool").rmdir()
    (store.parent / "spool").write_bytes(b"")


def with_values_that_make_no_sense(store: Path) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        columns = "id, kind, parent, name, base_parent, base_name, is_document, touched_ns, is_dirty"
        db.execute(f"INSERT INTO nodes ({columns}) VALUES (99, 'file', 1, 'x', 1, 'x', 0, 0, 1)")


def whose_tables_are_no_text(store: Path) -> None:
    """SQLite quotes them, and its message cannot be decoded."""
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    text = b"CREATE TABLE nodes"
    assert store.read_bytes().count(text) == 1
    store.write_bytes(store.read_bytes().replace(text, b"CREATE TABL\xff nodes"))


def that_others_can_write_to(store: Path) -> None:
    store.parent.chmod(0o777)


def whose_lock_is_a_link(store: Path) -> None:
    (store.parent / "lock").unlink(missing_ok=True)
    (store.parent / "lock").symlink_to("elsewhere")


DAMAGES = [
    garbage,
    cut_off,
    of_another_version,
    without_a_table,
    a_directory,
    with_a_spool_that_is_none,
    with_values_that_make_no_sense,
    whose_tables_are_no_text,
    that_others_can_write_to,
    whose_lock_is_a_link,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_slot_is_left_alone_and_told_and_keeps_no_mount_from_starting(
    machine: Machine, damage: Callable[[Path], None]
) -> None:
    for number in (1, 2):
        machine.leave(number, f"/f{number}", b"x")
    store = machine.slot(1) / "journal.db"
    damage(store)
    before = store.read_bytes() if store.is_file() else None
    spooled = sorted((machine.slot(1)).glob("spool/*"))
    account = machine.mount()
    assert pending(account) == 1
    [reason] = told(account)
    assert reason.startswith(f"what another mount left pending in {machine.slot(1)} cannot be taken over: ")
    assert sorted((machine.slot(1)).glob("spool/*")) == spooled
    assert before is None or store.read_bytes() == before


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), RecursionError("too deep"), DiskFull("the disk is full"), MemoryError()]
)
def test_whatever_fails_when_a_slot_is_taken_over_keeps_no_mount_from_starting(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    machine.leave(1, "/f", b"x")

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(adoption, "identify", fail)
        account = machine.mount()
    assert pending(account) == 0
    [reason] = told(account)
    assert reason.startswith(f"what another mount left pending in {machine.slot(1)} cannot be taken over: ")
    machine.unmount(account)
    assert pending(machine.mount()) == 1


def test_a_copy_that_somebody_made_of_a_slot_is_no_slot(machine: Machine) -> None:
    machine.leave(0, "/f", b"x")
    copies = [machine.slot(0).with_name(f"slot-0{end}") for end in (".bak", " (copy)", "-old")]
    copies.append(machine.slot(0).with_name("slot-x"))
    for copy in copies:
        shutil.copytree(machine.slot(0), copy)
    account = machine.mount()
    assert pending(account) == 1
    assert told(account) == []
    assert all((copy / "journal.db").exists() for copy in copies)


@pytest.mark.parametrize("damage", [with_values_that_make_no_sense, whose_tables_are_no_text])
def test_a_damaged_slot_of_ours_is_refused_with_what_to_do(
    machine: Machine, damage: Callable[[Path], None]
) -> None:
    machine.leave(0, "/f", b"x")
    damage(machine.slot(0) / "journal.db")
    StateDir(machine.directory).all_pending()  # whoever asks for it is not to fail
    with pytest.raises(StoreUnusable, match="run mountfs fsck --repair"):
        machine.mount()


def test_a_slot_whose_damage_was_repaired_is_taken_over_by_the_next_mount(machine: Machine) -> None:
    machine.leave(1, "/f", b"x")
    store = machine.slot(1) / "journal.db"
    of_another_version(store)
    machine.unmount(machine.mount())
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute(f"UPDATE meta SET value = '{VERSION}' WHERE key = 'schema'")
    account = machine.mount()
    assert pending(account) == 1
    assert account.status().pending.size_bytes == 1


# Journals of another version of mountfs


def leave_spent(machine: Machine, number: int = 0) -> Path:
    """A mount that has read something ends; the directory of its slot."""
    machine.account.write("/f", b"x")
    machine.slot(number).mkdir(parents=True, exist_ok=True)
    left = World(machine.slot(number), machine.account, boot_id=boot_id())
    assert left.names() == {"f"}
    left.close()
    (machine.slot(number) / "cache").mkdir(mode=0o700, exist_ok=True)
    (machine.slot(number) / "cache" / "00000001.4.abcd").write_bytes(b"body")
    return machine.slot(number)


def changed(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute(statement)


def with_a_mode(store: Path) -> None:
    changed(store, """UPDATE nodes SET attributes = '{"mode": 420}' WHERE name = 'f'""")


def with_a_pin(store: Path) -> None:
    changed(store, "INSERT INTO pins (node, path, path_key) VALUES (2, '/f', '/f')")


def with_a_pin_of_version_5(store: Path) -> None:
    changed(store, "INSERT INTO meta VALUES ('pins', '[2]')")
    changed(store, "DROP TABLE pins")


def with_a_line_of_attributes(store: Path) -> None:
    Path(f"{store}-attributes").write_bytes(b"a line")


def with_bytes_in_the_spool(store: Path) -> None:
    (store.parent / "spool").mkdir(exist_ok=True)
    (store.parent / "spool" / "one").write_bytes(b"x")


def with_a_change(store: Path) -> None:
    changed(store, "UPDATE nodes SET is_dirty = 1 WHERE name = 'f'")


def with_a_table_that_is_none_here(store: Path) -> None:
    changed(store, "CREATE TABLE what (is_it)")


@pytest.mark.parametrize("former", [0, 1, 1_000])
def test_where_nothing_is_left_in_a_journal_of_another_version_a_mount_begins_anew(
    machine: Machine, caplog: pytest.LogCaptureFixture, former: int
) -> None:
    slot = leave_spent(machine)
    of_another_version(slot / "journal.db")
    aside = slot.with_name("slot-0.version-999")
    for number in range(2, former + 2):
        aside.mkdir()
        aside = slot.with_name(f"slot-0.version-999-{number}")
    account = machine.mount()
    assert told(account) == []
    assert str(aside) in caplog.text
    assert (aside / "journal.db").exists()
    assert (slot / "cache" / "00000001.4.abcd").read_bytes() == b"body"
    machine.unmount(account)
    caplog.clear()
    machine.mount()
    assert caplog.text == ""


def test_a_journal_of_another_version_that_cannot_be_moved_away_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = leave_spent(machine)
    of_another_version(slot / "journal.db")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(Failure, match=f"cannot move {slot} to {slot}.version-999: Permission denied"):
            machine.mount()
    assert told(machine.mount()) == []


def test_a_spent_journal_of_another_version_that_nobody_uses_is_no_trouble(machine: Machine) -> None:
    of_another_version(leave_spent(machine, 1) / "journal.db")
    assert told(machine.mount()) == []
    assert (machine.slot(1) / "journal.db").exists()


@pytest.mark.parametrize(
    ("left", "what"),
    [
        (with_a_mode, "nothing is pending in it, but modes, links or pins are kept: with mountfs 9.9, which"),
        (with_a_pin, "nothing is pending in it, but modes"),
        (with_a_pin_of_version_5, "nothing is pending in it, but modes"),
        (with_a_line_of_attributes, "nothing is pending in it, but modes"),
        (with_bytes_in_the_spool, "1 change is in it: use mountfs 9.9, which wrote it, and once all is sent"),
        (with_a_change, "1 change is in it"),
        (with_a_table_that_is_none_here, "or, once that has sent all that is pending, move"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_where_something_is_left_in_a_journal_of_another_version_it_stays_and_one_line_says_what_to_do(
    machine: Machine, left: Callable[[Path], None], what: str
) -> None:
    store = leave_spent(machine) / "journal.db"
    left(store)
    of_another_version(store)
    changed(store, "INSERT INTO meta VALUES ('program', '9.9')")
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = store.read_bytes()
    with pytest.raises(StoreUnusable) as raised:
        machine.mount()
    message = str(raised.value)
    assert "its version is 999, this mountfs knows" in message
    assert what in message
    assert f"move {store.parent} away" in message
    assert "\n" not in message
    assert store.read_bytes() == before


def test_files_of_lost_changes_beside_a_journal_of_another_version_stay_in_sight(machine: Machine) -> None:
    """Notices of them may be gone: it keeps the newest 200."""
    store = leave_spent(machine) / "journal.db"
    of_another_version(store)
    directory = store.parent / "spool-set-aside"
    directory.mkdir()
    (directory / "one").write_bytes(b"x")
    with pytest.raises(StoreUnusable, match=f"1 file of lost changes lies in {directory}: look at it"):
        machine.mount()
    assert (directory / "one").read_bytes() == b"x"
    (directory / "one").unlink()
    assert told(machine.mount()) == []


def test_a_journal_says_which_mountfs_wrote_it(machine: Machine) -> None:
    machine.unmount(machine.mount())
    with closing(sqlite3.connect(machine.slot(0) / "journal.db")) as db:
        [(program,)] = db.execute("SELECT value FROM meta WHERE key = 'program'").fetchall()
    assert program == version("mountfs")


# Files set aside


def test_files_that_nothing_names_are_set_aside_and_listed_until_somebody_removes_them(
    machine: Machine,
) -> None:
    machine.unmount(machine.mount())
    spool = machine.slot(0) / "spool"
    for name in ("one", "two"):
        (spool / name).write_bytes(b"x" * 512)
    account = machine.mount()
    aside = machine.slot(0) / "spool-set-aside"
    first = account.status().troubles[0]
    assert (first.path, first.state) == (str(aside), "set aside")
    assert first.reason.startswith("2 files of lost changes, 1.0 KiB")
    machine.unmount(account)
    account = machine.mount()
    assert account.status().troubles[0].path == str(aside)
    machine.unmount(account)
    for path in aside.iterdir():
        path.unlink()
    account = machine.mount()
    assert "set aside" not in [trouble.state for trouble in account.status().troubles]


# A service that takes calls and answers none


@pytest.mark.parametrize("silent", [("account",), ("latest_cursor",), ("account", "latest_cursor", "stat")])
def test_an_account_that_is_known_is_mounted_though_the_service_is_silent(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, silent: tuple[str, ...]
) -> None:
    machine.unmount(machine.mount())
    monkeypatch.setattr(assembly, "PATIENCE_S", 0.01)
    machine.silent = silent
    assert machine.mount().status().account == "Memory"


def test_a_mount_tells_once_as_whom_it_is_signed_in(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    signed_in = "signed-in remote=work account=Memory"
    with caplog.at_level(logging.INFO):
        machine.unmount(machine.mount())
        assert caplog.messages.count(signed_in) == 1
        caplog.clear()
        monkeypatch.setattr(assembly, "PATIENCE_S", 0.01)
        machine.silent = ("account",)
        machine.unmount(machine.mount())
    assert signed_in not in caplog.messages


def test_a_service_that_was_away_at_the_start_is_signed_in_to_later_and_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = MemoryBackend(MemoryAccount())
    introduction = assembly._Introduction("work", backend, 0.01)
    with caplog.at_level(logging.INFO):
        backend.is_online = False
        with pytest.raises(Offline):
            introduction.ask()
        backend.is_online = True
        for _ in range(2):
            introduction.make_up()
    assert caplog.messages == ["signed-in remote=work account=Memory"]


def test_an_account_that_is_not_known_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "PATIENCE_S", 0.0)
    assert machine.mount().status().account == "Memory"


def copied(account: RunningAccount) -> list[str]:
    return [text for text in told(account) if " is a copy of " in text]


def in_another_place(machine: Machine, place: Path) -> Machine:
    made = Machine(place, machine.account)
    made.running = machine.running
    return made


def test_a_copy_of_a_state_directory_is_told_once_while_what_it_was_made_of_is_there(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine.unmount(machine.mount())
    machine.leave(0, "/f", b"x")
    shutil.copytree(machine.slot(0), tmp_path / "copy" / machine.slot(0).relative_to(machine.directory))
    copy = in_another_place(machine, tmp_path / "copy")
    account = copy.mount()
    [text] = copied(account)
    assert text.startswith(f"{copy.slot(0)} is a copy of {machine.slot(0)}: ")
    assert caplog.messages == [text]
    copy.unmount(account)
    copy.unmount(copy.mount())
    assert caplog.messages == [text]
    account = machine.mount()
    assert copied(account) == []


@pytest.mark.parametrize("way", ["moved", "moved to another disk", "by another path", "nothing pending"])
def test_a_state_directory_that_only_one_mount_can_use_is_no_copy(
    machine: Machine, tmp_path: Path, way: str
) -> None:
    machine.unmount(machine.mount())
    if way != "nothing pending":
        machine.leave(0, "/f", b"x")
    accounts, place = machine.directory / "accounts", tmp_path / "place"
    place.mkdir()
    if way == "moved":
        accounts.rename(place / "accounts")
    elif way == "by another path":
        (place / "accounts").symlink_to(accounts)
    else:
        shutil.copytree(accounts, place / "accounts")
    if way == "moved to another disk":
        shutil.rmtree(accounts)
    elsewhere = in_another_place(machine, place)
    account = elsewhere.mount()
    assert pending(account) == (way != "nothing pending")
    assert copied(account) == []
