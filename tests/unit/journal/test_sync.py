"""What survives power loss, on a disk that forgets what was not synced."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from mountfs.errors import NoSpace
from mountfs.journal.database import WAL_BYTES
from mountfs.journal.sync import SYNC_EVERY_S, Durability, SharedSync
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.accountdisk import AccountDisk, open_account
from tests.fakes.forgetfuldisk import ForgetfulDisk


class ScriptedDisk(ForgetfulDisk):
    """Runs the test's code in the middle of an fdatasync, by the name of the file."""

    def __init__(self) -> None:
        super().__init__()
        self.before_sync: Callable[[str], None] = lambda name: None
        self.after_sync: Callable[[str], None] = lambda name: None
        self.synced: list[str] = []

    def fdatasync(self, fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        self.before_sync(name)
        super().fdatasync(fd)
        self.synced.append(name)
        self.after_sync(name)


LOG = "journal.sqlite-wal"


class Rig:
    """An account whose machine may lose power."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "account"
        self.disk = ScriptedDisk()
        self.account = open_account(self.directory, self.disk)
        self.durability = Durability(self.account.journal, self.account.spool, self.disk)
        self._losses = 0
        self._opened: list[AccountDisk] = []

    def after_power_loss(self) -> AccountDisk:
        self._losses += 1
        target = self.directory.with_name(f"after-{self._losses}")
        # The database itself changes in checkpoints alone, and SQLite syncs those.
        self.disk.lose_power(self.directory, target, kept=["journal.sqlite"])
        self._opened.append(open_account(target))
        return self._opened[-1]

    def close(self) -> None:
        self.durability.close()
        for account in (self.account, *self._opened):
            account.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def _bytes(account: AccountDisk, change: Change) -> bytes:
    assert change.spool is not None
    return account.spool.read(change.spool, 0, 1000)


def _eventually(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


# What a caller who waits gets


def test_without_a_sync_power_loss_may_take_everything(rig: Rig) -> None:
    rig.account.put("/a", b"hello")
    assert rig.after_power_loss().journal.rows() == []


def test_a_synced_change_survives_with_its_bytes_and_says_so(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello")
    rig.durability.sync_change(change.id)
    assert rig.account.get(change).is_synced
    after = rig.after_power_loss()
    assert after.journal.rows() == [rig.account.get(change)]
    assert _bytes(after, change) == b"hello"


def test_a_sync_covers_every_earlier_row(rig: Rig) -> None:
    made = rig.account.journal.add(ChangeKind.MKDIR, RemotePath("/d"), ChangeState.UPLOADED, is_folder=True)
    change = rig.account.put("/d/a", b"hello")
    rig.durability.sync_change(change.id)
    assert made in rig.after_power_loss().journal.rows()


def test_a_row_written_after_the_sync_is_not_torn_just_missing(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello")
    rig.durability.sync_change(change.id)
    rig.account.put("/b", b"later")
    assert [row.id for row in rig.after_power_loss().journal.rows()] == [change.id]


def test_a_folder_or_rename_is_synced_by_its_row_alone(rig: Rig) -> None:
    made = rig.account.journal.add(ChangeKind.MKDIR, RemotePath("/d"), ChangeState.UPLOADED, is_folder=True)
    rig.durability.sync_change(made.id)
    assert rig.after_power_loss().journal.rows() == [made]
    assert rig.disk.synced == [LOG]


def test_an_open_file_keeps_its_bytes_but_is_not_called_whole(rig: Rig) -> None:
    change = rig.account.put("/a", b"half", ChangeState.OPEN)
    rig.durability.sync_change(change.id)
    after = rig.after_power_loss()
    assert _bytes(after, change) == b"half"
    assert not after.journal.rows()[0].is_synced


def test_a_closed_file_that_is_still_held_is_marked(rig: Rig) -> None:
    change = rig.account.put("/a", b"whole", ChangeState.OPEN, is_flushed=True, size_bytes=5)
    rig.durability.sync_change(change.id)
    assert rig.after_power_loss().journal.rows()[0].is_synced


def test_a_file_written_to_while_its_bytes_are_synced_is_not_marked(rig: Rig) -> None:
    journal = rig.account.journal
    change = rig.account.put("/a", b"whole", ChangeState.OPEN, is_flushed=True, size_bytes=5)

    def rewrite(name: str) -> None:
        if name == change.spool:
            journal.amend(change, is_flushed=False, is_synced=False)
            journal.amend(change, is_flushed=True, is_synced=False)

    rig.disk.after_sync = rewrite
    rig.durability.sync_change(change.id)
    assert not rig.account.get(change).is_synced
    rig.disk.after_sync = lambda name: None
    rig.durability.sync_change(change.id)
    assert rig.account.get(change).is_synced


def test_a_change_that_is_gone_needs_nothing(rig: Rig) -> None:
    rig.durability.sync_change(99)
    change = rig.account.put("/a", b"hello", ChangeState.OPEN)
    rig.account.journal.advance(change, ChangeEvent.SUPERSEDED)
    assert change.spool is not None
    rig.account.spool.remove(change.spool)
    rig.durability.sync_change(change.id)


def test_a_file_swept_away_during_the_sync_is_no_error(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello")
    assert change.spool is not None

    def sweep(name: str) -> None:
        rig.account.journal.advance(change, ChangeEvent.SUPERSEDED)
        raise FileNotFoundError(errno.ENOENT, "gone", name)

    rig.disk.before_sync = lambda name: sweep(name) if name == change.spool else None
    rig.durability.sync_change(change.id)


def test_a_missing_file_of_a_live_change_is_an_error(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello")
    assert change.spool is not None
    rig.account.spool.remove(change.spool)
    with pytest.raises(FileNotFoundError):
        rig.durability.sync_change(change.id)


def test_what_is_synced_already_costs_no_sync(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello")
    rig.durability.sync_change(change.id)
    syncs = rig.disk.syncs
    rig.durability.sync_change(change.id)
    rig.durability.sync_journal()
    assert rig.disk.syncs == syncs
    rig.account.journal.set_time(RemotePath("/d"), "", 5)
    rig.durability.sync_journal()
    assert rig.disk.syncs == syncs + 1


# Disks that fail


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), NoSpace("full")])
def test_bytes_that_failed_once_are_never_called_synced(rig: Rig, error: Exception) -> None:
    change = rig.account.put("/a", b"hello")

    def fail(name: str) -> None:
        if name == change.spool:
            raise error

    rig.disk.before_sync = fail
    with pytest.raises(type(error)):
        rig.durability.sync_change(change.id)
    rig.disk.before_sync = lambda name: None
    with pytest.raises(OSError, match="earlier sync"):
        rig.durability.sync_change(change.id)
    rig.durability.step(0.0)
    assert not rig.account.get(change).is_synced


def test_in_the_background_one_bad_file_does_not_hold_up_the_others(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = rig.account.put("/bad", b"x"), rig.account.put("/good", b"y")

    def fail(name: str) -> None:
        if name == bad.spool:
            raise OSError(errno.EIO, "I/O error")

    rig.disk.before_sync = fail
    with caplog.at_level(logging.ERROR):
        rig.durability.step(0.0)
        rig.durability.step(1.0)
    assert rig.account.get(good).is_synced
    assert not rig.account.get(bad).is_synced
    assert len([record for record in caplog.records if "/bad" in record.getMessage()]) == 1


def test_a_journal_that_failed_once_is_never_called_synced(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> None:
        raise OSError(errno.EIO, "I/O error")

    rig.disk.before_sync = fail
    made = rig.account.journal.add(ChangeKind.MKDIR, RemotePath("/d"), ChangeState.UPLOADED)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(2):
            with pytest.raises(OSError, match="I/O error"):
                rig.durability.sync_change(made.id)
    rig.disk.before_sync = lambda name: None
    with pytest.raises(OSError, match="earlier sync of the journal"):
        rig.durability.sync_journal()
    assert rig.durability.step(5.0) == 5.0 + SYNC_EVERY_S
    assert len(caplog.records) == 1


# In the background


def test_the_background_syncs_what_is_whole(rig: Rig) -> None:
    changes = [rig.account.put(f"/{number}", b"%d" % number) for number in range(5)]
    half = rig.account.put("/open", b"half", ChangeState.OPEN)
    assert rig.durability.step(10.0) == 10.0 + SYNC_EVERY_S
    after = rig.after_power_loss()
    assert [row.is_synced for row in after.journal.rows()] == [True] * 5 + [False]
    for number, change in enumerate(changes):
        assert _bytes(after, change) == b"%d" % number
    assert half.spool not in rig.disk.synced


def test_the_background_syncs_rows_of_names_and_rests_when_nothing_changed(rig: Rig) -> None:
    rig.account.journal.add(ChangeKind.MKDIR, RemotePath("/d"), ChangeState.UPLOADED, is_folder=True)
    rig.durability.step(0.0)
    assert len(rig.after_power_loss().journal.rows()) == 1
    syncs = rig.disk.syncs
    rig.durability.step(1.0)
    assert rig.disk.syncs == syncs


def test_a_file_sealed_later_is_synced_later(rig: Rig) -> None:
    change = rig.account.put("/a", b"half", ChangeState.OPEN)
    rig.durability.step(0.0)
    rig.account.journal.advance(change, ChangeEvent.SEAL, size_bytes=4)
    rig.durability.step(1.0)
    assert rig.account.get(change).is_synced


def test_what_the_last_run_left_unsynced_is_synced(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello")
    durability = Durability(rig.account.journal, rig.account.spool, rig.disk)
    durability.step(0.0)
    assert rig.account.get(change).is_synced
    durability.close()


def test_what_is_committed_before_its_turn_costs_no_sync(rig: Rig) -> None:
    change = rig.account.put("/a", b"hello", ChangeState.COMMITTING)
    rig.account.journal.advance(change, ChangeEvent.ACKNOWLEDGED)
    rig.durability.step(0.0)
    assert rig.disk.synced == [LOG]


def test_a_long_log_is_moved_into_the_database_and_stays_short(rig: Rig) -> None:
    journal = rig.account.journal
    log = rig.directory / LOG
    change = rig.account.put("/a", b"hello")

    def grow() -> None:
        for _ in range(40):
            with journal.transaction():
                for _ in range(50):
                    journal.amend(change, error="x" * 3000)
                    journal.notice(RemotePath("/a"), "y" * 3000)

    while log.stat().st_size <= WAL_BYTES:
        grow()
    rig.durability.step(0.0)
    journal.amend(change, error="short")
    rig.durability.step(1.0)
    assert log.stat().st_size <= WAL_BYTES
    after = rig.after_power_loss()
    assert after.journal.rows()[0].error == "short"


# Sharing


def test_those_who_come_while_a_sync_runs_share_the_next() -> None:
    runs: list[int] = []
    gate, running = Event(), Event()

    def work() -> None:
        runs.append(1)
        running.set()
        assert gate.wait(20)

    shared = SharedSync(work)
    first = Thread(target=shared.sync)
    first.start()
    assert running.wait(20)
    others = [Thread(target=shared.sync) for _ in range(10)]
    for thread in others:
        thread.start()
    _eventually(lambda: len(shared._turn._waiters) == 10)  # type: ignore[attr-defined]
    assert len(runs) == 1
    gate.set()
    for thread in (first, *others):
        thread.join(20)
        assert not thread.is_alive()
    assert len(runs) == 2


def test_a_sync_that_began_earlier_does_not_count() -> None:
    runs: list[int] = []
    shared = SharedSync(lambda: runs.append(1))
    shared.sync()
    shared.sync()
    assert len(runs) == 2


def test_each_waiter_of_a_failed_sync_tries_itself_and_hears_of_it() -> None:
    gate, running = Event(), Event()
    failed: list[int] = []

    def work() -> None:
        running.set()
        assert gate.wait(20)
        raise OSError(errno.EIO, "I/O error")

    shared = SharedSync(work)

    def call() -> None:
        try:
            shared.sync()
        except OSError:
            failed.append(1)

    threads = [Thread(target=call) for _ in range(4)]
    threads[0].start()
    assert running.wait(20)
    for thread in threads[1:]:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(20)
    assert len(failed) == 4


def test_writers_go_on_while_the_journal_is_synced(rig: Rig) -> None:
    written: list[Change] = []

    def write_meanwhile(name: str) -> None:
        if name == LOG and not written:
            writer = Thread(target=lambda: written.append(rig.account.put("/b", b"meanwhile")))
            writer.start()
            writer.join(20)
            assert not writer.is_alive()

    rig.disk.before_sync = write_meanwhile
    rig.durability.sync_change(rig.account.put("/a", b"hello").id)
    assert len(written) == 1


def test_fsyncs_of_many_threads_all_hold(rig: Rig) -> None:
    changes = [rig.account.put(f"/{number}", b"%d" % number) for number in range(24)]
    threads = [Thread(target=rig.durability.sync_change, args=(change.id,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = rig.after_power_loss()
    assert all(row.is_synced for row in after.journal.rows())
    assert [_bytes(after, change) for change in changes] == [b"%d" % number for number in range(24)]
