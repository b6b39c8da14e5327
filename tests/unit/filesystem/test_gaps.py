"""The first write into a large remote file fetches nothing: what it leaves of the service's comes later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mountfs.errors import Forbidden, NoSpace, NotFound, Offline, ServerFault, Throttled
from mountfs.model.entry import File, Space
from mountfs.model.source import Source
from mountfs.ports import BackendLimits
from mountfs.spool.quota import Quota
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import MIB, NotSettled, World

RW = os.O_RDWR
RO = os.O_RDONLY
WO = os.O_WRONLY
SIZE = 17 * MIB + 123
BODY = Random(1).randbytes(SIZE)
AT = 6 * MIB + 7


class Account(World):
    """A world that notes what is read of the service: (offset, length) of each request."""

    def start(self) -> None:
        super().start()
        self.reads: list[tuple[int, int]] = []
        read = self.memory.read

        def noted(file: File, offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            return read(file, offset, length)

        self.backend.inner.read = noted  # type: ignore[method-assign, assignment]

    def close(self) -> None:
        super().close()
        vars(self.memory).pop("read", None)

    def edit(self, path: str, at: int, data: bytes) -> None:
        number = self.open(path, WO)
        self.fs.write(number, at, data)
        self.close_file(number)

    def missing_bytes(self, path: str) -> int:
        state = self.state(path)
        content = state.draft or state.content
        return 0 if content is None or content.overlay is None else content.overlay.missing_bytes


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["dropbox", "box"])
def limits(request: pytest.FixtureRequest) -> BackendLimits:
    assert isinstance(request.param, BackendLimits)
    return request.param


@pytest.fixture
def world(tmp_path: Path, limits: BackendLimits) -> Iterator[Account]:
    world = Account(tmp_path, limits=limits)
    world.theirs("/f", BODY)
    yield world
    world.close()


def patched(*edits: tuple[int, bytes], body: bytes = BODY) -> bytes:
    found = bytearray(body)
    for at, data in edits:
        found[at : at + len(data)] = data
    return bytes(found)


def test_the_first_write_fetches_nothing_and_the_upload_each_missing_byte_once(world: Account) -> None:
    world.edit("/f", AT, b"x" * 4096)
    assert world.reads == []
    assert world.missing_bytes("/f") == SIZE - 4096
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x" * 4096))}
    # The 4 KiB are fetched and thrown away: two requests in place of one would cost more.
    assert sorted(world.reads) == [
        *((at, 4 * MIB) for at in range(0, 16 * MIB, 4 * MIB)),
        (16 * MIB, MIB + 123),
    ]
    assert world.word("/f") == "clean"
    assert world.revisions_of("/f") == 2


def test_what_a_program_wrote_is_not_fetched(world: Account) -> None:
    world.edit("/f", MIB, b"x" * (10 * MIB))
    world.settle()
    assert sorted(world.reads) == [(0, MIB), (11 * MIB, MIB), (12 * MIB, 4 * MIB), (16 * MIB, MIB + 123)]
    assert world.account.files() == {"/f": patched((MIB, b"x" * (10 * MIB)))}


def test_what_is_written_over_whole_is_never_fetched(world: Account) -> None:
    number = world.open("/f", WO)
    for at in range(0, SIZE, MIB):
        world.fs.write(number, at, b"y" * min(MIB, SIZE - at))
    world.close_file(number)
    world.settle()
    assert world.reads == []
    assert world.account.files() == {"/f": b"y" * SIZE}


def test_emptying_a_file_fetches_nothing(world: Account) -> None:
    world.put("/f", b"new")
    world.settle()
    assert world.reads == []
    assert world.account.files() == {"/f": b"new"}


def test_appending_fetches_nothing_before_the_upload(world: Account) -> None:
    number = world.fs.open("/f", WO | os.O_APPEND).number
    for line in (b"one\n", b"two\n"):
        world.fs.write(number, 0, line)
    world.close_file(number)
    assert world.reads == []
    assert world.fs.getattr("/f").size_bytes == SIZE + 8
    world.settle()
    assert world.account.files() == {"/f": BODY + b"one\ntwo\n"}


def test_a_file_that_is_being_written_reads_as_one_and_fetches_what_is_read(world: Account) -> None:
    number = world.open("/f", RW)
    world.fs.write(number, AT, b"x" * 10)
    expected = patched((AT, b"x" * 10))
    assert world.fs.read(number, AT - 5, 20) == expected[AT - 5 : AT + 15]
    assert sum(length for _, length in world.reads) <= MIB
    other = world.open("/f", RO)
    assert world.fs.read(other, AT, 3) == b"xxx"
    assert world.fs.read(other, SIZE - 3, 100) == BODY[-3:]
    assert world.fs.read(number, SIZE, 10) == b""
    world.close_file(other)
    world.close_file(number)
    assert world.get("/f") == expected


def test_what_is_cut_off_and_given_again_is_zeros_and_no_byte_of_the_revision(world: Account) -> None:
    number = world.open("/f", RW)
    world.fs.ftruncate(number, 5 * MIB)
    world.fs.ftruncate(number, 6 * MIB)
    world.fs.write(number, 7 * MIB, b"z")
    assert world.reads == []
    expected = BODY[: 5 * MIB] + bytes(2 * MIB) + b"z"
    assert world.fs.read(number, 5 * MIB - 1, 10) == expected[5 * MIB - 1 : 5 * MIB + 9]
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": expected}
    assert sum(length for _, length in world.reads) <= 5 * MIB + 128 * 1024


def test_a_small_file_is_copied_by_its_first_write(world: Account) -> None:
    world.theirs("/s", b"s" * MIB)
    world.edit("/s", 5, b"x")
    assert world.reads == [(0, MIB)]
    assert world.missing_bytes("/s") == 0
    world.settle()
    assert world.account.files()["/s"] == patched((5, b"x"), body=b"s" * MIB)


def test_many_small_edits_take_no_more_requests_than_the_file_has_pieces(world: Account) -> None:
    number = world.open("/f", WO)
    edits = [(at, b"abcd" * 1024) for at in range(0, SIZE - 4096, 64 * 1024)]
    for at, data in edits:
        world.fs.write(number, at, data)
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": patched(*edits)}
    assert len(world.reads) == 5


def test_two_handles_write_to_one_file(world: Account) -> None:
    one, other = world.open("/f", RW), world.open("/f", RW)
    world.fs.write(one, 0, b"one")
    world.fs.write(other, SIZE - 5, b"other")
    world.close_file(one)
    assert world.word("/f") == "open"
    world.close_file(other)
    world.settle()
    assert world.account.files() == {"/f": patched((0, b"one"), (SIZE - 5, b"other"))}


def test_an_edit_on_top_of_one_whose_gaps_are_not_filled_is_made_of_both(world: Account) -> None:
    world.edit("/f", 0, b"one")
    world.core.filler.step(world.clock.now_s())
    world.edit("/f", AT, b"two")
    assert len(world.reads) == 1
    assert world.missing_bytes("/f") == SIZE - 4 * MIB - 3
    world.settle()
    assert world.account.files() == {"/f": patched((0, b"one"), (AT, b"two"))}


def test_what_is_written_while_it_is_fetched_stays(world: Account) -> None:
    world.edit("/f", 0, b"one")
    read = world.backend.inner.read

    def write_meanwhile(file: File, offset: int, length: int) -> bytes:
        body = read(file, offset, length)
        world.backend.inner.read = read  # type: ignore[method-assign]
        world.edit("/f", 9, b"two")
        return body

    world.backend.inner.read = write_meanwhile  # type: ignore[method-assign, assignment]
    world.core.filler.step(world.clock.now_s())
    assert world.get("/f")[:20] == patched((0, b"one"), (9, b"two"))[:20]
    world.settle()
    assert world.account.files() == {"/f": patched((0, b"one"), (9, b"two"))}


def test_renamed_replaced_and_removed_files_with_gaps(world: Account) -> None:
    world.theirs("/g", BODY[:-1])
    world.edit("/f", 0, b"f")
    world.edit("/g", 0, b"g")
    world.rename("/f", "/h")
    world.fs.unlink("/g")
    world.settle()
    assert world.account.files() == {"/h": patched((0, b"f"))}
    world.theirs("/k", BODY)
    world.edit("/k", 1, b"k")
    world.rename("/k", "/h")
    world.settle()
    assert world.account.files() == {"/h": patched((1, b"k"))}
    assert world.core.spool.names() == []


@pytest.mark.parametrize("is_removed_first", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_an_edited_file_that_is_moved_over_another_has_its_bytes_before_its_old_place_is_removed(
    world: Account, monkeypatch: pytest.MonkeyPatch, is_removed_first: bool, is_open: bool
) -> None:
    """Box gives no bytes of a file in the trash."""
    other = world.theirs("/g", b"other")
    world.edit("/f", AT, b"x")
    number = world.open("/f", WO)
    if is_open:
        world.fs.write(number, 1, b"y")
    if is_removed_first:
        world.fs.unlink("/g")
    world.rename("/f", "/g")
    world.backend.fail("read", Offline("away"), times=1000)
    with pytest.raises(NotSettled):
        world.settle()
    assert BODY in world.account.files().values()
    world.backend.forgive()
    read = world.backend.inner.read

    def there_only(file: File, offset: int, length: int) -> bytes:
        if file.id not in {world.file(path).id for path in world.account.files()}:
            raise NotFound("in the trash")
        return read(file, offset, length)

    monkeypatch.setattr(world.backend.inner, "read", there_only)
    world.settle()
    world.close_file(number)
    world.settle()
    edits = [(AT, b"x"), (1, b"y")] if is_open else [(AT, b"x")]
    assert world.account.files() == {"/g": patched(*edits)}
    assert is_open or world.file("/g").id == other.id


def test_a_removed_file_works_until_it_is_closed(world: Account) -> None:
    number = world.open("/f", RW)
    world.fs.write(number, 3, b"x")
    world.fs.unlink("/f")
    world.settle()
    world.fs.write(number, AT, b"y")
    world.fs.ftruncate(number, SIZE - 1)
    expected = patched((3, b"x"), (AT, b"y"))[:-1]
    assert world.fs.read(number, 0, 10) == expected[:10]
    assert world.fs.read(number, AT - 1, 3) == expected[AT - 1 : AT + 2]
    world.close_file(number)
    world.settle()
    assert world.account.files() == {}
    assert world.core.spool.names() == []
    assert not list(world.core.tree.store.contents())
    assert world.core.tree.store.gaps.contents() == []


def test_the_revision_that_was_edited_is_under_it_whatever_others_write(world: Account) -> None:
    world.edit("/f", AT, b"ours")
    world.theirs("/f", b"theirs")
    world.settle()
    files = world.account.files()
    assert files.pop("/f") == b"theirs"
    [(name, body)] = files.items()
    assert "conflicted copy" in name
    assert body == patched((AT, b"ours"))


# Without the service


@pytest.mark.parametrize("size", [100, SIZE])
def test_writes_succeed_while_the_service_is_away_and_the_filling_waits(world: Account, size: int) -> None:
    world.theirs("/g", BODY[:size])
    number = world.open("/g", WO)
    world.memory.is_online = False
    world.fs.write(number, 50, b"x")
    world.close_file(number)
    for _ in range(20):
        world.core.filler.step(world.clock.now_s())
    assert (
        "away" in str(world.fs.metadata.getxattr("/g", "user.mountfs.error")) or world.word("/g") == "sealed"
    )
    with pytest.raises(Offline):
        world.get("/g")
    world.memory.is_online = True
    world.settle()
    assert world.account.files()["/g"] == patched((50, b"x"), body=BODY[:size])
    assert world.fs.metadata.getxattr("/g", "user.mountfs.state") == b"clean"


def test_a_service_that_is_away_is_asked_ever_more_rarely(world: Account) -> None:
    world.theirs("/g", BODY)
    world.edit("/f", 0, b"x")
    world.edit("/g", 0, b"x")
    world.memory.is_online = False
    before = len(world.reads)
    world_end_s = world.clock.now_s() + 600.0
    while world.clock.now_s() < world_end_s:
        due_s = world.core.filler.step(world.clock.now_s())
        world.advance(max(0.0, min(due_s, world_end_s) - world.clock.now_s()))
    assert 10 <= len(world.reads) - before <= 40


@pytest.mark.parametrize("error", [ServerFault("500"), Throttled("slow", 3.0), Offline("lost")])
def test_a_request_that_fails_is_made_again(world: Account, error: Exception) -> None:
    world.edit("/f", AT, b"x")
    world.backend.fail("read", error, times=2, skip=1)  # type: ignore[arg-type]
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x"))}
    assert len(world.reads) == 5


def test_one_file_that_cannot_be_fetched_keeps_no_other_waiting(world: Account) -> None:
    world.theirs("/g", BODY[::-1])
    revision = world.file("/f").revision
    world.edit("/f", AT, b"x")
    world.edit("/g", AT, b"x")
    read = world.backend.inner.read

    def failing(file: File, offset: int, length: int) -> bytes:
        if file.revision == revision:
            raise ServerFault("500")
        return read(file, offset, length)

    world.backend.inner.read = failing  # type: ignore[method-assign, assignment]
    for _ in range(200):
        for step in (world.core.filler.step, world.core.uploader.step, world.core.committer.step):
            step(world.clock.now_s())
        world.advance(0.05)
    assert world.account.files()["/g"] == patched((AT, b"x"), body=BODY[::-1])
    assert world.fs.metadata.getxattr("/f", "user.mountfs.error") == b"500"
    world.backend.inner.read = read  # type: ignore[method-assign]
    world.settle()
    assert world.account.files()["/f"] == patched((AT, b"x"))


@pytest.mark.parametrize("error", [NotFound("the revision is gone"), Forbidden("no downloads")])
def test_what_the_service_no_longer_gives_is_parked_and_nothing_made_up(
    world: Account, error: Exception
) -> None:
    world.edit("/f", AT, b"ours")
    world.backend.fail("read", error, skip=1)  # type: ignore[arg-type]
    world.settle()
    assert world.word("/f") == "failed"
    reason = world.fs.metadata.getxattr("/f", "user.mountfs.error").decode()
    assert str(error) in reason
    assert "mountfs retry" in reason
    assert world.account.files() == {"/f": BODY}
    number = world.open("/f", RO)
    assert world.fs.read(number, AT, 4) == b"ours"
    world.close_file(number)
    world.restart()
    world.settle()
    assert world.word("/f") == "failed"
    # As `mountfs retry` does, once the service has it again.
    node = world.node("/f")
    world.core.tree.change((node, node.state.sealed(node.state.content)))  # type: ignore[arg-type]
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"ours"))}


# Room


def test_a_write_is_refused_where_the_account_or_the_disk_cannot_hold_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Account(tmp_path, settings={"quota": Quota(reserve_bytes=0)})
    monkeypatch.setattr(world.core.spool._disk, "free_bytes", lambda _directory: SIZE + MIB)
    world.theirs("/f", BODY)
    world.theirs("/g", BODY)
    world.edit("/f", 0, b"x")
    number = world.open("/g", WO)
    with pytest.raises(NoSpace):
        world.fs.write(number, 0, b"x")
    world.close_file(number)
    assert world.word("/g") == "clean"
    world.settle()
    world.edit("/g", 0, b"x")
    world.settle()
    assert world.account.files()["/g"] == patched((0, b"x"))
    used = sum(map(len, world.account.files().values()))
    monkeypatch.setattr(world.memory, "space", lambda: Space(used, used + SIZE - 1))
    world.advance(100.0)
    number = world.open("/g", WO)
    with pytest.raises(NoSpace):
        world.fs.write(number, 0, b"x")
    world.close_file(number)
    world.close()


def test_what_is_missing_is_no_room_for_others(world: Account) -> None:
    spool = world.core.spool
    world.edit("/f", 0, b"x" * MIB)
    assert spool.promised_bytes() == SIZE - MIB
    number = world.open("/f", RW)
    world.fs.ftruncate(number, 2 * MIB)
    assert spool.promised_bytes() == SIZE - MIB + MIB
    world.close_file(number)
    assert spool.promised_bytes() == MIB
    world.restart()
    assert world.core.spool.promised_bytes() == MIB
    world.settle()
    assert world.core.spool.promised_bytes() == 0
    world.edit("/f", 0, b"y")
    world.fs.unlink("/f")
    assert world.core.spool.promised_bytes() == 0


def test_a_disk_that_others_fill_holds_the_filling_up_and_says_so(
    world: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.edit("/f", AT, b"x")
    monkeypatch.setattr(world.disk, "free_bytes", lambda _: MIB)
    for _ in range(30):
        world.core.filler.step(world.clock.now_s())
        world.advance(1.0)
    assert world.reads == []
    assert b"have to fit on the disk" in world.fs.metadata.getxattr("/f", "user.mountfs.error")
    monkeypatch.undo()
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x"))}


# Crashes


def test_a_closed_edit_survives_a_kill_with_its_gaps(world: Account) -> None:
    world.edit("/f", AT, b"x")
    world.restart()
    assert world.missing_bytes("/f") == SIZE - 1
    world.core.filler.step(world.clock.now_s())
    world.restart()
    assert world.get("/f")[: 4 * MIB] == BODY[: 4 * MIB]
    world.reads.clear()
    world.core.blocks.drop(world.file("/f"))
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x"))}
    assert sum(length for _, length in world.reads) == SIZE - 4 * MIB


def test_what_was_open_at_a_kill_is_a_whole_copy_with_each_write_that_returned(world: Account) -> None:
    number = world.open("/f", WO)
    world.fs.write(number, AT, b"one")
    world.fs.write(number, SIZE, b"two")
    world.restart()
    world.settle()
    assert world.account.files() == {"/f": BODY}
    [copy] = [f"/{name}" for name in world.names() if "recovered" in name]
    assert world.reads == []
    expected = patched((AT, b"one")) + b"two"
    assert world.get(copy) == expected
    world.rename(copy, "/kept")
    world.settle()
    assert world.account.files() == {"/f": BODY, "/kept": expected}


def test_a_kill_between_two_steps_of_the_first_write_leaves_no_trace(
    world: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = world.open("/f", WO)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(world.core.services.changes, "begin", killed)
        patches.setattr(world.core.spool, "remove", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            world.fs.write(number, AT, b"one")
    world.restart()
    world.settle()
    assert world.names() == {"f"}
    assert world.core.spool.names() == []
    assert world.notices() == []


def test_after_a_power_loss_what_was_fetched_and_not_synced_is_fetched_again(world: Account) -> None:
    number = world.open("/f", WO)
    world.fs.write(number, AT, b"x")
    world.fs.flush(number)
    world.fs.fsync(number)
    world.fs.release(number)
    for _ in range(3):
        world.core.filler.step(world.clock.now_s())
    spool = world.core.spool.path(world.state("/f").content.spool)  # type: ignore[union-attr]
    assert world.missing_bytes("/f") < SIZE - 10 * MIB
    world.restart("boot-2")
    with spool.open("r+b") as file:  # what a disk may have made of it
        file.write(bytes(4 * MIB))
    world.restart("boot-3")
    assert world.missing_bytes("/f") == SIZE - 1
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x"))}


def test_once_it_is_filled_and_synced_nothing_is_fetched_again(world: Account) -> None:
    number = world.open("/f", WO)
    world.fs.write(number, AT, b"x")
    world.close_file(number)
    world.core.durability.step(world.clock.now_s())
    for _ in range(10):
        world.core.filler.step(world.clock.now_s())
    assert len(world.reads) == 5
    assert world.core.tree.store.gaps.contents() == []
    world.restart("boot-2")
    world.memory.is_online = False
    assert world.get("/f") == patched((AT, b"x"))
    world.memory.is_online = True
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x"))}
    assert world.reads == []


def test_what_is_synced_while_open_and_written_over_after_that_is_no_hole_after_a_power_loss(
    world: Account,
) -> None:
    number = world.open("/f", WO)
    world.fs.write(number, AT, b"synced")
    world.fs.fsync(number)
    world.fs.write(number, 0, b"not synced")
    [content] = [each for each, _, _ in world.core.tree.store.contents()]
    spool = world.core.spool.path(content.spool)
    with spool.open("r+b") as file:  # what a disk may have made of it
        file.write(bytes(100))
    world.restart("boot-2")
    [copy] = [f"/{name}" for name in world.names() if "recovered" in name]
    assert world.get(copy) == patched((AT, b"synced"))


# Uploads


def fill_and_send_some(world: Account) -> None:
    world.advance(1.0)  # the name has settled
    for _ in range(3):
        world.core.filler.step(world.clock.now_s())
        for _ in range(4):
            world.core.uploader.step(world.clock.now_s())
    assert world.missing_bytes("/f") > 0


def test_parts_go_up_while_others_are_still_fetched(world: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    world.edit("/f", AT, b"x")
    sent: list[int] = []
    append = world.memory.append

    def noted(
        session: str, source: Source, offset: int, length: int, *, closing: bool, size_bytes: int | None
    ) -> str:
        sent.append(offset)
        return append(session, source, offset, length, closing=closing, size_bytes=size_bytes)

    monkeypatch.setattr(world.memory, "append", noted)
    fill_and_send_some(world)
    assert sent == [0]
    world.settle()
    assert sorted(sent) == [0, 8 * MIB, 16 * MIB]
    assert world.account.files() == {"/f": patched((AT, b"x"))}


@pytest.mark.parametrize("meanwhile", ["renamed", "restarted", "written to", "removed"])
def test_what_happens_to_a_file_while_it_is_fetched_and_sent_at_once(world: Account, meanwhile: str) -> None:
    world.edit("/f", AT, b"x")
    fill_and_send_some(world)
    expected = {"/f": patched((AT, b"x"))}
    if meanwhile == "renamed":
        world.fs.rename("/f", "/g")
        expected = {"/g": expected["/f"]}
    elif meanwhile == "restarted":
        world.restart()
    elif meanwhile == "written to":
        world.edit("/f", 3, b"y")
        expected = {"/f": patched((AT, b"x"), (3, b"y"))}
    else:
        world.fs.unlink("/f")
        expected = {}
    world.settle()
    assert world.account.files() == expected
    assert not world.account.sessions


def test_of_what_the_service_no_longer_gives_no_session_stays_open(world: Account) -> None:
    """Box may keep a file from getting another one for a week."""
    world.edit("/f", AT, b"x")
    world.advance(1.0)
    for _ in range(3):
        world.core.filler.step(world.clock.now_s())
        for _ in range(4):
            world.core.uploader.step(world.clock.now_s())
    assert world.account.sessions
    world.backend.fail("read", NotFound("the revision is gone"))
    world.settle()
    assert world.word("/f") == "failed"
    assert not world.account.sessions
    node = world.node("/f")
    world.core.tree.change((node, node.state.sealed(node.state.content)))  # type: ignore[arg-type]
    world.settle()
    assert world.account.files() == {"/f": patched((AT, b"x"))}
    assert not world.account.sessions
