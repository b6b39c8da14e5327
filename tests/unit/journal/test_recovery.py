"""What a start makes of what the last run left: nothing torn is published, nothing whole is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mountfs.journal import recovery
from mountfs.journal.recovery import (
    CUT_SHORT,
    LOST,
    TORN,
    UNPROVEN,
    Drop,
    GiveUp,
    Rebase,
    Recovery,
    Repair,
    Seal,
    SetAside,
    plan,
    recover,
    recovered_path,
    suspects,
)
from mountfs.journal.sync import Durability
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.path import RemotePath
from mountfs.ports import Part
from tests.fakes.accountdisk import AccountDisk, open_account
from tests.fakes.clock import FakeClock
from tests.fakes.forgetfuldisk import ForgetfulDisk

S = ChangeState
WHOLE_STATES = (S.SEALED, S.UPLOADED, S.CONFLICTED)
ASIDE = RemotePath("/d/a (recovered copy box 2023-11-14).txt")


def _row(state: ChangeState, **fields: Any) -> Change:
    given = {"id": 1, "seq": 1, "spool": "0f", "size_bytes": 5, **fields}
    return Change(kind=ChangeKind.PUT, state=state, path=RemotePath("/d/a.txt"), **given)


def _plan(
    *rows: Change,
    sizes: dict[str, int] | None = None,
    boot: bool = True,
    proven: frozenset[int] = frozenset(),
) -> list[Repair]:
    return plan(
        rows,
        {"0f": 5} if sizes is None else sizes,
        is_same_boot=boot,
        proven=proven,
        host="box",
        date="2023-11-14",
    )


# The same boot: what was written is there


@pytest.mark.parametrize("state", [*WHOLE_STATES, S.COMMITTING, S.COMMITTED, S.FAILED, S.DROPPED])
def test_after_a_dead_process_what_was_closed_goes_on(state: ChangeState) -> None:
    assert _plan(_row(state)) == []


def test_what_was_closed_and_not_written_to_since_is_sealed() -> None:
    row = _row(S.OPEN, is_flushed=True)
    assert _plan(row) == [Seal(row)]


def test_bytes_behind_what_was_closed_are_cut_off() -> None:
    row = _row(S.OPEN, is_flushed=True)
    assert _plan(row, sizes={"0f": 9}) == [Seal(row, cut_to_bytes=5)]


def test_an_empty_file_that_was_closed_is_whole() -> None:
    row = _row(S.OPEN, is_flushed=True, size_bytes=0)
    assert _plan(row, sizes={"0f": 0}) == [Seal(row)]


@pytest.mark.parametrize("size_bytes", [0, 5, 9])
def test_what_was_still_open_is_set_aside_with_all_its_bytes(size_bytes: int) -> None:
    row = _row(S.OPEN, size_bytes=size_bytes)
    assert _plan(row, sizes={"0f": 7}) == [SetAside(row, ASIDE, 7, TORN)]


@pytest.mark.parametrize("sizes", [{"0f": 0}, {}])
def test_what_was_opened_and_never_written_is_as_if_it_had_not_been(sizes: dict[str, int]) -> None:
    row = _row(S.OPEN, size_bytes=0)
    assert _plan(row, sizes=sizes) == [Drop(row)]


@pytest.mark.parametrize(
    ("state", "sizes"), [(S.SEALED, {"0f": 0}), (S.SEALED, {}), (S.OPEN, {}), (S.UPLOADED, {})]
)
def test_missing_bytes_are_told_not_dropped(state: ChangeState, sizes: dict[str, int]) -> None:
    row = _row(state)
    assert _plan(row, sizes=sizes) == [GiveUp(row, LOST)]


def test_what_its_writer_had_just_emptied_is_set_aside_too() -> None:
    row = _row(S.OPEN)
    assert _plan(row, sizes={"0f": 0}) == [SetAside(row, ASIDE, 0, TORN)]


def test_missing_bytes_of_what_the_service_holds_whole_do_not_stop_its_commit() -> None:
    assert _plan(_row(S.UPLOADED, session="s"), sizes={}) == []
    assert _plan(_row(S.CONFLICTED, session="s"), sizes={}) == []
    row = _row(S.UPLOADED, session=None)
    assert _plan(row, sizes={}) == [GiveUp(row, LOST)]


@pytest.mark.parametrize("state", WHOLE_STATES)
def test_a_file_that_became_shorter_is_set_aside(state: ChangeState) -> None:
    row = _row(state, session="s")
    assert _plan(row, sizes={"0f": 3}) == [SetAside(row, ASIDE, 3, CUT_SHORT)]
    assert _plan(_row(S.COMMITTING), sizes={"0f": 3}) == []


def test_a_failed_change_whose_bytes_went_says_so_once() -> None:
    row = _row(S.FAILED, error="the name is taken")
    assert _plan(row, sizes={}) == [GiveUp(row, LOST)]
    assert _plan(_row(S.FAILED, error=LOST), sizes={}) == []


@pytest.mark.parametrize("kind", [ChangeKind.MKDIR, ChangeKind.DELETE, ChangeKind.MOVE])
@pytest.mark.parametrize("boot", [True, False])
def test_changes_of_names_are_good_as_they_are(kind: ChangeKind, boot: bool) -> None:
    source = RemotePath("/b") if kind is ChangeKind.MOVE else None
    assert _plan(Change(1, 1, kind, S.UPLOADED, RemotePath("/a"), source=source), boot=boot) == []


# Another boot: what was not synced is in doubt


@pytest.mark.parametrize("state", [S.OPEN, S.SEALED, S.UPLOADED])
def test_what_was_unlinked_while_open_ends_with_the_process(state: ChangeState) -> None:
    row = replace(_row(state), path=RemotePath("/d/.fuse_hidden0000000700000001"))
    assert _plan(row) == [Drop(row)]


@pytest.mark.parametrize("state", WHOLE_STATES)
def test_after_power_loss_what_was_synced_goes_on(state: ChangeState) -> None:
    assert _plan(_row(state, is_synced=True), boot=False) == []


def test_after_power_loss_a_closed_and_synced_file_is_sealed() -> None:
    row = _row(S.OPEN, is_flushed=True, is_synced=True)
    assert _plan(row, boot=False) == [Seal(row)]


@pytest.mark.parametrize("state", WHOLE_STATES)
def test_after_power_loss_only_a_proof_publishes_what_was_not_synced(state: ChangeState) -> None:
    row = _row(state, content_hash="00")
    assert _plan(row, boot=False, proven=frozenset({1})) == []
    assert _plan(row, boot=False) == [SetAside(row, ASIDE, 5, UNPROVEN)]


def test_after_power_loss_a_closed_file_without_proof_is_set_aside() -> None:
    row = _row(S.OPEN, is_flushed=True)
    assert _plan(row, boot=False) == [SetAside(row, ASIDE, 5, UNPROVEN)]


def test_nothing_cannot_be_damaged() -> None:
    assert _plan(_row(S.SEALED, size_bytes=0), sizes={"0f": 0}, boot=False) == []


@pytest.mark.parametrize("state", [S.COMMITTING, S.COMMITTED, S.FAILED, S.DROPPED])
def test_after_power_loss_what_the_committer_or_the_user_decides_is_left_to_them(state: ChangeState) -> None:
    assert _plan(_row(state), boot=False) == []


def test_only_what_a_hash_can_prove_is_read() -> None:
    rows = [
        _row(S.UPLOADED, id=1, content_hash="00"),
        _row(S.SEALED, id=2),
        _row(S.UPLOADED, id=3, content_hash="00", is_synced=True),
        _row(S.COMMITTING, id=4, content_hash="00"),
        _row(S.UPLOADED, id=5, content_hash="00", size_bytes=6),
        _row(S.UPLOADED, id=6, content_hash="00", size_bytes=0),
        _row(S.COMMITTED, id=7, content_hash="00"),
    ]
    assert [row.id for row in suspects(rows, {"0f": 5}, is_same_boot=False)] == [1]
    assert suspects(rows, {"0f": 5}, is_same_boot=True) == []


# Those who replace what is gone


def test_who_replaces_a_torn_file_replaces_what_that_would_have() -> None:
    first = _row(S.OPEN, id=1, seq=1, base_revision="r1", base_hash="h1")
    second = _row(S.OPEN, id=2, seq=2, base_change=1)
    third = _row(S.SEALED, id=3, seq=3, base_change=2)
    repairs = _plan(first, second, third)
    assert repairs[0] == Rebase(third, "r1", "h1", None)
    assert [type(repair) for repair in repairs[1:]] == [SetAside, SetAside]


def test_two_recovered_copies_never_have_one_name() -> None:
    paths = [
        repair.path
        for repair in _plan(_row(S.OPEN, id=1), _row(S.OPEN, id=2, seq=2))
        if isinstance(repair, SetAside)
    ]
    assert paths == [ASIDE, RemotePath("/d/a (recovered copy box 2023-11-14 2).txt")]


# The name of a recovered copy


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "a (recovered copy box D).txt"),
        ("a.tar.gz", "a.tar (recovered copy box D).gz"),
        ("Makefile", "Makefile (recovered copy box D)"),
        (".bashrc", ".bashrc (recovered copy box D)"),
        ("ends.", "ends. (recovered copy box D)"),
        ("\u3000", "\u3000 (recovered copy box D)"),
    ],
)
def test_a_recovered_copy_is_named_after_its_file(name: str, expected: str) -> None:
    assert recovered_path(RemotePath(f"/x/{name}"), "box", "D", set()) == RemotePath(f"/x/{expected}")


@pytest.mark.parametrize(
    "name", ["é" * 120 + ".txt", "x" * 255, "x" * 250 + ".html", "." + "y" * 254, "a." + "z" * 253]
)
def test_a_long_name_is_cut_to_fit(name: str) -> None:
    found = recovered_path(RemotePath("/" + name), "box", "2023-11-14", set())
    assert len(found.name.encode()) <= 255
    assert found.name[0] == name[0]
    assert "(recovered copy box 2023-11-14)" in found.name


def test_a_name_that_differs_only_in_case_is_taken() -> None:
    taken = {RemotePath("/A (recovered copy box D).TXT").key}
    found = recovered_path(RemotePath("/a.txt"), "box", "D", taken)
    assert found.name == "a (recovered copy box D 2).txt"


# Acting


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AccountDisk]:
    account = open_account(tmp_path / "account")
    recover_in(account)
    yield account
    account.close()


def recover_in(account: AccountDisk, boot_id: str = "boot-1") -> Recovery:
    return recover(
        account.journal,
        account.spool,
        boot_id=boot_id,
        host="box",
        clock=FakeClock(),
        hash_kind=HashKind.DROPBOX,
    )


def _is_clean(recovery: Recovery) -> bool:
    return not (recovery.repairs or recovery.strays)


def test_a_torn_file_becomes_a_recovered_copy_that_nobody_publishes(account: AccountDisk) -> None:
    torn = account.put(
        "/d/a.txt", b"half", S.OPEN, base_revision="r1", base_hash="h", session="s1", mtime_ns=7
    )
    account.journal.add_part(torn.id, Part(0, 4, "r"))
    recover_in(account)
    row = account.get(torn)
    assert (row.state, row.error, row.size_bytes) == (S.FAILED, TORN, 4)
    assert row.path.name.startswith("a (recovered copy box 2023-11-1")
    assert (row.base_revision, row.base_hash, row.base_change, row.session) == (None, None, None, None)
    assert account.journal.parts(torn.id) == ()
    assert account.spool.read(torn.spool or "", 0, 100) == b"half"
    assert account.journal.orphans.all() == ["s1"]
    [notice] = account.journal.notices()
    assert notice.path == "/d/a.txt"
    assert row.path.name in notice.text
    assert _is_clean(recover_in(account))
    assert len(account.journal.notices()) == 1


def test_a_closed_file_is_sealed_and_what_was_sent_is_sent_again(account: AccountDisk) -> None:
    closed = account.put(
        "/a", b"wholeXX", S.OPEN, is_flushed=True, size_bytes=5, session="s1", base_revision="r1", mtime_ns=7
    )
    account.journal.add_part(closed.id, Part(0, 4, "r"))
    recover_in(account)
    row = account.get(closed)
    assert (row.state, row.size_bytes, row.base_revision, row.mtime_ns) == (S.SEALED, 5, "r1", 7)
    assert account.spool.read(closed.spool or "", 0, 100) == b"whole"
    assert account.journal.parts(closed.id) == ()
    assert (row.session, account.journal.orphans.all()) == (None, ["s1"])
    assert account.journal.notices() == []
    assert _is_clean(recover_in(account))


def test_a_sealed_file_keeps_what_was_sent(account: AccountDisk) -> None:
    sealed = account.put("/a", b"whole", session="s1")
    account.journal.add_part(sealed.id, Part(0, 4, "r"))
    assert _is_clean(recover_in(account))
    assert account.get(sealed).session == "s1"
    assert len(account.journal.parts(sealed.id)) == 1


def test_a_file_opened_and_never_written_is_dropped_and_swept_as_any_other(account: AccountDisk) -> None:
    opened = account.put("/a", b"", S.OPEN)
    recover_in(account)
    assert account.get(opened).state is S.DROPPED
    assert opened.spool in account.spool.names()
    assert _is_clean(recover_in(account))


def test_bytes_that_went_are_told_and_the_row_kept(account: AccountDisk) -> None:
    lost = account.put("/a", b"hello")
    account.spool.remove(lost.spool or "")
    recover_in(account)
    row = account.get(lost)
    assert (row.state, row.error, row.path) == (S.FAILED, LOST, RemotePath("/a"))
    assert [notice.text for notice in account.journal.notices()] == [LOST]
    assert _is_clean(recover_in(account))


def test_who_follows_a_torn_file_gets_its_base(account: AccountDisk) -> None:
    torn = account.put("/a", b"half", S.OPEN, base_revision="r1", base_hash="h1")
    later = account.put("/a", b"whole", base_change=torn.id)
    recover_in(account)
    row = account.get(later)
    assert (row.base_revision, row.base_hash, row.base_change) == ("r1", "h1", None)
    assert _is_clean(recover_in(account))


def test_files_no_row_names_are_removed_but_not_those_of_final_rows(account: AccountDisk) -> None:
    dropped = account.put("/a", b"old", S.OPEN)
    account.journal.advance(dropped, ChangeEvent.SUPERSEDED)
    stray = account.spool.create()
    stray.close()
    done = recover_in(account)
    assert done.strays == (stray.name,)
    assert account.spool.names() == [dropped.spool]


def test_beside_a_new_journal_files_of_a_lost_one_are_kept(tmp_path: Path) -> None:
    account = open_account(tmp_path / "account")
    recover_in(account)
    put = account.put("/a", b"work of hours")
    account.close()
    (tmp_path / "account" / "journal.sqlite").unlink()
    account = open_account(tmp_path / "account")
    done = recover_in(account)
    assert done.strays == (put.spool,)
    kept = tmp_path / "account" / "spool-without-journal" / (put.spool or "")
    assert kept.read_bytes() == b"work of hours"
    assert str(kept.parent) in account.journal.notices()[0].text
    assert _is_clean(recover_in(account))
    assert kept.exists()
    account.close()


def test_a_recovery_cut_short_is_done_again(account: AccountDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = account.put("/a", b"half", S.OPEN)
    unsynced = account.put("/b", b"whole")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recovery, "_refuse", cut)
    with pytest.raises(KeyboardInterrupt):
        recover_in(account, "boot-2")
    assert account.journal.live() == [torn, unsynced]
    monkeypatch.undo()
    assert len(recover_in(account, "boot-2").repairs) == 2


# After power loss


def test_after_a_reboot_a_file_is_proven_by_its_hash(account: AccountDisk) -> None:
    data = bytes(range(256)) * 40
    good = account.put("/good", data, S.UPLOADED, content_hash=content_hash(HashKind.DROPBOX, data))
    bad = account.put("/bad", bytes(len(data)), S.UPLOADED, content_hash=good.content_hash, session="s1")
    unknown = account.put("/unknown", data)
    recover_in(account, "boot-2")
    assert account.get(good) == good
    for row in (account.get(bad), account.get(unknown)):
        assert (row.state, row.error) == (S.FAILED, UNPROVEN)
        assert "recovered copy" in row.path.name
        assert row.content_hash is None
    assert account.journal.orphans.all() == ["s1"]
    assert len(account.journal.notices()) == 2
    assert _is_clean(recover_in(account, "boot-2"))


def test_a_hash_of_many_reads_is_right(account: AccountDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "READ_BYTES", 7)
    data = bytes(range(256))
    account.put("/good", data, S.UPLOADED, content_hash=content_hash(HashKind.DROPBOX, data))
    assert _is_clean(recover_in(account, "boot-2"))


def test_of_power_loss_everything_synced_is_published_and_nothing_else(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    before = open_account(tmp_path / "account", disk)
    durability = Durability(before.journal, before.spool, disk)
    recover_in(before)
    synced = [before.put(f"/synced/{number}", b"%d" % number) for number in range(5)]
    durability.step(0.0)
    before.put("/bytes-never-synced", b"gone")
    half = before.put("/half", b"half", S.OPEN)
    durability.sync_change(half.id)
    before.put("/row-never-synced", b"gone")
    disk.lose_power(tmp_path / "account", tmp_path / "after", kept=["journal.sqlite"])
    durability.close()
    before.close()

    after = open_account(tmp_path / "after")
    recover_in(after, "boot-2")
    live = {str(row.path): row for row in after.journal.live() if row.state is S.SEALED}
    assert sorted(live) == [f"/synced/{number}" for number in range(5)]
    for number, change in enumerate(synced):
        assert after.spool.read(change.spool or "", 0, 100) == b"%d" % number
    assert after.get(half).state is S.FAILED
    assert after.spool.read(half.spool or "", 0, 100) == b"half"
    for row in after.journal.rows():
        assert row.state in FINAL_STATES or row.state in (S.SEALED, S.FAILED)
    assert _is_clean(recover_in(after, "boot-2"))
    after.close()
