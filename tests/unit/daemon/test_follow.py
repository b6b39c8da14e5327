from __future__ import annotations

import threading

from daemon.follow import Follower
from mountfs.backends.faulty import FaultyBackend
from mountfs.backends.memory import MemoryBackend
from mountfs.errors import Offline
from mountfs.model.path import ROOT, RemotePath
from mountfs.namespace.snapshot import NotLoaded, Snapshot
from tests.fakes.clock import FakeClock


class Followed:
    """A follower with a real snapshot, on a memory account."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryBackend()
        self.backend = FaultyBackend(self.memory)
        self.snapshot = Snapshot(threading.RLock(), self.clock, fresh_s=5.0)
        self.follower = Follower(self.backend, self.snapshot, self.clock, wait_s=0.0)

    def load(self) -> None:
        self.snapshot.begin(ROOT)
        self.snapshot.store(ROOT, self.backend.list_folder(ROOT))

    def step(self) -> float:
        return self.follower.step(self.clock.now_s())

    def is_known(self, path: str) -> bool:
        try:
            return self.snapshot.lookup(RemotePath(path)) is not None
        except NotLoaded:
            return False


def test_a_followed_snapshot_is_trusted_beyond_its_time() -> None:
    world = Followed()
    world.memory.remote.write("/a", b"x")
    world.step()
    world.load()
    world.clock.advance(3600)
    assert world.is_known("/a")


def test_a_remote_change_is_seen() -> None:
    world = Followed()
    world.memory.remote.write("/a", b"x")
    world.step()
    world.load()
    world.memory.remote.remove("/a")
    world.step()
    assert not world.is_known("/a")
    world.load()
    assert not world.is_known("/a")


def test_what_was_listed_before_following_is_listed_again() -> None:
    world = Followed()
    world.memory.remote.write("/a", b"x")
    world.load()
    world.step()
    assert not world.is_known("/a")


def test_while_the_far_side_is_away_nothing_is_trusted_for_long() -> None:
    world = Followed()
    world.memory.remote.write("/a", b"x")
    world.step()
    world.load()
    world.memory.is_online = False
    due_s = world.step()
    assert due_s > world.clock.now_s()
    assert world.follower.last_error == "the memory account does not answer"
    world.clock.advance(6.0)
    assert not world.is_known("/a")


def test_what_changed_meanwhile_is_caught_up_with_before_anything_is_trusted() -> None:
    world = Followed()
    world.memory.remote.write("/a", b"x")
    world.step()
    world.load()
    world.backend.fail("wait_for_changes", Offline("cut"))
    world.step()
    world.memory.remote.write("/b", b"y")
    world.clock.advance(60.0)
    world.step()
    assert world.follower.last_error is None
    assert not world.is_known("/a")
    world.load()
    world.clock.advance(3600.0)
    assert world.is_known("/b")


def test_failures_make_the_questions_rarer() -> None:
    world = Followed()
    world.memory.is_online = False
    delays = []
    for _ in range(12):
        due_s = world.step()
        delays.append(due_s - world.clock.now_s())
        world.clock.advance(delays[-1])
    assert delays == sorted(delays)
    assert delays[0] < 1.0
    assert delays[-1] <= 30.0


def test_it_does_not_wait_when_the_far_side_answered_somebody_else() -> None:
    world = Followed()
    world.memory.is_online = False
    for _ in range(8):
        world.clock.advance(world.step() - world.clock.now_s())
    world.step()
    world.memory.is_online = True
    world.step()
    assert world.follower.is_offline  # it is not its time yet
    world.follower.nudge()
    world.step()
    assert not world.follower.is_offline


def test_a_void_cursor_forgets_everything_and_begins_again() -> None:
    world = Followed()
    world.memory.remote.write("/a", b"x")
    world.step()
    world.load()
    world.memory.remote.void_cursors()
    world.step()
    assert not world.is_known("/a")
    world.step()
    world.load()
    world.clock.advance(3600.0)
    assert world.is_known("/a")


def test_many_changes_come_page_by_page() -> None:
    world = Followed()
    world.memory.page_entries = 2
    world.step()
    for index in range(7):
        world.memory.remote.write(f"/f{index}", b"x")
    world.step()
    assert world.memory.calls()["changes"] == 4


def test_closing_the_backend_ends_a_question_that_is_open() -> None:
    world = Followed()
    follower = Follower(world.backend, world.snapshot, world.clock, wait_s=60.0)
    follower.step(world.clock.now_s())
    asking = threading.Thread(target=follower.step, args=(world.clock.now_s(),))
    asking.start()
    world.memory.close()
    asking.join(10.0)
    assert not asking.is_alive()


def test_what_is_to_be_done_first_is_done_before_anything_is_followed() -> None:
    world = Followed()
    begun: list[str] = []

    def begin() -> None:
        begun.append("begun")
        if len(begun) == 1:
            raise Offline("away")

    follower = Follower(world.backend, world.snapshot, world.clock, wait_s=0.0, on_begin=begin)
    for _ in range(3):
        due_s = follower.step(world.clock.now_s())
        assert follower.is_offline is (begun == ["begun"])
        world.clock.advance(due_s - world.clock.now_s())
    assert begun == ["begun"] * 2
