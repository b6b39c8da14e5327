"""What a mounted account says of what is on its way."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from daemon.commit.batch import Current
from daemon.control.health import trouble_of
from daemon.control.protocol import FailedChange
from daemon.control.status import Condition, FarSide, Stray, Tally, Trouble
from daemon.process.describing import STRAYS_EVERY_S, TROUBLES_SHOWN, jobs_in_words
from daemon.process.justclosed import RELEASE_S
from daemon.process.mounted import Parts, RunningAccount
from daemon.process.worker import Worker
from mountfs.errors import (
    Forbidden,
    MountfsError,
    NotADirectory,
    NotFound,
    NotSignedIn,
    Offline,
    ServerFault,
    Throttled,
)
from mountfs.fuse.mount import FuseOptions
from mountfs.model.advice import advised
from mountfs.model.entry import Seen
from mountfs.model.order import OrderKind
from mountfs.model.path import ROOT, RemotePath
from mountfs.tree import chunks
from mountfs.tree.node import Node
from tests.doubles.counting_lock import counted, longest_hold
from tests.doubles.crew import Crew
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.unit.daemon.fakes import PATIENCE_S
from tests.unit.daemon.test_pinner import pinner_of
from tests.unit.daemon.test_protocol import STATUS


@pytest.fixture
def account(world: World) -> RunningAccount:
    return account_of(world)


def account_of(world: World, **parts: Any) -> RunningAccount:
    """A mounted account without threads."""
    usual = Parts(
        display_name="Memory",
        root=world.settings.get("top", ROOT),
        core=world.core,
        pinner=pinner_of(world),
        file_system=world.fs,
        fuse=FuseOptions("memory:"),
        first_workers=(),
        workers=(),
        strays=lambda: (),
        set_aside=lambda: None,
        end_connection=lambda: None,
        release=lambda: None,
    )
    return RunningAccount(replace(usual, **parts))


def close_but_keep_open(world: World, path: str, body: bytes) -> int:
    """As after close(2) of one of two descriptors, or before the kernel has released the file; the handle."""
    number = world.begin(path, body)
    world.fs.flush(number)
    return number


NOT_HERE = advised(Forbidden("not here"))


def refuse(world: World, *paths: str) -> None:
    """The service will not have them."""
    for path in paths:
        world.backend.refuse(path, Forbidden("not here"), times=20)


# What is waited for


def test_a_closed_file_is_on_its_way_before_the_kernel_has_released_it(
    world: World, account: RunningAccount
) -> None:
    number = world.begin("/f", b"1234567")
    assert (account.backlog(ROOT).pending, account.backlog(ROOT).open_files) == (0, 1)
    world.fs.flush(number)
    backlog = account.backlog(ROOT)
    assert (backlog.pending, backlog.size_bytes, backlog.open_files) == (1, 7, 0)
    world.fs.release(number)
    backlog = account.backlog(ROOT)
    assert (backlog.pending, backlog.size_bytes, backlog.open_files) == (1, 7, 0)


def test_a_closed_file_that_another_still_holds_open_is_not_waited_for_long(
    world: World, account: RunningAccount
) -> None:
    number = close_but_keep_open(world, "/f", b"x")
    assert account.backlog(ROOT).pending == 1
    world.advance(RELEASE_S)
    assert (account.backlog(ROOT).pending, account.backlog(ROOT).open_files) == (0, 1)
    world.fs.write(number, 1, b"y")
    assert account.backlog(ROOT).open_files == 1
    world.fs.flush(number)
    assert account.backlog(ROOT).pending == 1


def test_a_version_that_was_closed_is_waited_for_though_the_next_one_is_being_written(
    world: World, account: RunningAccount
) -> None:
    world.put("/f", b"closed")
    world.upload_all()
    number = world.fs.open("/f", os.O_RDWR).number
    world.fs.write(number, 0, b"being written")
    assert account.backlog(ROOT).pending == 1
    world.settle()
    assert world.account.files() == {"/f": b"closed"}
    assert (account.backlog(ROOT).pending, account.backlog(ROOT).open_files) == (0, 1)


def test_only_what_is_at_or_below_the_path_is_waited_for(world: World, account: RunningAccount) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"12")
    world.put("/g", b"345")
    found = {path: account.backlog(RemotePath(path)) for path in ("/d", "/d/f", "/g", "")}
    assert {path: backlog.pending for path, backlog in found.items()} == {"/d": 2, "/d/f": 1, "/g": 1, "": 3}
    assert {path: backlog.size_bytes for path, backlog in found.items()} == {
        "/d": 2,
        "/d/f": 2,
        "/g": 3,
        "": 5,
    }


def test_nothing_is_left_to_wait_for_once_all_is_committed(world: World, account: RunningAccount) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"12")
    world.put("/g", b"3")
    world.fs.unlink("/g")
    world.settle()
    assert account.backlog(ROOT).unsettled == 0
    assert account.backlog(RemotePath("/d")).unsettled == 0


def test_a_removal_is_waited_for_in_the_folder_it_was_made_in(world: World, account: RunningAccount) -> None:
    world.account.write("/d/f", b"x")
    world.fs.unlink("/d/f")
    assert account.backlog(RemotePath("/d")).pending == 1
    world.settle()
    assert account.backlog(RemotePath("/d")).pending == 0


def test_a_removal_is_waited_for_by_the_path_that_was_removed(world: World, account: RunningAccount) -> None:
    world.account.write("/d/e/f", b"x")
    world.account.write("/d/g", b"x")
    world.fs.unlink("/d/g")
    assert account.backlog(RemotePath("/d/g")).pending == 1
    world.fs.unlink("/d/e/f")
    world.fs.rmdir("/d/e")
    world.fs.rmdir("/d")
    for path, count in {"/d/g": 1, "/d/e/f": 1, "/d/e": 2, "/d": 4}.items():
        account.check_known(RemotePath(path))
        assert account.backlog(RemotePath(path)).pending == count, path
    world.settle()
    assert account.backlog(RemotePath("/d")).pending == 0


def test_a_path_where_nothing_is_cannot_be_waited_for(world: World, account: RunningAccount) -> None:
    for path in ("/d/f", "/e/f"):
        world.account.write(path, b"x")
    account.check_known(RemotePath("/d/f"))
    for path in ("/d/g", "/g/f", "/d/f/g"):
        with pytest.raises((NotFound, NotADirectory)):
            account.check_known(RemotePath(path))
    world.memory.is_online = False
    account.check_known(RemotePath("/e/f"))  # it cannot be told


def test_sessions_that_are_to_be_ended_are_counted_wherever_their_files_were(
    world: World, account: RunningAccount
) -> None:
    world.put("/f", b"x")
    world.upload_all()
    world.fs.unlink("/f")
    assert account.backlog(ROOT).sessions == 1
    assert account.backlog(RemotePath("/elsewhere")).sessions == 1
    world.settle()
    assert account.backlog(ROOT).sessions == 0


# What stays here


def test_what_stays_on_this_machine_is_counted_apart_and_not_waited_for(
    world: World, account: RunningAccount
) -> None:
    world.put("/~$report.docx", b"1234")
    assert account.backlog(ROOT).unsettled == 0
    status = account.status()
    assert status.states == {"local": Tally(1, 4)}
    assert status.pending == Tally(0, 0)
    assert status.oldest_pending_age_s is None
    world.settle()
    assert account.status().states == {"local": Tally(1, 4)}
    assert world.remote() == {}


def test_what_is_in_a_folder_that_stays_here_counts_as_staying_here(
    world: World, account: RunningAccount
) -> None:
    world.mkdir("/.~lock.x#")
    world.put("/.~lock.x#/f", b"1234")
    world.settle()
    assert account.status().states == {"local": Tally(2, 4)}
    assert account.backlog(ROOT).unsettled == 0


def test_what_stayed_here_is_on_its_way_once_it_has_a_name_that_leaves(
    world: World, account: RunningAccount
) -> None:
    world.put("/~$report.docx", b"1234")
    world.rename("/~$report.docx", "/report.docx")
    assert account.status().states == {"sealed": Tally(1, 4)}
    assert account.backlog(ROOT).pending == 1


# The words of the status


def test_everything_is_counted_by_how_far_it_is(world: World, account: RunningAccount) -> None:
    world.put("/committing", b"1")
    world.put("/refused", b"12")
    refuse(world, "/refused")
    world.settle()
    world.put("/uploaded", b"123")
    world.upload_all()
    world.put("/sealed", b"1234")
    world.begin("/open", b"12345")
    world.fs.flush(world.begin("/~$local", b"123456"))
    states = account.status().states
    assert {word: tally.count for word, tally in states.items()} == {
        "open": 1,
        "sealed": 1,
        "uploaded": 1,
        "failed": 1,
        "local": 1,
    }
    assert states["sealed"].size_bytes == 4
    assert account.status().pending.count == 3


def test_what_the_service_copies_is_counted_apart(world: World, account: RunningAccount) -> None:
    world.put("/known", b"123456")
    world.settle()
    world.put("/copy", b"123456")
    world.put("/new", b"1234")
    world.upload_all()
    assert account.status().pending == Tally(2, 10)
    assert account.status().unsent == Tally(1, 6)
    world.settle()
    assert account.status().unsent == Tally()


def test_what_was_sent_and_has_no_outcome_is_committing(world: World, account: RunningAccount) -> None:
    world.put("/f", b"12")
    world.account.job_polls = 5
    while account.status().current_job is None:
        world.commit_steps(1)
    assert account.status().states == {"committing": Tally(1, 2)}
    assert account.status().current_job == "put of 1"


def test_the_age_is_that_of_what_is_on_its_way_for_the_longest(world: World, account: RunningAccount) -> None:
    world.put("/~$local", b"x")
    world.advance(50.0)
    world.put("/first", b"x")
    world.advance(20.0)
    world.put("/second", b"x")
    world.put("/first", b"again")
    world.advance(1.0)
    assert account.status().oldest_pending_age_s == pytest.approx(21.0)
    world.settle()
    assert account.status().oldest_pending_age_s is None


# What failed


def test_what_is_refused_and_what_waits_for_it_is_listed_and_not_waited_for(
    world: World, account: RunningAccount
) -> None:
    world.mkdir("/d")
    world.settle()
    world.put("/d/f", b"x")
    world.put("/g", b"x")
    refuse(world, "/d/f")
    world.settle()
    assert account.backlog(ROOT).unsettled == 0
    assert account.failures(ROOT) == (FailedChange("/d/f", NOT_HERE),)
    assert account.failures(RemotePath("/d")) == account.failures(ROOT)
    assert account.failures(RemotePath("/g")) == ()
    first, second = account.status().troubles
    assert (first.path, first.state, first.reason) == ("/d/f", "failed", NOT_HERE)
    assert (second.path, second.state, second.reason) == ("/d/f", "notice", "not committed: not here")


def test_what_waits_for_a_refused_folder_is_listed_with_the_reason(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    account = account_of(world)
    world.mkdir("/d")
    world.mkdir("/d/e")
    refuse(world, "/d")
    world.settle()
    assert account.failures(ROOT) == (
        FailedChange("/d", NOT_HERE),
        FailedChange("/d/e", f"it waits for /d: {NOT_HERE}"),
    )
    assert account.backlog(ROOT).unsettled == 0
    assert account.status().states == {"failed": Tally(2, 0)}
    world.close()


def hold_of_failures(directory: Path, files: int) -> int:
    """What waits for a refused folder is told."""
    world, lock = counted(directory, limits=SIDE_BY_SIDE_LIMITS)
    account = account_of(world)
    world.mkdir("/d")
    for number in range(files):
        world.mkdir(f"/d/{number}")
    refuse(world, "/d")
    world.settle()
    found = longest_hold(lock, lambda: account.failures(ROOT))
    assert len(account.failures(ROOT)) == files + 1
    world.close()
    return found


def test_what_waits_for_a_refused_folder_is_told_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 20)
    small = hold_of_failures(tmp_path / "small", 40)
    # To find what waits takes a call or two for each of them.
    assert hold_of_failures(tmp_path / "large", 200) <= small * 2.5


def test_what_will_be_tried_again_is_listed_with_what_it_met(world: World, account: RunningAccount) -> None:
    world.put("/f", b"x")
    world.backend.refuse("/f", Offline("gone for a moment"))
    world.commit_steps(3)
    [trouble] = account.status().troubles
    assert (trouble.path, trouble.reason) == ("/f", "gone for a moment")
    assert trouble.state != "failed"
    world.settle()
    assert account.status().troubles == ()


def test_of_what_is_tried_again_all_is_counted_however_much_is_shown_or_failed(
    world: World, account: RunningAccount
) -> None:
    """20 of any number were told of, and none beside 20 that had failed."""
    for number in range(TROUBLES_SHOWN + 5):
        world.put(f"/failed{number}", b"x")
        refuse(world, f"/failed{number}")
    world.settle()
    for number in range(TROUBLES_SHOWN + 10):
        world.put(f"/again{number}", b"x")
        with world.core.tree.lock:
            world.core.tree.note_error(world.node(f"/again{number}"), "503")
    status = account.status()
    assert len(status.troubles) == TROUBLES_SHOWN
    failed, again = trouble_of(replace(STATUS, account=status))[-2:]
    assert failed.startswith(f"{TROUBLES_SHOWN + 5} changes failed")
    assert again == f"{TROUBLES_SHOWN + 10} changes met an error and are tried again"


def test_what_waits_for_something_refused_is_not_told_to_be_tried_again(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    account = account_of(world)
    world.mkdir("/d")
    world.mkdir("/d/e")
    with world.core.tree.lock:
        world.core.tree.note_error(world.node("/d/e"), "503")
    assert account.status().retried == 1
    refuse(world, "/d")
    world.settle()
    assert account.status().states == {"failed": Tally(2, 0)}
    assert account.status().retried == 0
    world.close()


def test_troubles_come_before_notices_and_neither_is_listed_without_end(
    world: World, account: RunningAccount
) -> None:
    for index in range(TROUBLES_SHOWN):
        world.core.tree.notice("/n", f"note {index}")
    world.put("/f", b"x")
    refuse(world, "/f")
    world.settle()
    found = account.status().troubles
    assert len(found) == TROUBLES_SHOWN
    assert [trouble.state for trouble in found] == ["failed", *["notice"] * (TROUBLES_SHOWN - 1)]
    assert [trouble.reason for trouble in found[1:3]] == [
        "not committed: not here",
        f"note {TROUBLES_SHOWN - 1}",
    ]


def test_paths_are_told_as_the_user_of_the_mount_sees_them(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"top": RemotePath("/scans")})
    world.account.mkdir("/scans")
    account = account_of(world)
    world.put("/f", b"x")
    refuse(world, "/scans/f")
    world.settle()
    assert account.failures(ROOT) == (FailedChange("/f", NOT_HERE),)
    assert account.status().troubles[0].path == "/f"
    world.close()


# What others left


def test_files_that_a_start_set_aside_are_listed_first(world: World) -> None:
    aside = Trouble("/state/spool-set-aside", "set aside", "2 files", 0.0)
    account = account_of(world, set_aside=lambda: aside)
    world.core.tree.notice("/", "a note")
    first, second = account.status().troubles
    assert first == aside
    assert second.reason == "a note"


def test_what_others_left_is_looked_for_now_and_then(world: World) -> None:
    looked: list[None] = []

    def strays() -> tuple[Stray, ...]:
        looked.append(None)
        return (Stray("dbid:y", len(looked), 5),)

    account = account_of(world, strays=strays)
    for _ in range(3):
        assert account.status().strays == (Stray("dbid:y", 1, 5),)
    world.advance(STRAYS_EVERY_S)
    assert account.status().strays == (Stray("dbid:y", 2, 5),)


def test_a_status_is_given_though_nobody_can_look_for_what_others_left(world: World) -> None:
    def strays() -> tuple[Stray, ...]:
        raise PermissionError(13, "Permission denied")

    assert account_of(world, strays=strays).status().strays == ()


# What it costs


class Looks:
    """Counts how often anything of any node is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in Node.__slots__:
            monkeypatch.setattr(Node, name, self._counting(Node.__dict__[name]))

    def _counting(self, slot: Any) -> property:
        def get(node: Node) -> Any:
            self.count += 1
            return slot.__get__(node)

        return property(get, slot.__set__, slot.__delete__)

    def of(self, call: Callable[[], Any]) -> int:
        before = self.count
        call()
        return self.count - before


def filled(directory: Path, count: int) -> World:
    """A world with so many files and folders on their way."""
    directory.mkdir()
    world = World(directory)
    world.mkdir("/d")
    for index in range(count // 2):
        world.mkdir(f"/d/{index}")
        world.put(f"/d/{index}/f", b"x")
    return world


@pytest.mark.parametrize(
    "ask",
    [
        lambda account: account.status(),
        lambda account: account.backlog(ROOT),
        lambda account: account.backlog(RemotePath("/d")),
        lambda account: account.failures(ROOT),
    ],
    ids=["status", "backlog", "backlog below a folder", "failures"],
)
def test_asking_costs_the_same_with_twenty_things_pending_as_with_two_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[RunningAccount], Any]
) -> None:
    few, many = filled(tmp_path / "few", 20), filled(tmp_path / "many", 2000)
    accounts = account_of(few), account_of(many)
    assert [account.backlog(ROOT).pending for account in accounts] == [21, 2001]
    looks = Looks(monkeypatch)
    costs = [looks.of(lambda account=account: ask(account)) for account in accounts]  # type: ignore[misc]
    few.close()
    many.close()
    assert costs[0] == costs[1]


def test_a_status_costs_the_same_however_much_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = []
    for count in (TROUBLES_SHOWN, 10 * TROUBLES_SHOWN):
        (tmp_path / str(count)).mkdir()
        world = World(tmp_path / str(count))
        for index in range(count):
            refuse(world, f"/{index}")
            world.put(f"/{index}", b"x")
        world.settle()
        worlds.append(world)
    accounts = [account_of(world) for world in worlds]
    assert accounts[1].status().states["failed"].count == 10 * TROUBLES_SHOWN
    looks = Looks(monkeypatch)
    costs = [looks.of(account.status) for account in accounts]
    for world in worlds:
        world.close()
    assert costs[0] == costs[1]


def test_running_jobs_are_told_by_kind() -> None:
    put, move = Current(OrderKind.PUT, 1000), Current(OrderKind.MOVE, 1)
    small = Current(OrderKind.PUT, 1)
    assert jobs_in_words([]) is None
    assert jobs_in_words([put]) == "put of 1000"
    assert jobs_in_words([small, move, small, small]) == "put of 3 in 3 jobs, move of 1"


# How the service is


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (NotSignedIn("expired"), Condition.SIGNED_OUT),
        (Offline("away"), Condition.UNREACHABLE),
        (Throttled("slow"), Condition.THROTTLED),
        (ServerFault("500"), Condition.FAILING),
    ],
)
def test_the_status_says_what_is_wrong_with_the_service_while_it_lasts(
    world: World,
    account: RunningAccount,
    error: MountfsError,
    condition: Condition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.follow()
    assert account.status().far_side == FarSide()
    known = [error] if isinstance(error, NotSignedIn) else []
    monkeypatch.setattr(world.memory, "trouble", lambda: known[0] if known else None)
    world.backend.fail("wait_for_changes", error, times=100)
    world.backend.fail("changes", error, times=100)
    for _ in range(50):
        world.advance(max(0.0, world.core.follower.step(world.clock.now_s()) - world.clock.now_s()))
        far_side = account.status().far_side
        assert (far_side.condition, far_side.detail) == (condition, str(error))
    known.clear()
    world.backend.forgive()
    world.advance(400.0)
    world.follow()
    assert account.status().far_side == FarSide()


def test_credentials_that_are_taken_again_are_not_told_as_refused(
    world: World, account: RunningAccount
) -> None:
    """Also before changes are asked for again, which may be a minute later."""
    world.follow()
    world.backend.fail("wait_for_changes", NotSignedIn("expired"), times=1)
    world.backend.fail("changes", NotSignedIn("expired"), times=1)
    world.core.follower.step(world.clock.now_s())
    assert isinstance(world.core.follower.error, NotSignedIn)
    assert account.status().far_side == FarSide()


def test_what_the_connection_knows_is_told_though_nobody_asks_just_now(
    world: World, account: RunningAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.follow()
    monkeypatch.setattr(world.memory, "trouble", lambda: ServerFault("upload: HTTP 500"))
    assert account.status().far_side == FarSide(True, "upload: HTTP 500", Condition.FAILING)


def test_a_service_is_not_told_as_away_by_what_nobody_sends_any_more(
    world: World, account: RunningAccount
) -> None:
    world.follow()
    world.put("/a", b"a")
    world.memory.is_online = False
    for _ in range(20):
        world.core.uploader.step(world.clock.now_s())
        world.advance(1.0)
    assert account.status().far_side.condition is Condition.UNREACHABLE
    world.memory.is_online = True
    world.follow()
    account.hold(True)
    assert account.status().far_side == FarSide()
    account.hold(False)
    assert account.status().far_side.condition is Condition.UNREACHABLE
    world.fs.unlink("/a")
    assert world.pending() == []
    assert account.status().far_side == FarSide()


def mount_of_scans(tmp_path: Path) -> tuple[MemoryAccount, World]:
    """Of a folder below the top, which has one file and is followed."""
    service = MemoryAccount()
    service.write("/a/scans/old", b"1")
    top = RemotePath("/a/scans")
    world = World(tmp_path, service, settings={"top": top, "top_entry": service.get("/a/scans")})
    world.follow()
    return service, world


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize("removed", ["/a/scans", "/a"])
def test_that_others_removed_the_folder_that_is_mounted_is_told(
    tmp_path: Path, removed: str, is_listed: bool
) -> None:
    """And nothing is written into it: that would be kept where nobody sees it."""
    service, world = mount_of_scans(tmp_path)
    account = account_of(world)
    if is_listed:
        assert world.names() == {"old"}
    assert account.status().workers == {}
    service.remove(removed)
    world.follow()
    assert "was removed at the service" in account.status().workers["list"]
    for _ in range(2):
        with pytest.raises(NotFound, match="was removed at the service"):
            world.names()
        with pytest.raises(NotFound):
            world.put("/new", b"2")
    assert world.pending() == []
    assert world.fs.getattr("/").mode
    world.close()


@pytest.mark.parametrize("by", ["a file", "a folder"])
@pytest.mark.parametrize("replaced", ["/a/scans", "/a"])
def test_that_others_replaced_the_folder_that_is_mounted_is_told(
    tmp_path: Path, replaced: str, by: str
) -> None:
    """Dropbox tells what stands at a path by now, and need not tell that something else went before."""
    service, world = mount_of_scans(tmp_path)
    account = account_of(world)
    assert world.names() == {"old"}
    service.remove(replaced)
    entry = service.write(replaced, b"2") if by == "a file" else service.mkdir(replaced)
    feed = world.core.feed
    feed.note([Seen(entry, RemotePath(replaced))], feed.cursor or "", feed.asks())
    with pytest.raises(NotFound, match="was removed at the service"):
        world.names()
    assert "was removed at the service" in account.status().workers["list"]
    world.close()


@pytest.mark.parametrize("has_pending", [False, True])
def test_a_folder_that_others_made_anew_while_it_was_not_mounted_is_mounted(
    tmp_path: Path, has_pending: bool
) -> None:
    service, top = MemoryAccount(), RemotePath("/scans")
    service.write("/scans/old", b"1")
    world = World(tmp_path, service, settings={"top": top, "top_entry": service.get("/scans")})
    world.follow()
    assert world.names() == {"old"}
    if has_pending:
        world.put("/ours", b"3")
    world.close()
    service.remove("/scans")
    service.write("/scans/new", b"2")
    world.settings["top_entry"] = service.get("/scans")
    world.start()
    world.follow()
    world.settle()
    world.follow()
    assert world.names() == {"new"} | ({"ours"} if has_pending else set())
    assert world.remote() == {"/scans": None, "/scans/new": b"2"} | (
        {"/scans/ours": b"3"} if has_pending else {}
    )
    assert account_of(world).status().workers == {}
    world.close()


def test_news_of_the_folder_that_is_mounted_list_it_only_where_it_is_another_one(tmp_path: Path) -> None:
    service = MemoryAccount()
    service.write("/scans/old", b"1")
    entry = service.get("/scans")
    world = World(tmp_path, service, settings={"top": RemotePath("/scans"), "top_entry": entry})
    world.follow()
    assert world.names() == {"old"}
    feed, before = world.core.feed, world.memory.calls()
    assert entry is not None
    feed.note([Seen(entry, RemotePath("/scans"))], feed.cursor or "", feed.asks())
    assert world.names() == {"old"}
    assert world.memory.calls() == before
    world.close()


def test_that_others_removed_a_folder_above_pending_files_is_no_end_of_the_mount(tmp_path: Path) -> None:
    service = MemoryAccount()
    service.write("/scans/old", b"1")
    world = World(tmp_path, service, settings={"top": RemotePath("/scans")})
    assert world.names() == {"old"}
    world.put("/new", b"2")
    service.remove("/scans")
    world.follow()
    assert world.names() == {"new"}
    world.settle()
    assert world.remote() == {"/scans": None, "/scans/new": b"2"}
    assert account_of(world).status().workers == {}
    world.close()


def test_that_the_top_of_the_account_is_not_shown_any_more_is_told(
    world: World, account: RunningAccount
) -> None:
    world.backend.fail("list_folder", NotFound("no such folder: 17"), times=1)
    with pytest.raises(NotFound):
        world.names()
    assert account.status().workers["list"].endswith("no such folder: 17")
    world.names()
    assert account.status().workers == {}


@pytest.mark.parametrize(("refused", "is_told"), [("/", False), ("/scans", True)])
def test_only_of_the_folder_that_is_mounted_is_told_that_it_is_not_shown(
    tmp_path: Path, refused: str, is_told: bool
) -> None:
    service = MemoryAccount()
    service.write("/scans/old", b"1")
    world = World(tmp_path, service, settings={"top": RemotePath("/scans")})
    account = account_of(world)
    world.names()
    tree, top = world.core.tree, world.core.view.top
    folder = tree.root if refused == "/" else top
    with tree.lock:
        world.core.view.listings.doubt(folder)
    world.backend.fail("list_folder", Forbidden("not for you"), times=1)
    with pytest.raises(Forbidden):
        world.core.view.listings.load(folder)
    assert ("list" in account.status().workers) is is_told
    world.close()


def test_a_worker_that_fails_is_told_until_a_step_goes_well(world: World) -> None:
    failures = [KeyError("a bug"), MemoryError()]

    def step(now_s: float) -> float:
        if failures:
            raise failures.pop(0)
        return now_s

    worker = Worker("commit-0", step, world.clock)
    account = account_of(world, workers=[worker])
    assert account.status().workers == {}
    worker.run_step()
    assert account.status().workers == {"commit-0": "KeyError: 'a bug'"}
    worker.run_step()
    assert account.status().workers == {"commit-0": "MemoryError"}
    worker.run_step()
    assert account.status().workers == {}


def test_a_journal_that_cannot_be_synced_is_told(world: World) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "I/O error")

    account = account_of(world)
    world.mkdir("/d")
    world.disk.fdatasync = failing  # type: ignore[method-assign]
    with pytest.raises(OSError, match="I/O error"):
        account.sync()
    assert "I/O error" in account.status().workers["sync"]


def test_trouble_at_a_service_that_answers_is_told_until_it_is_over(
    world: World, account: RunningAccount
) -> None:
    crew = Crew(world)
    world.put("/a", b"a")
    for route in ("upload_whole", "append_pack"):
        world.backend.fail(route, ServerFault("500"), times=1000)
    begun_s = world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 60.0)
    told = account.status()
    assert told.far_side == FarSide(True, "500", Condition.FAILING)
    assert [(trouble.path, trouble.reason) for trouble in told.troubles] == [("/a", "500")]
    world.backend.forgive()
    crew.work(lambda: world.pending() == [])
    assert account.status().far_side == FarSide()
    assert account.status().troubles == ()


def test_a_step_that_waits_for_a_token_does_not_hold_up_the_end(world: World) -> None:
    """A read ahead that did would: Python waits for such threads when it ends."""
    asked, ended, released = Event(), Event(), Event()

    def sign_in(_: float) -> float:
        asked.set()
        ended.wait(PATIENCE_S)
        return math.inf

    worker = Worker("upload", sign_in, world.clock)
    account = account_of(world, workers=[worker], end_connection=ended.set, release=released.set)
    worker.start()
    assert asked.wait(PATIENCE_S)
    account.close()
    assert released.is_set()


def test_the_status_says_that_another_process_commits(world: World, account: RunningAccount) -> None:
    """Which may have been stopped, and then nothing is committed by anybody."""
    world.put("/f", b"1")
    world.upload_all()
    with world.places.commit_lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        world.advance(60.0)
        world.core.committer.step(world.clock.now_s())
        job = account.status().current_job
        assert job == f"waits for another mount of the account (process {os.getpid()})"
    world.settle()
    assert account.status().current_job is None
    assert world.account.files() == {"/f": b"1"}


def test_threads_that_cannot_be_started_keep_the_mount_from_standing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would ever be sent, and nobody told."""
    begin, started = Thread.start, []

    def start(thread: Thread) -> None:
        started.append(thread.name)
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        begin(thread)

    steps: list[str] = []

    def step(_: float) -> float:
        steps.append(threading.current_thread().name)
        return math.inf

    workers = [Worker(f"upload-{number}", step, world.clock) for number in range(3)]
    account = account_of(world, workers=workers)
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", start)
        with pytest.raises(RuntimeError):
            account.start()
    account.close()
    assert steps == []
    assert not workers[0].is_alive
