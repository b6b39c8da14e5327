"""What survives power loss, on a disk that forgets what was not synced."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from mountfs.errors import NoSpace
from mountfs.tree import sync as sync_module
from mountfs.tree.database import WAL_BYTES
from mountfs.tree.node import FORGOTTEN, Node
from mountfs.tree.sharedsync import SharedSync
from mountfs.tree.sync import MOST_TRIES, STEP_S, SYNC_EVERY_S, Durability
from tests.doubles.rows import count_nodes
from tests.doubles.world import World
from tests.fakes.accountdisk import AccountDisk
from tests.fakes.forgetfuldisk import ForgetfulDisk
from tests.waiting import until


class ScriptedDisk(ForgetfulDisk):
    """Runs the test's code in the middle of an fdatasync, by the name of the file."""

    def __init__(self) -> None:
        super().__init__()
        self.before_sync: Callable[[str], None] = lambda name: None
        self.after_sync: Callable[[str], None] = lambda name: None
        self.synced_names: list[str] = []

    def fdatasync(self, fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        self.before_sync(name)
        super().fdatasync(fd)
        self.synced_names.append(name)
        self.after_sync(name)


LOG = "journal.db-wal"


class Rig:
    """An account whose machine may lose power."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "account"
        self.disk = ScriptedDisk()
        self.account = AccountDisk(self.directory, self.disk)
        self.durability = Durability(self.account.tree, self.account.spool, self.disk)
        self._losses = 0
        self._opened: list[AccountDisk] = []

    @property
    def log(self) -> Path:
        return self.directory / LOG

    def sync(self, node: Node) -> None:
        self.durability.sync_content(self.account.content(node))

    def is_synced(self, node: Node) -> bool:
        return self.account.content(node).is_synced

    def spool_of(self, node: Node) -> str:
        return self.account.content(node).spool

    def after_power_loss(self) -> AccountDisk:
        """What is left, as the same run of the machine sees it: nothing is called damaged."""
        self._losses += 1
        target = self.directory.with_name(f"after-{self._losses}")
        # The database itself changes in checkpoints alone, and SQLite syncs those.
        self.disk.lose_power(self.directory, target, kept=["journal.db"])
        self._opened.append(AccountDisk(target))
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


def fail_on(name: str, error: Exception) -> Callable[[str], None]:
    def fail(synced: str) -> None:
        if synced == name:
            raise error

    return fail


def let_pass(name: str) -> None:
    """No failure."""


# What a caller who waits gets


def test_without_a_sync_power_loss_may_take_everything(rig: Rig) -> None:
    rig.account.put("a", b"hello")
    assert rig.after_power_loss().nodes() == {}


def test_a_synced_version_survives_with_its_bytes_and_says_so(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    rig.sync(node)
    assert rig.is_synced(node)
    after = rig.after_power_loss()
    assert after.nodes().keys() == {"a"}
    assert after.content(after.node(node.id)) == rig.account.content(node)
    assert after.body(after.node(node.id)) == b"hello"


def test_with_the_first_sync_the_directories_that_were_made_for_the_store_survive(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    slot = tmp_path / "state" / "accounts" / "slot-0"
    world = World(slot, disk=disk)
    number = world.begin("/f", b"bytes")
    world.fs.fsync(number)
    disk.lose_power(tmp_path, tmp_path / "left", kept=("journal.db",))
    left = tmp_path / "left" / slot.relative_to(tmp_path)
    assert (left / "journal.db-wal").exists()
    assert b"bytes" in [file.read_bytes() for file in (left / "spool").iterdir()]
    world.close_file(number)
    world.close()


def test_a_sync_covers_every_earlier_row(rig: Rig) -> None:
    folder = rig.account.make_folder("d")
    rig.sync(rig.account.put("a", b"hello", folder=folder))
    assert rig.after_power_loss().nodes().keys() == {"d", "a"}


def test_a_row_written_after_the_sync_is_not_torn_just_missing(rig: Rig) -> None:
    rig.sync(rig.account.put("a", b"hello"))
    rig.account.put("b", b"later")
    assert rig.after_power_loss().nodes().keys() == {"a"}


def test_a_new_folder_is_synced_by_its_row_alone(rig: Rig) -> None:
    rig.account.make_folder("d")
    rig.durability.sync_store()
    assert rig.after_power_loss().nodes().keys() == {"d"}
    assert rig.disk.synced_names == [LOG]


def test_of_a_folder_the_names_and_the_closed_files_in_it_are_synced_and_no_others(rig: Rig) -> None:
    folder = rig.account.make_folder("d")
    inside = rig.account.put("a", b"hello", folder=folder)
    rig.account.put("open", b"half", folder=folder, is_open=True)
    outside = rig.account.put("b", b"hello")
    rig.durability.sync_below(folder)
    assert rig.is_synced(inside)
    assert not rig.is_synced(outside)
    assert rig.disk.synced_names == [rig.spool_of(inside), LOG]
    assert rig.after_power_loss().body(inside) == b"hello"


def test_an_open_file_keeps_its_bytes_but_is_not_called_whole(rig: Rig) -> None:
    node = rig.account.put("a", b"half", is_open=True)
    rig.sync(node)
    assert not rig.is_synced(node)
    [copy] = rig.after_power_loss().nodes().values()
    assert rig._opened[-1].body(copy) == b"half"
    assert "recovered copy" in copy.state.name


def test_a_closed_file_that_is_still_held_is_marked(rig: Rig) -> None:
    node = rig.account.put("a", b"whole", is_open=True, is_flushed=True, size_bytes=5)
    rig.sync(node)
    after = rig.after_power_loss()
    assert after.content(after.node(node.id)).is_synced


def test_that_bytes_are_safe_is_noted_in_their_rows_and_told_to_nobody(rig: Rig) -> None:
    nodes = [rig.account.put(name, b"hello") for name in "abc"]
    told: list[Node] = []
    rig.account.tree.watch(lambda node, _before, _after: told.append(node))
    commits = rig.account.tree.store.commits
    rig.durability.step(0.0)
    assert all(map(rig.is_synced, nodes))
    assert not told
    assert rig.account.tree.store.commits == commits + 1
    assert all(content.is_synced for content, _, _ in rig.account.tree.store.contents())


def test_a_file_written_to_while_its_bytes_are_synced_is_not_marked(rig: Rig) -> None:
    node = rig.account.put("a", b"whole", is_open=True, is_flushed=True, size_bytes=5)

    def rewrite(name: str) -> None:
        if name == rig.spool_of(node):
            rig.account.amend(node, is_flushed=False, is_synced=False)
            rig.account.amend(node, is_flushed=True, is_synced=False)

    rig.disk.after_sync = rewrite
    rig.sync(node)
    assert not rig.is_synced(node)
    rig.disk.after_sync = let_pass
    rig.sync(node)
    assert rig.is_synced(node)


@pytest.mark.parametrize("is_waited_for", [False, True], ids=["folder", "file"])
def test_a_file_whose_hash_is_booked_while_its_bytes_are_synced_is_marked(
    rig: Rig, is_waited_for: bool
) -> None:
    node = rig.account.put("a", b"whole")

    def book(name: str) -> None:
        if name == rig.spool_of(node) and not rig.account.content(node).is_uploaded:
            rig.account.amend(node, content_hash="hash")

    rig.disk.after_sync = book
    if is_waited_for:
        rig.sync(node)
    else:
        rig.durability.sync_below(rig.account.tree.root)
    content = rig.account.content(node)
    assert (content.content_hash, content.is_synced) == ("hash", True)


def test_a_file_that_is_written_and_closed_all_the_time_holds_no_sync_for_ever(rig: Rig) -> None:
    node = rig.account.put("a", b"whole")

    def rewrite(name: str) -> None:
        if name == rig.spool_of(node):
            rig.account.amend(node, mtime_ns=rig.account.content(node).mtime_ns + 1)

    rig.disk.after_sync = rewrite
    rig.durability.sync_below(rig.account.tree.root)
    assert rig.disk.synced_names.count(rig.spool_of(node)) == MOST_TRIES
    assert not rig.is_synced(node)


def test_a_file_that_is_not_known_to_the_store_yet_is_written_down_by_its_sync(tmp_path: Path) -> None:
    world = World(tmp_path)
    handle = world.begin("/a", b"half")
    tree = world.core.tree
    assert len(tree.unsaved) == 1
    world.fs.fsync(handle)
    assert not tree.unsaved
    assert [content.is_flushed for content, _, _ in tree.store.contents()] == [False]
    world.close()


def test_bytes_that_are_nobodys_need_no_sync(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    content = rig.account.content(node)
    rig.account.remove(node)
    rig.account.spool.remove(content.spool)
    rig.durability.sync_content(content)
    assert rig.disk.synced_names == [LOG]


def test_a_file_swept_away_during_the_sync_is_no_error(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    spool = rig.spool_of(node)

    def sweep(name: str) -> None:
        if name == spool:
            rig.account.remove(node)
            raise FileNotFoundError(errno.ENOENT, "gone", name)

    rig.disk.before_sync = sweep
    rig.sync(node)


def test_a_missing_file_of_a_pending_version_is_an_error(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    rig.account.spool.remove(rig.spool_of(node))
    with pytest.raises(FileNotFoundError):
        rig.sync(node)


def test_what_is_synced_already_costs_no_sync(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    rig.sync(node)
    syncs = rig.disk.syncs
    rig.sync(node)
    rig.durability.sync_store()
    assert rig.disk.syncs == syncs
    rig.account.tree.notice("/d", "hm")
    rig.durability.sync_store()
    assert rig.disk.syncs == syncs + 1


# Disks that fail


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), NoSpace("full")])
def test_bytes_that_failed_once_are_never_called_synced(rig: Rig, error: Exception) -> None:
    node = rig.account.put("a", b"hello")
    rig.disk.before_sync = fail_on(rig.spool_of(node), error)
    with pytest.raises(type(error)):
        rig.sync(node)
    rig.disk.before_sync = let_pass
    with pytest.raises(OSError, match="earlier sync"):
        rig.sync(node)
    rig.durability.step(0.0)
    assert not rig.is_synced(node)


def test_in_the_background_one_bad_file_does_not_hold_up_the_others(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = rig.account.put("bad", b"x"), rig.account.put("good", b"y")
    rig.disk.before_sync = fail_on(rig.spool_of(bad), OSError(errno.EIO, "I/O error"))
    with caplog.at_level(logging.ERROR):
        rig.durability.step(0.0)
        rig.durability.step(1.0)
    assert rig.is_synced(good)
    assert not rig.is_synced(bad)
    assert len([record for record in caplog.records if "/bad" in record.getMessage()]) == 1


IO_ERROR = OSError(errno.EIO, "I/O error")
ONE_IS_LOST = "pending files whose bytes could not be synced: 1"


def test_bytes_that_could_not_be_synced_are_told_until_they_are_nobodys(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    rig.disk.before_sync = fail_on(rig.spool_of(node), IO_ERROR)
    rig.durability.step(0.0)
    assert rig.durability.trouble == ONE_IS_LOST
    rig.disk.before_sync = let_pass
    rig.durability.step(1.0)
    assert rig.durability.trouble == ONE_IS_LOST
    rig.account.remove(node)
    assert rig.durability.trouble is None


def test_bytes_that_could_not_be_synced_and_are_on_their_way_are_told_until_the_service_has_them(
    tmp_path: Path,
) -> None:
    disk = ScriptedDisk()
    world = World(tmp_path, disk=disk)
    world.account.job_polls = 1
    world.put("/f", b"1")
    content = world.state("/f").content
    assert content is not None
    disk.before_sync = fail_on(content.spool, IO_ERROR)
    world.core.durability.step(world.clock.now_s())
    while not world.core.committer.current:
        world.commit_steps(1)
    world.put("/f", b"2")
    assert world.core.durability.trouble == ONE_IS_LOST
    world.settle()
    assert world.remote() == {"/f": b"2"}
    assert world.core.durability.trouble is None
    world.close()


def test_bytes_that_went_while_their_sync_failed_are_not_told(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    spool = rig.spool_of(node)

    def sweep(name: str) -> None:
        if name == spool:
            rig.account.remove(node)
            raise IO_ERROR

    rig.disk.before_sync = sweep
    rig.durability.step(0.0)
    assert rig.durability.trouble is None


def test_bytes_that_failed_once_are_not_called_synced_as_those_of_another_file(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    rig.disk.before_sync = fail_on(rig.spool_of(node), IO_ERROR)
    rig.durability.step(0.0)
    rig.disk.before_sync = let_pass
    tree = rig.account.tree
    other = tree.new_node(is_folder=False)
    tree.change((node, FORGOTTEN), (other, node.state))
    assert rig.durability.trouble == ONE_IS_LOST
    with pytest.raises(OSError, match="earlier sync"):
        rig.sync(other)


def test_a_log_that_failed_once_is_never_called_synced(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.disk.before_sync = fail_on(LOG, OSError(errno.EIO, "I/O error"))
    rig.account.make_folder("d")
    with caplog.at_level(logging.CRITICAL):
        for _ in range(2):
            with pytest.raises(OSError, match="I/O error"):
                rig.durability.sync_store()
    rig.disk.before_sync = let_pass
    with pytest.raises(OSError, match="earlier sync of the journal"):
        rig.durability.sync_store()
    assert rig.durability.step(5.0) == 5.0 + SYNC_EVERY_S
    assert len(caplog.records) == 1


class FailingOnce(ForgetfulDisk):
    """Each of its calls that the syncer makes may be the one that fails, once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_left = 0
        self.failed: str | None = None

    def arm(self, calls: int) -> None:
        """The call after so many fails; 0: none does."""
        self.calls_left = calls

    def _count(self, what: str) -> None:
        self.calls_left -= 1
        if self.calls_left == 0:
            self.failed = what
            raise OSError(errno.EIO, "I/O error", what)

    def open(self, path: str) -> int:
        self._count("open")
        return super().open(path)

    def size(self, fd: int) -> int:
        self._count("size")
        return super().size(fd)

    def fdatasync(self, fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        self._count("log" if name.endswith("-wal") else "bytes")
        super().fdatasync(fd)

    def sync_directory(self, path: str) -> None:
        self._count("names")
        super().sync_directory(path)


def test_what_was_due_when_a_step_broke_off_is_synced_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the disk fails: all bytes are synced in the end but those that it lost, and none are called
    safe whose row may not be."""
    monkeypatch.setattr(sync_module, "BATCH_FILES", 2)
    broken: list[str] = []
    for calls in range(1, 100):
        disk = FailingOnce()
        account = AccountDisk(tmp_path / str(calls), disk)
        durability = Durability(account.tree, account.spool, disk)
        nodes = [account.put(str(number), b"%d" % number) for number in range(5)]
        disk.arm(calls)
        try:
            durability.step(0.0)
        except OSError:
            pass
        disk.arm(0)
        durability.step(1.0)
        synced = [node for node in nodes if account.content(node).is_synced]
        # A file that failed once is never called synced; of one that could not be opened that is not known.
        assert len(synced) == len(nodes) - (disk.failed in ("bytes", "open"))
        durability.step(2.0)
        if disk.failed not in ("log", "names"):
            disk.lose_power(account.directory, tmp_path / f"{calls}-after", kept=["journal.db"])
            after = AccountDisk(tmp_path / f"{calls}-after", boot_id="boot-2")
            assert {node.id for node in synced} <= set(after.tree.nodes)
            assert all(after.body(after.node(node.id)) == account.body(node) for node in synced)
            after.close()
        durability.close()
        account.close()
        if disk.failed is None:
            break
        broken.append(disk.failed)
    assert set(broken) == {"open", "size", "bytes", "names", "log"}


def test_what_was_due_when_the_mark_could_not_be_written_is_synced_by_the_next_step(rig: Rig) -> None:
    nodes = [rig.account.put(str(number), b"x") for number in range(3)]
    db = rig.account.tree.store._db

    def fill(name: str) -> None:
        db.execute("PRAGMA query_only = 1")

    rig.disk.after_sync = fill
    with pytest.raises(Exception, match="readonly"):
        rig.durability.step(0.0)
    rig.disk.after_sync = let_pass
    db.execute("PRAGMA query_only = 0")
    assert not any(rig.is_synced(node) for node in nodes)
    rig.durability.step(1.0)
    assert all(rig.is_synced(node) for node in nodes)


# In the background


def test_the_background_syncs_what_is_whole(rig: Rig) -> None:
    nodes = [rig.account.put(str(number), b"%d" % number) for number in range(5)]
    half = rig.account.put("open", b"half", is_open=True)
    assert rig.durability.step(10.0) == 10.0 + SYNC_EVERY_S
    after = rig.after_power_loss()
    for number, node in enumerate(nodes):
        assert after.content(after.node(node.id)).is_synced
        assert after.body(after.node(node.id)) == b"%d" % number
    assert not rig.is_synced(half)
    assert rig.spool_of(half) not in rig.disk.synced_names


def test_a_step_on_a_slow_disk_leaves_the_rest_to_the_next_which_comes_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of files took one step, of minutes; a stop waits for the step, and gave it up after 5 s."""
    monkeypatch.setattr(sync_module, "BATCH_FILES", 2)
    nodes = [rig.account.put(str(number), b"x") for number in range(9)]

    def be_slow(name: str) -> None:
        if name != LOG:
            rig.account.clock.advance(STEP_S / 4)

    rig.disk.after_sync = be_slow
    dues_s, counts = [], []
    for _ in range(3):
        dues_s.append(rig.durability.step(10.0))
        counts.append(sum(rig.is_synced(node) for node in nodes))
    assert (counts, dues_s) == ([4, 8, 9], [10.0, 10.0, 10.0 + SYNC_EVERY_S])


def test_the_background_syncs_names_and_rests_when_nothing_changed(rig: Rig) -> None:
    rig.account.make_folder("d")
    rig.durability.step(0.0)
    assert rig.after_power_loss().nodes().keys() == {"d"}
    syncs = rig.disk.syncs
    rig.durability.step(1.0)
    assert rig.disk.syncs == syncs


def test_a_file_closed_later_is_synced_later(rig: Rig) -> None:
    node = rig.account.put("a", b"half", is_open=True)
    rig.durability.step(0.0)
    rig.account.amend(node, is_flushed=True, size_bytes=4)
    rig.durability.step(1.0)
    assert rig.is_synced(node)


def test_what_the_last_run_left_unsynced_is_synced(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    durability = Durability(rig.account.tree, rig.account.spool, rig.disk)
    durability.step(0.0)
    assert rig.is_synced(node)
    durability.close()


def test_what_is_nobodys_before_its_turn_costs_no_sync(rig: Rig) -> None:
    rig.account.remove(rig.account.put("a", b"hello"))
    rig.durability.step(0.0)
    assert rig.disk.synced_names == [LOG]


def test_what_has_been_open_for_a_while_is_written_down(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.begin("/a", b"half")
    tree, durability = world.core.tree, world.core.durability
    durability.step(world.clock.now_s())
    assert len(tree.unsaved) == 1
    world.advance(SYNC_EVERY_S)
    world.begin("/b", b"half")
    durability.step(world.clock.now_s())
    assert [node.state.name for node in map(tree.contents.get, tree.unsaved) if node] == ["b"]
    assert [row.name for row in tree.store.live_nodes()] == ["a"]
    world.close()


# The length of the log


@pytest.fixture
def most_bytes(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bound of the log, a quarter of that of a mount: each test writes as much, some of them far more."""
    bound = 8 * 1024 * 1024
    monkeypatch.setattr(sync_module, "MOST_WAL_BYTES", bound)
    return bound


def test_a_long_log_is_moved_into_the_database_and_stays_short(rig: Rig) -> None:
    node = rig.account.put("a", b"hello")
    while rig.log.stat().st_size <= WAL_BYTES:
        with rig.account.tree.transaction():
            for number in range(50):
                rig.account.amend(node, content_hash=f"{number}" + "x" * 3000)
                rig.account.tree.notice(f"/{number}", "y" * 3000)
    rig.durability.step(0.0)
    rig.account.amend(node, content_hash="short")
    rig.durability.step(1.0)
    assert rig.log.stat().st_size <= WAL_BYTES
    after = rig.after_power_loss()
    assert after.content(after.node(node.id)).content_hash == "short"


def test_a_log_that_outgrew_its_bound_is_started_over_by_the_step(rig: Rig, most_bytes: int) -> None:
    """Also where a checkpoint that nobody waits for got nowhere: it leaves the file as long as it is."""
    rig.durability.step(0.0)
    node = rig.account.put("a", b"hello")
    while rig.log.stat().st_size <= most_bytes:
        with rig.account.tree.transaction():
            for number in range(500):
                rig.account.tree.notice(f"/{number}", "y" * 3000)
    rig.durability.step(1.0)
    assert rig.log.stat().st_size == 0
    rig.sync(node)
    assert rig.after_power_loss().nodes().keys() == {"a"}


def test_somebody_who_reads_the_database_holds_nobody_up(rig: Rig, most_bytes: int) -> None:
    """The log is started over once he is through."""
    with closing(sqlite3.connect(rig.account.tree.store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM nodes").fetchone()
        while rig.log.stat().st_size <= most_bytes:
            with rig.account.tree.transaction():
                for number in range(500):
                    rig.account.tree.notice(f"/{number}", "y" * 3000)
        waits: list[str] = []
        rig.account.tree.store._db.set_trace_callback(waits.append)
        rig.durability.step(0.0)
        assert waits[0] == "PRAGMA busy_timeout = 0"
        assert rig.log.stat().st_size > most_bytes
        rig.account.put("a", b"hello")
    rig.durability.step(1.0)
    assert rig.log.stat().st_size == 0


FRAME_BYTES = 4096 + 24
"""A page and its header, https://sqlite.org/fileformat2.html#walformat."""


def test_the_log_is_bounded_while_it_is_written_to_without_a_pause(tmp_path: Path, most_bytes: int) -> None:
    """5,000 small files in a row, with a step of the syncer after more than one writer makes in a second."""
    files, files_between_steps = 5_000, 1_000
    account = AccountDisk(tmp_path)
    durability = Durability(account.tree, account.spool, account.disk)
    durability.step(0.0)
    database, log = account.tree.store.path, tmp_path / LOG
    folder = account.make_folder("d")
    spool = account.spool.create()
    spool.close()
    longest_bytes = total_bytes = growth_bytes = 0
    for number in range(files):
        account.put_row(str(number), spool.name, folder, is_flushed=True, is_synced=True)
        if number % 100 == 99:
            log_bytes = log.stat().st_size
            longest_bytes = max(longest_bytes, log_bytes)
            total_bytes = max(total_bytes, log_bytes + database.stat().st_size)
        if number % files_between_steps == files_between_steps - 1:
            growth_bytes = max(growth_bytes, log.stat().st_size)
            durability.step(float(number))
            assert log.stat().st_size // FRAME_BYTES <= most_bytes // FRAME_BYTES
    assert growth_bytes > most_bytes  # else it was not put to the test
    assert longest_bytes <= most_bytes + growth_bytes
    assert total_bytes < 25_000_000
    assert count_nodes(account.tree.store) == files + 1
    durability.close()
    account.close()


def test_the_log_is_bounded_also_while_a_slow_disk_syncs_many_files(
    rig: Rig, most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes on during each sync: several times the bound in all."""
    files, batch, bytes_each = 24, 2, 1024 * 1024
    monkeypatch.setattr(sync_module, "BATCH_FILES", batch)
    for number in range(files):
        rig.account.put(str(number), b"x")
    longest_bytes = 0

    def write_on(name: str) -> None:
        nonlocal longest_bytes
        enough_bytes = rig.log.stat().st_size + bytes_each
        while name != LOG and rig.log.stat().st_size < enough_bytes:
            with rig.account.tree.transaction():
                for number in range(100):
                    rig.account.tree.notice(f"/{number}", "y" * 4000)
        longest_bytes = max(longest_bytes, rig.log.stat().st_size)

    rig.disk.before_sync = write_on
    rig.durability.step(0.0)
    assert files * bytes_each > 2 * most_bytes
    assert most_bytes < longest_bytes <= most_bytes + (batch + 1) * bytes_each
    assert rig.log.stat().st_size <= most_bytes


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
    until(lambda: len(shared._turn._waiters) == 10, "ten wait")  # type: ignore[attr-defined]
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


def test_writers_go_on_while_the_log_is_synced(rig: Rig) -> None:
    written: list[Node] = []

    def write_meanwhile(name: str) -> None:
        if name == LOG and not written:
            writer = Thread(target=lambda: written.append(rig.account.put("b", b"meanwhile")))
            writer.start()
            writer.join(20)
            assert not writer.is_alive()

    rig.disk.before_sync = write_meanwhile
    rig.sync(rig.account.put("a", b"hello"))
    assert len(written) == 1


def test_fsyncs_of_many_threads_all_hold(rig: Rig) -> None:
    nodes = [rig.account.put(str(number), b"%d" % number) for number in range(24)]
    threads = [Thread(target=rig.sync, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = rig.after_power_loss()
    for number, node in enumerate(nodes):
        again = after.node(node.id)
        assert after.content(again).is_synced
        assert after.body(again) == b"%d" % number
