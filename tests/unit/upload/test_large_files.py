"""Large files on their way up, by the port's calls on a memory account."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.process.worker import Worker
from mountfs.clock import SystemClock
from mountfs.errors import (
    BatchRefused,
    Busy,
    Corrupt,
    Forbidden,
    MountfsError,
    NoSpace,
    NotFound,
    NotPassedOn,
    NotSignedIn,
    Offline,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.entry import Place
from mountfs.model.pendingbytes import Unreadable
from mountfs.model.source import Source
from mountfs.upload.largefile import LOST_SESSIONS
from tests.doubles.crew import Crew
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.upload.bodies import (
    SMALL_LIMITS,
    assert_uploaded,
    body_of,
    draft_of,
    uploader_steps,
    words,
)

TRANSIENT = [Offline("x"), ServerFault("x"), Throttled("x", 9.0), NotSignedIn("x")]


def test_a_large_file_goes_up_in_parts(small: World) -> None:
    body = body_of(100)
    small.put("/a", body)
    small.upload_all()
    assert_uploaded(small, "/a", body)
    assert small.memory.calls()["append"] == 7
    small.settle()
    assert small.account.files() == {"/a": body}


def test_a_large_file_goes_up_while_it_is_written(small: World) -> None:
    body = body_of(100)
    number = small.begin("/a")
    for offset in range(0, 100, 10):
        small.fs.write(number, offset, body[offset : offset + 10])
        small.upload_all()
    assert small.memory.calls()["append"] == 6
    assert small.word("/a") == "open"
    small.close_file(number)
    small.upload_all()
    assert small.memory.calls()["append"] == 7
    assert_uploaded(small, "/a", body)


def test_what_a_disk_took_of_a_refused_write_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails amid a write over bytes that are up, whose hash comes from their parts: what programs
    read here from then on has to be what the service gets."""
    block_bytes = 4 * 1024 * 1024
    limits = replace(MEMORY_LIMITS, chunk_bytes=block_bytes, session_min_bytes=2 * block_bytes)
    world = World(tmp_path, limits=limits)
    number = world.begin("/a", bytes(3 * block_bytes))
    world.upload_all()
    assert world.memory.calls()["append"] == 2
    pwrite = world.disk.pwrite

    def half(fd: int, data: bytes, offset: int) -> None:
        pwrite(fd, data[: len(data) // 2], offset)
        raise NoSpace("the disk that keeps pending files is full")

    with monkeypatch.context() as patched, pytest.raises(NoSpace):
        patched.setattr(world.disk, "pwrite", half)
        world.fs.write(number, 20, b"x" * 8)
    shown = bytes(20) + b"xxxx" + bytes(3 * block_bytes - 24)
    assert world.fs.read(number, 0, len(shown)) == shown
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/a": shown}
    world.close()


def test_where_the_size_must_be_known_nothing_starts_before(tmp_path: Path) -> None:
    world = World(tmp_path, limits=replace(SMALL_LIMITS, size_known_at_start=True))
    number = world.begin("/a", body_of(100))
    world.upload_all()
    assert "open_session" not in world.memory.calls()
    world.close_file(number)
    world.upload_all()
    assert_uploaded(world, "/a", body_of(100))
    world.close()


def test_a_write_behind_what_was_sent_begins_again_from_the_spool(small: World) -> None:
    body = bytearray(body_of(100))
    number = small.begin("/a", bytes(body))
    small.upload_all()
    spoiled = draft_of(small, "/a").session
    assert spoiled is not None
    body[3:5] = b"!!"
    small.fs.write(number, 3, b"!!")
    store = small.core.tree.store
    assert store.parts.of(draft_of(small, "/a").id) == ()
    assert draft_of(small, "/a").session is None
    small.close_file(number)
    small.upload_all()
    assert_uploaded(small, "/a", bytes(body))
    assert store.orphans.all() == [spoiled]
    small.settle()
    assert spoiled not in small.account.sessions


def test_a_part_that_was_written_to_while_it_was_sent_keeps_its_file_from_nothing(small: World) -> None:
    number = small.begin("/a", body_of(100))
    append = small.backend.append

    def written_to_meanwhile(*arguments: Any, **named: Any) -> str:
        small.backend.append = append  # type: ignore[method-assign]
        small.fs.write(number, 3, b"!!")
        raise Corrupt("the service has other bytes than the hash says")

    small.backend.append = written_to_meanwhile  # type: ignore[method-assign]
    before_s = small.clock.now_s()
    small.upload_all()
    assert small.memory.calls()["append"] == 6
    assert small.clock.now_s() == before_s, "nothing was put off"
    assert small.core.uploader.last_error is None
    small.close_file(number)
    small.upload_all()
    body = bytearray(body_of(100))
    body[3:5] = b"!!"
    assert_uploaded(small, "/a", bytes(body))


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "open"])
def test_a_file_that_is_written_anew_while_a_part_is_sent_is_as_any_other(
    small: World, is_closed: bool
) -> None:
    number = small.begin("/a", body_of(100, 1))
    append = small.backend.append

    def begun_anew_meanwhile(*arguments: Any, **named: Any) -> str:
        small.backend.append = append  # type: ignore[method-assign]
        small.fs.ftruncate(number, 0)
        small.fs.write(number, 0, body_of(100))
        if is_closed:
            small.close_file(number)
        raise Unreadable("the pending bytes end early")

    small.backend.append = begun_anew_meanwhile  # type: ignore[method-assign]
    small.upload_all()
    assert small.memory.calls()["append"] >= 6
    if not is_closed:
        small.close_file(number)
        small.upload_all()
    assert_uploaded(small, "/a", body_of(100))


def test_a_file_written_over_and_over_is_sent_only_once_it_is_whole(small: World) -> None:
    body = body_of(100)
    number = small.begin("/a")
    for _ in range(5):
        small.fs.write(number, 0, body)
        small.upload_all()
    assert small.memory.calls()["open_session"] == 2
    small.close_file(number)
    small.upload_all()
    assert_uploaded(small, "/a", body)


def test_a_file_cut_short_after_it_was_large_is_a_small_one(small: World) -> None:
    number = small.begin("/a", body_of(100))
    small.upload_all()
    small.fs.ftruncate(number, 5)
    small.close_file(number)
    small.upload_all()
    assert_uploaded(small, "/a", body_of(5))
    small.settle()
    assert small.account.sessions == {}


def test_a_large_file_removed_while_open_lets_go_of_its_session(small: World) -> None:
    number = small.begin("/a", body_of(100))
    small.upload_all()
    assert small.account.sessions
    small.fs.unlink("/a")
    small.settle()
    assert small.account.sessions == {}
    assert small.pending() == []
    small.close_file(number)
    small.settle()
    assert small.account.files() == {}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", [0, 3, 6])
@pytest.mark.parametrize("error", [*TRANSIENT, Corrupt("x"), SessionLost("x")])
def test_a_large_file_survives_a_failing_service(
    small: World, error: MountfsError, skip: int, after: bool
) -> None:
    small.backend.fail("append", error, skip=skip, times=2, after=after)
    small.put("/a", body_of(100))
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    small.settle()
    assert small.account.files() == {"/a": body_of(100)}
    assert small.notices() == []


@pytest.mark.parametrize("error", TRANSIENT)
def test_a_session_that_cannot_be_opened_now_is_opened_later(small: World, error: MountfsError) -> None:
    small.backend.fail("open_session", error, times=3)
    small.put("/a", body_of(100))
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))


def test_a_session_is_let_go_of_once_the_far_side_is_back(small: World) -> None:
    number = small.begin("/a", body_of(100))
    small.upload_all()
    small.fs.write(number, 3, b"!!")
    small.backend.fail("abandon", ServerFault("500"), times=2)
    small.close_file(number)
    small.settle()
    assert small.backend.is_spent()
    assert small.account.sessions == {}
    assert small.core.tree.store.orphans.all() == []


def test_a_refused_part_fails_the_file(small: World) -> None:
    small.backend.fail("append", Forbidden("no"), skip=1)
    small.put("/a", body_of(100))
    small.upload_all()
    assert small.pending() == [("/a", "failed")]


def test_a_refusal_while_it_is_written_is_asked_again_once_it_is_whole(small: World) -> None:
    small.backend.fail("append", Forbidden("no"))
    number = small.begin("/a", body_of(100))
    small.upload_all()
    assert small.word("/a") == "open"
    small.close_file(number)
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_restart_resumes_at_the_first_missing_part(small: World, steps: int) -> None:
    small.put("/a", body_of(100))
    uploader_steps(small, steps)
    small.restart()
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    assert small.memory.calls()["append"] == 7
    assert small.memory.calls()["open_session"] == 1


def recovered_copy(world: World) -> str:
    """What a writer left that died while it had ``/a`` open: its path."""
    [name] = [name for name in world.names() if "recovered copy" in name]
    return f"/{name}"


def test_what_a_writer_had_sent_when_it_died_is_not_sent_again_with_its_copy(small: World) -> None:
    small.begin("/a", body_of(100))
    small.upload_all()
    assert small.memory.calls()["append"] == 6
    small.restart()
    small.settle()
    assert small.memory.calls()["append"] == 6
    small.rename(recovered_copy(small), "/b")
    small.settle()
    assert small.account.files() == {"/b": body_of(100)}
    assert small.memory.calls()["append"] == 7
    assert small.memory.calls()["open_session"] == 1


def test_what_a_writer_wrote_over_as_it_died_is_sent_anew_with_its_copy(small: World) -> None:
    """It died before the store let go of the session that has the bytes from before."""
    small.begin("/a", body_of(100))
    small.upload_all()
    draft = draft_of(small, "/a")
    small.close()
    spool_file = small.places.spool / draft.spool
    spool_file.write_bytes(body_of(100, seed=3))
    small.start()
    small.rename(recovered_copy(small), "/b")
    small.settle()
    assert small.account.files() == {"/b": body_of(100, seed=3)}
    assert small.memory.calls()["open_session"] == 2


def test_a_copy_that_ends_before_what_its_writer_had_sent_is_sent_anew(small: World) -> None:
    small.begin("/a", body_of(100))
    small.upload_all()
    draft = draft_of(small, "/a")
    small.close()
    spool_file = small.places.spool / draft.spool
    spool_file.write_bytes(body_of(70))
    small.start()
    small.rename(recovered_copy(small), "/b")
    small.settle()
    assert small.account.files() == {"/b": body_of(70)}


def test_a_copy_that_is_removed_lets_go_of_its_session(small: World) -> None:
    small.begin("/a", body_of(100))
    small.upload_all()
    small.restart()
    small.fs.unlink(recovered_copy(small))
    small.settle()
    assert small.account.sessions == {}


def test_a_large_file_whose_session_expired_is_sent_from_the_start(small: World) -> None:
    small.put("/a", body_of(100))
    uploader_steps(small, 4)
    small.account.lose_sessions()
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))


def test_a_file_whose_session_is_gone_when_it_is_committed_goes_up_in_a_new_one(small: World) -> None:
    small.put("/a", body_of(100))
    small.upload_all()
    small.account.lose_sessions()
    small.settle()
    assert small.account.files() == {"/a": body_of(100)}
    assert small.memory.calls()["open_session"] == 2
    assert small.account.sessions == {}
    assert small.notices() == []


def test_small_and_large_files_are_served_by_turns(small: World) -> None:
    small.put("/large", body_of(1600))
    for index in range(20):
        small.put(f"/f{index}", bytes([index]))
    small.advance(1.0)
    uploader_steps(small, 8)
    calls = small.memory.calls()
    assert calls["append_pack"] == 2
    assert calls["append"] >= 2


def test_many_workers_send_everything_once(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SMALL_LIMITS, clock=SystemClock())
    uploader = world.core.uploader
    workers = [Worker(f"upload-{index}", uploader.step, world.clock) for index in range(6)]

    def wake() -> None:
        for worker in workers:
            worker.wake()

    done = threading.Event()

    def look(*_: object) -> None:
        if words(world) == {"uploaded"}:
            done.set()

    bodies = {f"/l{index}": body_of(1000 + index, index) for index in range(4)}
    bodies |= {f"/s{index}": body_of(index % 30, index) for index in range(100)}
    for path, body in bodies.items():
        world.put(path, body)
    uploader.wake = wake
    world.core.tree.watch(look)
    for worker in workers:
        worker.start()
    assert done.wait(30)
    for worker in workers:
        worker.stop()
        worker.join()
    for path, body in bodies.items():
        assert_uploaded(world, path, body)
    assert world.memory.calls()["append"] == sum(
        -(-len(body) // 16) for body in bodies.values() if len(body) >= 32
    )
    world.close()


def test_batches_refused_for_a_single_file_refuse_nothing(world: World) -> None:
    world.backend.fail("append_pack", BatchRefused("no"))
    world.put("/a", b"a")
    world.put("/b", b"b")
    world.upload_all()
    assert words(world) == {"uploaded"}


def test_a_file_that_gets_a_local_name_while_its_last_part_travels_is_sent_once_it_has_a_real_one(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = body_of(100)
    append = small.memory.append

    def renaming(*part: Any, closing: bool, size_bytes: int | None) -> str:
        if closing:
            small.rename("/a", "/~$a")
        return append(*part, closing=closing, size_bytes=size_bytes)

    monkeypatch.setattr(small.memory, "append", renaming)
    small.put("/a", body)
    small.upload_all()
    small.rename("/~$a", "/a")
    small.settle()
    assert small.account.files() == {"/a": body}


def test_a_session_opened_for_a_file_that_is_gone_is_ended(small: World) -> None:
    small.put("/a", body_of(100))
    inner = small.memory.open_session

    def open_late(*arguments: object) -> str:
        session = inner(*arguments)  # type: ignore[arg-type]
        small.fs.unlink("/a")
        return session

    small.memory.open_session = open_late  # type: ignore[method-assign, assignment]
    small.settle()
    assert small.memory.calls()["open_session"] == 1
    assert small.account.sessions == {}


def test_a_session_that_cannot_be_begun_with_is_ended(small: World) -> None:
    small.put("/a", body_of(100))
    inner, asked = small.memory.part_bytes, list[str]()

    def part_bytes(session: str) -> int:
        asked.append(session)
        if len(asked) == 1:
            raise SessionLost("makes no sense")
        return inner(session)

    small.memory.part_bytes = part_bytes  # type: ignore[method-assign]
    small.settle()
    assert small.account.files() == {"/a": body_of(100)}
    assert small.account.sessions == {}


def test_half_a_session_is_ended_when_the_next_process_takes_its_file_for_a_small_one(
    small: World,
) -> None:
    small.backend.fail("append", NotSignedIn("x"), skip=2, times=10**6)
    small.put("/a", body_of(100))
    uploader_steps(small, 4)
    assert len(small.account.sessions) == 1
    small.backend.forgive()
    small.account.limits = replace(SMALL_LIMITS, session_min_bytes=1000, pack_bytes=1000)
    small.restart()
    small.settle()
    assert small.account.files() == {"/a": body_of(100)}
    assert small.account.sessions == {}


def test_a_file_of_which_each_session_takes_but_a_part_is_parked_in_the_end(small: World) -> None:
    """It was sent as a whole, 40 times an hour, for ever."""
    append, open_session, lost = small.backend.append, small.backend.open_session, list[str]()
    opened: list[str] = []

    def opening(*arguments: Any) -> str:
        opened.append(open_session(*arguments))
        return opened[-1]

    def refusing(session: str, source: Source, offset: int, length: int, **named: Any) -> str:
        if offset == 80:
            lost.append(session)
            raise SessionLost("it does not take the part at 80")
        return append(session, source, offset, length, **named)

    small.backend.append, small.backend.open_session = refusing, opening  # type: ignore[method-assign, assignment]
    small.put("/a", body_of(100))
    crew = Crew(small)
    crew.work(lambda: small.pending() == [("/a", "failed")], most_s=3000.0)
    crew.work(lambda: not small.account.sessions)
    assert len(set(lost)) == len(opened) == LOST_SESSIONS


@pytest.mark.parametrize("first", [NotPassedOn("HTTP 413"), ServerFault("HTTP 503")])
def test_what_passes_on_no_part_is_tried_with_one_part_ever_more_rarely(
    small: World, first: MountfsError
) -> None:
    """Each try sends a part for nothing; the file goes up once the gateway is set otherwise. So also where
    something else failed before."""
    append, begun_s, blocked = small.backend.append, small.clock.now_s(), list[float]()

    def blocking(session: str, source: Source, offset: int, length: int, **named: Any) -> str:
        if small.clock.now_s() < begun_s + 1500.0:
            blocked.append(small.clock.now_s())
            raise NotPassedOn("HTTP 413") if len(blocked) > 1 else first
        return append(session, source, offset, length, **named)

    small.backend.append = blocking  # type: ignore[method-assign]
    small.put("/a", body_of(100))
    crew = Crew(small)
    crew.work(lambda: small.clock.now_s() - begun_s > 1200.0, most_s=1500.0)
    assert 8 < len(blocked) < 25
    assert len(set(blocked[3:])) == len(blocked[3:])  # what was on its way already aside
    assert small.notices() == []
    assert small.core.uploader.last_error == "HTTP 413"
    crew.work(lambda: small.pending() == [], most_s=2000.0)
    assert small.account.files() == {"/a": body_of(100)}


def test_no_file_is_refused_while_sessions_are_lost_for_a_quarter_of_an_hour(small: World) -> None:
    """Eight of them were lost within a minute and a half, and the file was failed until a user asked."""
    append, begun_s, lost = small.backend.append, small.clock.now_s(), list[str]()

    def losing(session: str, source: Source, offset: int, length: int, **named: Any) -> str:
        if offset and small.clock.now_s() < begun_s + 900.0:
            lost.append(session)
            raise SessionLost("the session has expired")
        return append(session, source, offset, length, **named)

    small.backend.append = losing  # type: ignore[method-assign]
    small.put("/a", body_of(100))
    Crew(small).work(lambda: small.pending() == [], most_s=3000.0)
    assert small.account.files() == {"/a": body_of(100)}
    assert small.notices() == []
    assert 2 < len(lost) < LOST_SESSIONS


@pytest.fixture
def placed(tmp_path: Path) -> Iterator[World]:
    """Where a session is opened in a folder, which must be there."""
    world = World(tmp_path, limits=replace(SIDE_BY_SIDE_LIMITS, session_min_bytes=1024, chunk_bytes=512))
    open_session = world.backend.open_session

    def opening(place: Place, size_bytes: int | None, base_revision: str | None) -> str:
        world.memory.list_folder(place.path.parent, place.folder_id)
        return open_session(place, size_bytes, base_revision)

    world.backend.open_session = opening  # type: ignore[method-assign]
    world.account.write("/d/x", b"x")
    world.names("/d")
    yield world
    world.close()


@pytest.mark.parametrize("becomes", [None, "/e"])
def test_a_large_file_whose_folder_others_removed_or_renamed_follows_it(
    placed: World, becomes: str | None
) -> None:
    """Nobody tells us, or looks at the folder above; nor does anything else change while it is made again."""
    crew, begun_s = Crew(placed), placed.clock.now_s()
    placed.backend.fail("open_session", Throttled("slow", retry_after_s=10.0))
    placed.put("/d/large", bytes(2048))
    crew.work(lambda: placed.clock.now_s() - begun_s > 5.0)
    placed.backend.fail("submit", Busy("locked"), times=4)
    if becomes is None:
        placed.account.remove("/d")
    else:
        placed.account.move("/d", becomes)
    placed.account.void_cursors()
    placed.backend.fail("list_folder", ServerFault("500"), times=8)
    crew.work(lambda: placed.pending() == [], most_s=300.0)
    assert placed.account.files()[f"{becomes or '/d'}/large"] == bytes(2048)
    assert placed.notices() == []


def test_a_large_file_whose_folder_is_there_and_is_not_is_refused_in_the_end(placed: World) -> None:
    placed.backend.fail("open_session", NotFound("no such folder"), times=100)
    placed.put("/d/large", bytes(2048))
    placed.settle()
    assert placed.pending() == [("/d/large", "failed")]
    placed.backend.forgive()
    assert placed.memory.calls()["list_folder"] < 20


def test_a_session_that_is_asked_for_counts_until_it_is_known_to_be_of_no_use(tmp_path: Path) -> None:
    """A stop that has nothing else to send waits for it, and then for its end."""
    world = World(tmp_path, limits=replace(SIDE_BY_SIDE_LIMITS, session_min_bytes=10, chunk_bytes=10))
    world.memory.hold("open_session")
    world.put("/a", body_of(100))
    world.advance(1.0)
    worker = threading.Thread(target=world.core.uploader.step, args=(world.clock.now_s(),))
    worker.start()
    assert world.memory.wait_until_held("open_session")
    world.fs.unlink("/a")
    store = world.core.tree.store
    assert (world.core.uploader.opening, store.orphans.count()) == (1, 0)
    world.memory.release("open_session")
    worker.join()
    assert (world.core.uploader.opening, store.orphans.count()) == (0, 1)
    world.close()
