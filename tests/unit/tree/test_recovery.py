"""What a start makes of what the last run left: nothing torn is published, nothing whole is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import MountfsError
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.order import OrderKind, Part
from mountfs.spool.disk import RealDisk
from mountfs.spool.spool import Spool
from mountfs.tree import recovery
from mountfs.tree.content import Content, Over
from mountfs.tree.doubt import CUT_SHORT, LOST, TORN, UNPROVEN, doubt
from mountfs.tree.label import NOBODYS, label_of
from mountfs.tree.node import Node
from mountfs.tree.refusal import Refusal
from mountfs.tree.strays import set_aside_directory
from mountfs.tree.sync import SYNC_EVERY_S, Durability
from mountfs.tree.word import word_of
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World
from tests.fakes.accountdisk import AccountDisk, account_in
from tests.fakes.forgetfuldisk import ForgetfulDisk

BASE = File("id:1", "a.txt", "r1", 3, 5 * NS_PER_S, "h1")
OVER = Over("r1", "h1")


def closed(size_bytes: int = 5, *, is_synced: bool = False) -> Content:
    return Content(1, "0f", size_bytes, 0, is_flushed=True, is_synced=is_synced)


# What is wrong with the bytes of a version


def test_after_a_dead_process_what_was_closed_is_whole() -> None:
    assert doubt(closed(), 5, is_proven=True) is None


@pytest.mark.parametrize("size_bytes", [1, 5, 9])
def test_what_was_still_open_is_torn(size_bytes: int) -> None:
    assert doubt(Content(1, "0f", 5, 0), size_bytes, is_proven=True) == TORN


def test_what_its_writer_had_just_emptied_is_torn_too() -> None:
    assert doubt(Content(1, "0f", 5, 0), 0, is_proven=True) == TORN


@pytest.mark.parametrize("size_bytes", [None, 0])
def test_of_what_was_opened_and_never_written_nothing_is_there(size_bytes: int | None) -> None:
    assert doubt(Content(1, "0f", 0, 0), size_bytes, is_proven=True) == LOST


@pytest.mark.parametrize("size_bytes", [None, 0])
def test_missing_bytes_are_lost(size_bytes: int | None) -> None:
    assert doubt(closed(), size_bytes, is_proven=True) == LOST


def test_an_empty_file_that_was_closed_is_whole_also_after_power_loss() -> None:
    assert doubt(closed(0), 0, is_proven=False) is None


def test_an_empty_file_is_lost_when_its_file_is_missing() -> None:
    assert doubt(closed(0), None, is_proven=True) == LOST


@pytest.mark.parametrize("size_bytes", [None, 0])
def test_missing_bytes_that_the_service_holds_whole_do_not_stop_their_commit(size_bytes: int | None) -> None:
    uploaded = replace(closed(), content_hash="h", session="s")
    assert doubt(uploaded, size_bytes, is_proven=True) is None
    assert doubt(replace(uploaded, session=None), size_bytes, is_proven=True) == LOST
    assert doubt(replace(uploaded, content_hash=None), size_bytes, is_proven=True) == LOST


def test_a_file_that_became_shorter_is_cut_short_whatever_was_synced() -> None:
    assert doubt(closed(is_synced=True), 3, is_proven=True) == CUT_SHORT


def test_after_power_loss_only_what_was_synced_or_a_hash_proves_goes_on() -> None:
    assert doubt(closed(), 5, is_proven=False) == UNPROVEN
    assert doubt(closed(), 5, is_proven=True) is None


# Acting


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AccountDisk]:
    with account_in(tmp_path / "account") as account:
        yield account


def is_clean(account: AccountDisk, boot_id: str = "boot-1") -> bool:
    """Whether the next start finds nothing to do."""
    account.restart(boot_id)
    return not account.recovery.repairs and not account.recovery.strays


def copy_of(account: AccountDisk, name: str = "a") -> Node:
    [copy] = [node for each, node in account.nodes().items() if each.startswith(f"{name} (recovered copy")]
    return copy


def test_a_torn_file_becomes_a_recovered_copy_that_nobody_publishes(account: AccountDisk) -> None:
    folder = account.make_folder("d")
    torn = account.put("a.txt", b"half", folder=folder, is_open=True, session="s1", mtime_ns=7)
    account.tree.store.parts.add(account.content(torn).id, Part(0, 4, "r"))
    account.restart()
    assert account.recovery.repairs == 1
    copy = copy_of(account)
    assert copy.state.name == "a (recovered copy box 2023-11-14).txt"
    assert copy.state.parent is account.node(folder.id)
    assert copy.state.refusal is not None
    assert copy.state.refusal.reason == TORN
    content = account.content(copy)
    assert (content.size_bytes, content.over, content.mtime_ns) == (4, None, 7)
    assert account.body(copy) == b"half"
    # What was sent of it need not be sent again with the copy.
    assert content.session == "s1"
    assert account.tree.store.parts.of(content.id) == (Part(0, 4, "r"),)
    assert account.tree.store.orphans.all() == []
    assert sorted(account.nodes()) == [copy.state.name, "d"]
    [notice] = account.tree.store.notices.all()
    assert notice.path == f"/d/{copy.state.name}"
    assert TORN in notice.text
    assert is_clean(account)
    assert len(account.notices()) == 1


def test_what_a_torn_file_was_to_replace_is_shown_again(account: AccountDisk) -> None:
    torn = account.put("a.txt", b"half", is_open=True, base=BASE, over=OVER)
    account.restart()
    again = account.node(torn.id)
    assert (again.state.base, again.state.content, again.state.draft) == (BASE, None, None)
    assert word_of(again) is None
    [notice] = account.tree.store.notices.all()
    assert notice.path == "/a.txt"
    assert copy_of(account).state.name in notice.text
    assert is_clean(account)


def test_a_version_that_was_torn_leaves_the_one_before_it_to_be_sent(account: AccountDisk) -> None:
    node = account.put("a", b"whole", base=BASE, over=OVER)
    account.write_over(node, b"half", over=OVER)
    account.restart()
    again = account.node(node.id)
    assert again.state.draft is None
    assert again.state.refusal is None
    assert account.body(again) == b"whole"
    assert account.content(again).over == OVER
    assert account.body(copy_of(account)) == b"half"
    assert is_clean(account)


@pytest.mark.parametrize("boot_id", ["boot-1", "boot-2"])
def test_a_closed_file_is_whole_and_what_came_behind_it_is_no_part_of_it(
    account: AccountDisk, boot_id: str
) -> None:
    node = account.put(
        "a.txt",
        b"wholeXX",
        is_open=True,
        is_flushed=True,
        is_synced=True,
        size_bytes=5,
        over=OVER,
        mtime_ns=7,
    )
    account.restart(boot_id)
    state = account.node(node.id).state
    assert state.draft is None
    assert state.content is not None
    assert (state.content.size_bytes, state.content.over, state.content.mtime_ns) == (5, OVER, 7)
    assert account.body(account.node(node.id)) == b"whole"
    assert account.notices() == []
    assert is_clean(account, boot_id)


def test_a_closed_version_takes_the_place_of_the_one_before_it(account: AccountDisk) -> None:
    node = account.put("a", b"first", over=OVER)
    account.write_over(node, b"second", is_flushed=True, size_bytes=6, over=OVER)
    account.restart()
    again = account.node(node.id)
    assert (again.state.draft, account.body(again)) == (None, b"second")
    assert len(account.tree.freed) == 1
    assert is_clean(account)


def test_a_sealed_file_keeps_what_was_sent(account: AccountDisk) -> None:
    node = account.put("a", b"whole", session="s1")
    account.tree.store.parts.add(account.content(node).id, Part(0, 4, "r"))
    assert is_clean(account)
    content = account.content(account.node(node.id))
    assert content.session == "s1"
    assert len(account.tree.store.parts.of(content.id)) == 1


def test_what_a_file_that_was_still_open_was_renamed_over_is_shown_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.write("/kept", b"theirs")
    world.names()
    world.begin("/new", b"half of it")
    world.rename("/new", "/kept")
    assert world.get("/kept") == b"half of it"
    world.restart()
    shown = world.tree()
    assert shown.pop("/kept") == b"theirs"
    assert list(shown.values()) == [b"half of it"]
    world.settle()
    assert world.remote() == {"/kept": b"theirs"}
    world.close()


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_file_opened_and_never_written_is_as_if_it_had_not_been(
    account: AccountDisk, is_kept: bool
) -> None:
    node = account.put("a", b"", is_open=True)
    if not is_kept:
        account.spool.remove(account.content(node).spool)
    account.restart()
    assert account.nodes() == {}
    assert account.notices() == []
    assert len(account.tree.freed) == 1
    assert is_clean(account)


def test_a_version_opened_and_never_written_leaves_what_it_was_to_replace(account: AccountDisk) -> None:
    node = account.put("a.txt", b"", is_open=True, base=BASE, over=OVER)
    account.restart()
    assert account.node(node.id).state.base == BASE
    assert account.nodes() == {}
    assert account.notices() == []


def test_bytes_that_went_are_told_and_the_file_stays_listed(account: AccountDisk) -> None:
    node = account.put("a", b"hello", session="s1")
    account.spool.remove(account.content(node).spool)
    account.restart()
    state = account.node(node.id).state
    assert state.name == "a"
    assert state.refusal is not None
    assert state.refusal.reason == LOST
    assert account.notices() == [LOST]
    assert account.tree.store.orphans.all() == ["s1"]
    assert is_clean(account)
    assert len(account.notices()) == 1


def test_a_file_whose_bytes_went_with_the_power_keeps_its_row(tmp_path: Path) -> None:
    """`echo > a`, and after power loss its bytes are missing: without the row of these bytes the next
    start would find a file that has none, and `mv a b` would leave it neither sent nor refused."""
    world = World(tmp_path)
    world.put("/a", b"hello")
    world.core.durability.save()
    content = world.state("/a").content
    assert content is not None
    world.core.spool.remove(content.spool)
    world.restart("boot-2")
    assert not world.core.tree.freed
    world.core.sweeper.step(world.clock.now_s())
    world.restart("boot-2")
    kept = world.state("/a").content
    assert kept is not None
    assert kept.id == content.id
    assert world.word("/a") == "failed"
    world.rename("/a", "/b")
    world.settle()
    assert world.word("/b") == "failed"
    world.close()


def test_bytes_of_a_refused_file_stay_with_it_whatever_became_of_them(account: AccountDisk) -> None:
    node = account.put("a", b"hello")
    refusal = Refusal(OrderKind.PUT, "the name is taken", 1)
    account.tree.change((node, replace(node.state, refusal=refusal)))
    account.restart("boot-2")
    assert account.node(node.id).state.refusal == refusal
    assert account.body(account.node(node.id)) == b"hello"


def test_a_file_cut_short_is_kept_as_a_recovered_copy(account: AccountDisk) -> None:
    node = account.put("a", b"hello", is_synced=True)
    account.spool.truncate(account.content(node).spool, 3)
    account.restart("boot-2")
    copy = copy_of(account)
    assert account.body(copy) == b"hel"
    assert copy.state.refusal is not None
    assert copy.state.refusal.reason == CUT_SHORT
    assert sorted(account.nodes()) == [copy.state.name]
    assert is_clean(account, "boot-2")


def test_two_recovered_copies_never_have_one_name(account: AccountDisk) -> None:
    node = account.put("a", b"one", is_open=True)
    account.restart()
    assert account.nodes().keys() == {"a (recovered copy box 2023-11-14)"}
    account.put("a", b"two", is_open=True)
    account.restart()
    assert sorted(account.body(each) for each in account.nodes().values()) == [b"one", b"two"]
    assert len(account.nodes()) == 2
    assert account.tree.node(node.id) is None


def test_what_was_unlinked_while_open_ends_with_the_process(tmp_path: Path) -> None:
    world = World(tmp_path)
    handle = world.begin("/a", b"half")
    world.advance(SYNC_EVERY_S)
    world.core.durability.step(world.clock.now_s())
    world.rename("/a", "/.fuse_hidden0000000700000001")  # as libfuse removes a file that is open
    world.fs.write(handle, 4, b"more")
    world.restart()
    assert world.tree() == {}
    assert world.notices() == []
    world.settle()
    assert world.core.spool.names() == []
    assert world.remote() == {}
    world.close()


def test_a_large_file_that_was_sent_in_part_is_sent_right_after_a_crash(tmp_path: Path) -> None:
    limits = replace(MEMORY_LIMITS, session_min_bytes=4, chunk_bytes=4)
    world = World(tmp_path, limits=limits)
    handle = world.begin("/a", b"0123456789ab")
    world.upload_all()
    assert world.account.sessions
    world.fs.write(handle, 2, b"XX")
    world.fs.flush(handle)
    world.restart()
    world.settle()
    assert world.remote() == {"/a": b"01XX456789ab"}
    assert world.account.sessions == {}
    world.close()


@pytest.mark.parametrize("boot_id", ["boot-1", "boot-2"])
def test_names_that_are_still_to_be_sent_are_good_as_they_are(account: AccountDisk, boot_id: str) -> None:
    folder = account.make_folder("d")
    node = account.put("a.txt", b"x", base=BASE, folder=folder)
    account.tree.change((node, node.state.holding(None, None).at(account.tree.root, "b")))
    gone = account.put("gone", b"x", base=replace(BASE, id="id:2", name="gone"))
    account.tree.change((gone, gone.state.holding(None, None).at(None, "gone")))
    assert is_clean(account, boot_id)
    assert account.nodes().keys() == {"d", "b", "gone"}


# Files that nothing names


def test_an_empty_file_that_no_row_names_is_removed(account: AccountDisk) -> None:
    account.spool.create().close()
    account.restart()
    assert account.recovery.strays == ()
    assert account.spool.names() == []
    assert account.notices() == []


def test_a_file_with_bytes_that_no_row_names_is_set_aside_and_told(account: AccountDisk) -> None:
    stray = account.spool.create()
    stray.pwrite(0, b"work of hours")
    stray.close()
    account.restart()
    assert account.recovery.strays == (stray.name,)
    assert account.spool.names() == []
    kept = set_aside_directory(account.spool.directory) / stray.name
    assert kept.read_bytes() == b"work of hours"
    [notice] = account.notices()
    assert str(kept.parent) in notice
    assert is_clean(account)
    assert kept.exists()


def test_files_of_bytes_that_are_nobodys_any_more_are_the_sweepers(account: AccountDisk) -> None:
    node = account.put("a", b"old")
    spool = account.content(node).spool
    account.remove(node)
    assert is_clean(account)
    assert account.spool.names() == [spool]
    assert [content.spool for content in account.tree.freed.values()] == [spool]


def test_beside_a_new_store_files_of_a_lost_one_are_kept(account: AccountDisk) -> None:
    node = account.put("a", b"work of hours")
    spool = account.content(node).spool
    account.close()
    for file in account.directory.glob("journal.db*"):
        file.unlink()
    account.start()
    assert account.recovery.strays == (spool,)
    assert (set_aside_directory(account.spool.directory) / spool).read_bytes() == b"work of hours"
    assert is_clean(account)


class StoppingDisk(RealDisk):
    """The process dies in the middle of one of its calls."""

    def __init__(self, calls_left: int) -> None:
        self.calls_left = calls_left

    def _count(self) -> None:
        self.calls_left -= 1
        if self.calls_left == 0:
            raise KeyboardInterrupt

    def size(self, fd: int) -> int:
        self._count()
        return super().size(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self._count()
        return super().pread(fd, length, offset)

    def truncate(self, fd: int, size_bytes: int) -> None:
        self._count()
        super().truncate(fd, size_bytes)

    def rename(self, source: str, target: str) -> None:
        self._count()
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self._count()
        super().remove(path)


def test_a_recovery_cut_short_anywhere_is_done_again(tmp_path: Path) -> None:
    for calls in range(1, 100):
        directory = tmp_path / str(calls)
        with account_in(directory) as account:
            account.put("half", b"half", is_open=True)
            account.put("unsynced", b"unsynced")
            account.put("hashed", b"hashed", content_hash="of something else")
            for body in (b"stray", b""):
                stray = account.spool.create()
                stray.pwrite(0, body)
                stray.close()
        try:
            AccountDisk(directory, StoppingDisk(calls), boot_id="boot-2").close()
        except KeyboardInterrupt:
            is_over = False
        else:
            is_over = True
        with account_in(directory, boot_id="boot-2") as account:
            bodies = {name.partition(" (")[0]: account.body(node) for name, node in account.nodes().items()}
            assert bodies == {"half": b"half", "unsynced": b"unsynced", "hashed": b"hashed"}
            assert all(node.state.refusal is not None for node in account.nodes().values())
            kept = set_aside_directory(account.spool.directory)
            assert [file.read_bytes() for file in kept.iterdir()] == [b"stray"]
            assert any(str(kept) in notice for notice in account.notices())
            assert len(account.spool.names()) == 3
            assert is_clean(account, "boot-2")
        if is_over:
            break
    assert is_over
    assert calls > 5


# After power loss


def test_after_a_reboot_a_file_is_proven_by_its_hash(account: AccountDisk) -> None:
    data = bytes(range(256)) * 40
    digest = content_hash(HashKind.DROPBOX, data)
    good = account.put("good", data, content_hash=digest)
    account.put("bad", bytes(len(data)), content_hash=digest, session="s1")
    account.put("unknown", data)
    before = good.state
    account.restart("boot-2")
    assert account.node(good.id).state.content == before.content
    for name in ("bad", "unknown"):
        copy = copy_of(account, name)
        assert copy.state.refusal is not None
        assert copy.state.refusal.reason == UNPROVEN
        assert account.content(copy).content_hash is None
    assert account.tree.store.orphans.all() == ["s1"]
    assert len(account.notices()) == 2
    assert is_clean(account, "boot-2")


def test_one_file_that_the_disk_cannot_read_keeps_no_account_from_its_others(
    account: AccountDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power loss may take a sector along."""
    data = b"whole"
    digest = content_hash(HashKind.DROPBOX, data)
    bad = account.put("a", data, content_hash=digest)
    held = account.put("held", data, content_hash=digest, base=BASE, over=OVER, session="s1")
    good = account.put("good", b"other", content_hash=content_hash(HashKind.DROPBOX, b"other"))
    unreadable = {account.content(bad).spool, account.content(held).spool}
    account.close()
    read = Spool.read

    def failing(self: Spool, name: str, offset: int, length: int) -> bytes:
        if name in unreadable:
            raise OSError(errno.EIO, "Input/output error")
        return read(self, name, offset, length)

    monkeypatch.setattr(Spool, "read", failing)
    account.boot_id = "boot-2"
    account.start()
    assert account.node(good.id).state.content is not None
    copy = copy_of(account)
    assert copy.state.refusal is not None
    assert copy.state.refusal.reason == UNPROVEN
    assert account.content(copy).size_bytes == len(data)
    assert is_clean(account, "boot-2")


def test_a_start_that_has_no_descriptors_takes_nothing_for_torn(
    account: AccountDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"whole"
    good = account.put("good", data, content_hash=content_hash(HashKind.DROPBOX, data))
    account.close()

    def failing(*_: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "read", failing)
        account.boot_id = "boot-2"
        with pytest.raises(OSError, match="Too many open files"):
            account.start()
    account.start()
    assert account.node(good.id).state.content is not None
    assert account.recovery.repairs == 0


def test_a_hash_of_many_reads_is_right(account: AccountDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "READ_BYTES", 7)
    data = bytes(range(256))
    account.put("good", data, content_hash=content_hash(HashKind.DROPBOX, data))
    assert is_clean(account, "boot-2")


def test_only_what_a_hash_can_prove_is_read(account: AccountDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    account.put("uploaded", b"whole", content_hash="00")
    account.put("sealed", b"whole")
    account.put("synced", b"whole", content_hash="00", is_synced=True)
    account.put("empty", b"", content_hash="00")
    read: list[str] = []
    account.close()
    hashing = recovery._Repairs._hash

    def noting(self: recovery._Repairs, content: Content) -> str:
        read.append(content.spool)
        return hashing(self, content)

    monkeypatch.setattr(recovery._Repairs, "_hash", noting)
    account.start()
    assert read == []
    account.restart("boot-2")
    assert len(read) == 1


def test_after_power_loss_what_was_sent_is_left_to_the_committer(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.job_polls = 3
    world.put("/a", b"hello")
    world.commit_steps(1)
    assert world.word("/a") == "committing"
    world.restart("boot-2")
    assert world.core.recovery.repairs == 0
    assert world.word("/a") == "committing"
    world.settle()
    assert world.remote() == {"/a": b"hello"}
    assert world.revisions_of("/a") == 1
    world.close()


def test_of_power_loss_everything_synced_is_published_and_nothing_else(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    before = AccountDisk(tmp_path / "account", disk)
    durability = Durability(before.tree, before.spool, disk)
    synced = {f"synced-{number}": before.put(f"synced-{number}", b"%d" % number) for number in range(5)}
    durability.step(0.0)
    before.put("bytes-never-synced", b"gone")
    half = before.put("half", b"half", is_open=True)
    durability.sync_content(before.content(half))
    before.put("row-never-synced", b"gone")
    disk.lose_power(tmp_path / "account", tmp_path / "after", kept=["journal.db"])
    durability.close()
    before.close()

    with account_in(tmp_path / "after", boot_id="boot-2") as after:
        live = {name: node for name, node in after.nodes().items() if node.state.refusal is None}
        assert live.keys() == synced.keys()
        for name, node in live.items():
            assert after.body(node) == name[-1:].encode()
        assert after.body(copy_of(after, "half")) == b"half"
        assert is_clean(after, "boot-2")


def power_lost(before: World, after: Path, kept_percent: int) -> None:
    """The log is of an earlier moment than the spool: what was written to the end of it is lost."""
    (after / "spool").mkdir(parents=True)
    (after / "journal.db").write_bytes(before.places.store.read_bytes())
    for file in before.places.spool.iterdir():
        (after / "spool" / file.name).write_bytes(file.read_bytes())
    log = before.directory.joinpath("journal.db-wal").read_bytes()
    after.joinpath("journal.db-wal").write_bytes(log[: len(log) * kept_percent // 100])


@pytest.mark.parametrize("kept_percent", [0, 1, 5, 10, 20, 30, 40, 45, 50, 53, 55, 70, 90, 99])
def test_bytes_whose_rows_went_with_the_end_of_the_log_are_set_aside_and_told(
    tmp_path: Path, kept_percent: int
) -> None:
    world = World(tmp_path / "before")
    bodies = [b"version %d" % number for number in range(40)]
    for number, body in enumerate(bodies):
        handle = world.begin(f"/{number}", body)
        world.fs.fsync(handle)
        world.close_file(handle)
    power_lost(world, tmp_path / "after", kept_percent)
    world.close()

    after = World(tmp_path / "after", boot_id="boot-2")
    aside = set_aside_directory(after.places.spool)
    kept = [file.read_bytes() for file in aside.iterdir()] if aside.exists() else []
    shown = [body for body in after.tree().values() if body is not None]
    assert sorted(kept + shown) == sorted(bodies)
    assert len(after.core.recovery.strays) == len(kept)
    assert bool(kept) == any(str(aside) in notice for notice in after.notices())
    if kept_percent <= 55:
        assert kept
    after.restart()
    assert after.core.recovery.strays == ()
    after.close()


# Files that nothing names, but that say whose they are


class LabellingDisk(RealDisk):
    """Keeps labels, whatever the file system can do."""

    def __init__(self) -> None:
        self.labels: dict[int, str] = {}

    def label(self, fd: int, text: str) -> bool:
        self.labels[os.fstat(fd).st_ino] = text
        return True

    def label_of(self, path: str) -> str | None:
        return self.labels.get(os.stat(path).st_ino)


def labelled_stray(account: AccountDisk, body: bytes, label: str) -> str:
    stray = account.spool.create()
    stray.pwrite(0, body)
    stray.label(label)
    stray.close()
    return stray.name


@pytest.mark.parametrize(("boot_id", "reason"), [("boot-1", TORN), ("boot-2", UNPROVEN)])
def test_what_was_just_being_written_becomes_a_recovered_copy_where_it_was_to_be(
    tmp_path: Path, boot_id: str, reason: str
) -> None:
    with account_in(tmp_path, LabellingDisk()) as account:
        folder = account.make_folder("d")
        stray = labelled_stray(account, b"just now", label_of(folder, "a"))
        account.restart(boot_id)
        copy = copy_of(account)
        assert copy.state.parent is account.node(folder.id)
        assert (account.content(copy).spool, account.body(copy)) == (stray, b"just now")
        assert copy.state.refusal is not None
        assert copy.state.refusal.reason == reason
        assert account.recovery.strays == ()
        [notice] = account.notices()
        assert copy.state.name in notice
        assert is_clean(account, boot_id)


def test_what_was_removed_while_it_was_open_ends_with_the_process(tmp_path: Path) -> None:
    with account_in(tmp_path, LabellingDisk()) as account:
        labelled_stray(account, b"nobody's", NOBODYS)
        account.restart()
        assert account.spool.names() == []
        assert (account.nodes(), account.notices()) == ({}, [])


@pytest.mark.parametrize("label", ["99 a", "no label of ours", "7", " a"])
def test_what_was_to_be_in_a_folder_that_is_gone_is_set_aside(tmp_path: Path, label: str) -> None:
    with account_in(tmp_path, LabellingDisk()) as account:
        stray = labelled_stray(account, b"just now", label)
        account.restart()
        assert account.recovery.strays == (stray,)
        assert (set_aside_directory(account.spool.directory) / stray).read_bytes() == b"just now"
        assert account.nodes() == {}


# Names that are none of the spool's


@pytest.mark.parametrize("name", ["../outside", "/{}", "..", "a/../../outside"])
@pytest.mark.parametrize("is_spent", [False, True])
def test_a_row_that_names_a_file_elsewhere_touches_none(tmp_path: Path, name: str, is_spent: bool) -> None:
    world = World(tmp_path)
    outside = world.directory / "outside"
    outside.write_bytes(b"bytes")
    world.put("/a", b"bytes")
    if is_spent:
        world.settle()
        world.put("/a", b"other")
        world.fs.unlink("/a")
    world.core.durability.save()
    world.close()
    with sqlite3.connect(world.places.store) as db:
        assert db.execute("UPDATE contents SET spool = ?", (name.replace("{}", str(outside)[1:]),)).rowcount
    db.close()
    world.start()
    with contextlib.suppress(MountfsError, FileNotFoundError):
        world.get("/a")
    world.settle()
    assert outside.read_bytes() == b"bytes"
    assert world.account.files().get("/a") != b"bytes"
    world.close()
