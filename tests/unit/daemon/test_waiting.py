"""Waiting until something got on, and for the service's word on one version of a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Thread

import pytest

from daemon.commit.waiting import CommitWaiter
from mountfs.attributes import Promise
from mountfs.errors import (
    Corrupt,
    Forbidden,
    MountfsError,
    NameNotAllowed,
    NameTooLong,
    NoSpace,
    NotPermitted,
    NotSignedIn,
    Offline,
    TooLarge,
    TransferLimit,
)
from mountfs.fuse.errno import errno_of
from mountfs.model.pausing import is_full
from mountfs.tree.content import Content
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.daemon.fakes import PATIENCE_S

LONG_S = 600.0
"""On the world's own clock, which stands still."""


@pytest.fixture
def waiter(world: World) -> CommitWaiter:
    core = world.core
    waiter = core.services.waiter
    assert isinstance(waiter, CommitWaiter)
    return waiter


def written(world: World, path: str, body: bytes = b"x") -> Content:
    world.put(path, body)
    content = world.state(path).content
    assert content is not None
    return content


class Waiting:
    """A thread that waits for the service's word; how that ended."""

    def __init__(self, waiter: CommitWaiter, content: Content) -> None:
        self.error: Exception | None = None
        self._call = (waiter, content)
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        waiter, content = self._call
        try:
            waiter.wait_committed(content, LONG_S)
        except Exception as error:
            self.error = error

    def end(self) -> Exception | None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


def test_whoever_waits_goes_on_when_anything_got_on(world: World) -> None:
    thread = Thread(target=world.core.waiting.wait, args=(PATIENCE_S * 6,))
    thread.start()
    for index in range(1000):
        world.put(f"/f{index}", b"x")
        thread.join(0.01)
        if not thread.is_alive():
            break
    assert not thread.is_alive()


def test_whoever_waits_goes_on_when_the_time_is_up(world: World) -> None:
    world.core.waiting.wait(0.0)


def test_it_returns_once_the_version_is_committed(world: World, waiter: CommitWaiter) -> None:
    waiting = Waiting(waiter, written(world, "/f"))
    world.settle()
    assert waiting.end() is None
    assert world.remote() == {"/f": b"x"}


def test_a_version_that_is_committed_is_not_waited_for(world: World, waiter: CommitWaiter) -> None:
    content = written(world, "/f")
    world.settle()
    waiter.wait_committed(content, 0.0)


def test_a_version_that_was_replaced_is_not_waited_for(world: World, waiter: CommitWaiter) -> None:
    content = written(world, "/f", b"first")
    written(world, "/f", b"second")
    waiter.wait_committed(content, 0.0)


def test_a_file_that_was_removed_is_not_waited_for(world: World, waiter: CommitWaiter) -> None:
    content = written(world, "/f")
    world.fs.unlink("/f")
    waiter.wait_committed(content, 0.0)


def test_a_version_that_is_committed_under_another_name_is_committed(
    world: World, waiter: CommitWaiter
) -> None:
    waiting = Waiting(waiter, written(world, "/f"))
    world.rename("/f", "/g")
    world.settle()
    assert waiting.end() is None


REFUSALS = [
    (Forbidden("not here"), errno.EACCES),
    (NameNotAllowed("not this name"), errno.EINVAL),
    (NameTooLong("too long"), errno.ENAMETOOLONG),
    (TooLarge("too large"), errno.EFBIG),
    (NotPermitted("nobody may"), errno.EPERM),
    (NoSpace("full"), errno.ENOSPC),
    (TransferLimit("used up"), errno.EDQUOT),
    (Corrupt("another hash"), errno.EIO),
]
by_class = pytest.mark.parametrize(
    ("refusal", "number"), REFUSALS, ids=[type(error).__name__ for error, _ in REFUSALS]
)


@by_class
def test_a_refusal_at_the_commit_is_told_with_its_reason_and_its_errno(
    world: World, waiter: CommitWaiter, refusal: MountfsError, number: int
) -> None:
    world.backend.refuse("/f", refusal, times=20)
    waiting = Waiting(waiter, written(world, "/f"))
    world.run([world.core.uploader.step, world.core.committer.step], 60.0)
    error = waiting.end()
    assert error is not None
    assert (type(error), errno_of(error)) == (type(refusal), number)
    assert str(error).startswith(str(refusal))


@by_class
def test_a_refusal_while_bytes_go_up_is_told_with_its_reason_and_its_errno(
    world: World, waiter: CommitWaiter, refusal: MountfsError, number: int
) -> None:
    if isinstance(refusal, Corrupt):
        return  # of bytes on their way that is no refusal: they are sent again
    world.backend.fail("upload_whole", refusal, times=20)
    waiting = Waiting(waiter, written(world, "/f"))
    world.run([world.core.uploader.step], 60.0)
    error = waiting.end()
    assert error is not None
    assert (type(error), errno_of(error)) == (type(refusal), number)


@by_class
def test_a_refusal_is_told_with_its_errno_by_the_next_process_too(
    tmp_path: Path, refusal: MountfsError, number: int
) -> None:
    if is_full(refusal):
        return  # nothing is refused for that: uploads pause
    world = World(tmp_path, fsync=Promise.REMOTE)
    world.backend.refuse("/a", refusal, times=20)
    world.put("/a", b"x")
    world.settle()
    world.restart()
    handle = world.fs.open("/a", os.O_RDWR).number
    with pytest.raises(MountfsError, match=str(refusal)) as raised:
        world.fs.fsync(handle)
    assert errno_of(raised.value) == number
    world.close()


def test_a_file_in_a_folder_that_was_refused_is_told_the_folder_s_reason(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.backend.refuse("/d", Forbidden("no folders here"), times=20)
    world.mkdir("/d")
    world.settle()
    content = written(world, "/d/f")
    world.settle()
    with pytest.raises(Forbidden, match="no folders here"):
        world.core.services.waiter.wait_committed(content, LONG_S)
    world.close()


def test_refused_credentials_are_told_at_once_and_the_bytes_stay_pending(
    world: World, waiter: CommitWaiter
) -> None:
    for route in ("upload_whole", "submit"):
        world.backend.fail(route, NotSignedIn("revoked"), times=1000)
    waiting = Waiting(waiter, written(world, "/f"))
    with pytest.raises(AssertionError, match="not settled"):
        world.settle(5.0)
    assert isinstance(waiting.end(), NotSignedIn)
    assert world.word("/f") == "sealed"


def test_what_the_last_attempt_met_is_in_the_error_when_the_time_is_up(
    world: World, waiter: CommitWaiter
) -> None:
    content = written(world, "/f")
    world.core.tree.note_error(world.node("/f"), "it hangs")
    with pytest.raises(Offline, match="not committed after 0 s: it hangs"):
        waiter.wait_committed(content, 0.0)


def test_when_the_time_is_up_it_says_what_is_not_committed(world: World, waiter: CommitWaiter) -> None:
    with pytest.raises(Offline, match="/f is not committed after 0 s"):
        waiter.wait_committed(written(world, "/f"), 0.0)


def test_while_somebody_waits_nothing_settles_and_afterwards_names_settle_again(
    world: World, waiter: CommitWaiter
) -> None:
    urgency = world.core.urgency
    pressed: list[bool] = []
    urgency.watch(lambda: pressed.append(urgency.is_pressing))
    waiting = Waiting(waiter, written(world, "/f"))
    world.settle()
    waiting.end()
    assert pressed == [True]
    assert not urgency.is_pressing


def test_a_wait_that_fails_lets_names_settle_again(world: World, waiter: CommitWaiter) -> None:
    with pytest.raises(Offline):
        waiter.wait_committed(written(world, "/f"), 0.0)
    assert not world.core.urgency.is_pressing
