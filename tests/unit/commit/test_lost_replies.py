"""Nobody knows what came of a batch: its reply was lost, or the service does not know its job. The jobs of an
account are serial: the committer waits, looks up what stands where, and sends again only what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.commit.patience import JOB_ENDS_S
from mountfs.errors import Busy, MountfsError, Offline, ServerFault, SessionLost, Throttled
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import Order, OrderKind
from mountfs.ports import Launch
from mountfs.tree.node import whole_seconds
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.commit.scenarios import check_nothing_is_left, ready

SERIAL_LIMITS = replace(MEMORY_LIMITS, batch_entries=dict.fromkeys(OrderKind, 1000))
"""One job at a time, with orders of every kind."""
OLD_NS = 1_000_000_000 * NS_PER_S
NUMBERS = range(3)
LOST = [Offline("the connection was cut"), ServerFault("500")]
MANY = 42
"""So many launches in a row have no reply."""

Act = Callable[[World, int], object]


@dataclass(frozen=True)
class Case:
    """What is there before, and what is then done to it; of each number."""

    kind: OrderKind
    there: Act
    act: Act

    def prepare(self, world: World) -> None:
        """All that is there is known; what is done to it is ready to be sent."""
        for number in NUMBERS:
            self.there(world, number)
        world.settle()
        world.tree()
        world.account.submits.clear()
        for number in NUMBERS:
            self.act(world, number)
        ready(world)


def _folder_made_by_the_way(world: World, number: int) -> None:
    """The service does not tell the ids of folders that files make."""
    world.mkdir(f"/{number}")
    world.put(f"/{number}/f", b"f")


def _nothing(_world: World, _number: int) -> None:
    pass


CASES = {
    "new file": Case(OrderKind.PUT, _nothing, lambda w, n: w.put(f"/{n}", b"%d" % n)),
    "new version": Case(
        OrderKind.PUT, lambda w, n: w.account.write(f"/{n}", b"old"), lambda w, n: w.put(f"/{n}", b"%d" % n)
    ),
    "new folder": Case(OrderKind.MAKE_FOLDER, _nothing, lambda w, n: w.mkdir(f"/{n}")),
    "removal": Case(
        OrderKind.DELETE, lambda w, n: w.account.write(f"/{n}", b"old"), lambda w, n: w.fs.unlink(f"/{n}")
    ),
    "removal of a folder": Case(
        OrderKind.DELETE, lambda w, n: w.account.mkdir(f"/{n}"), lambda w, n: w.fs.rmdir(f"/{n}")
    ),
    "rename": Case(
        OrderKind.MOVE,
        lambda w, n: w.account.write(f"/{n}", b"%d" % n),
        lambda w, n: w.rename(f"/{n}", f"/to{n}"),
    ),
    "rename of a folder": Case(
        OrderKind.MOVE,
        lambda w, n: w.account.write(f"/{n}/f", b"%d" % n),
        lambda w, n: w.rename(f"/{n}", f"/to{n}"),
    ),
    "rename of a folder without an id": Case(
        OrderKind.MOVE, _folder_made_by_the_way, lambda w, n: w.rename(f"/{n}", f"/to{n}")
    ),
    "rename in case alone": Case(
        OrderKind.MOVE,
        lambda w, n: w.account.write(f"/a{n}", b"%d" % n),
        lambda w, n: w.rename(f"/a{n}", f"/A{n}"),
    ),
    "time": Case(
        OrderKind.SET_TIME,
        lambda w, n: w.account.write(f"/{n}", b"%d" % n),
        lambda w, n: w.touch(f"/{n}", OLD_NS + n * NS_PER_S),
    ),
}


@dataclass(frozen=True)
class Launched:
    """A batch as the committer sent it, whatever became of that."""

    at_s: float
    orders: tuple[Order, ...]


def record_launches(world: World) -> list[Launched]:
    launches: list[Launched] = []
    submit = world.backend.submit

    def recording(orders: tuple[Order, ...]) -> Launch:
        launches.append(Launched(world.clock.now_s(), tuple(orders)))
        return submit(orders)

    world.backend.submit = recording  # type: ignore[assignment,method-assign]
    return launches


def check_all_is_done(world: World) -> None:
    """The account has what the mount shows, the times too, and no job came while another one ran."""
    shown = world.tree()
    assert world.remote() == shown
    for path, body in shown.items():
        if body is not None:
            assert world.file(path).mtime_ns == whole_seconds(world.fs.getattr(path).mtime_ns)
    assert world.account.overlapping_submits == 0
    assert world.notices() == []
    check_nothing_is_left(world)


def paths(orders: tuple[Order, ...]) -> set[str]:
    return {order.place.path.text for order in orders}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def serial(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=SERIAL_LIMITS)
    world.account.clock = world.clock
    yield world
    world.close()


# Where one job runs at a time


@pytest.mark.parametrize("job_s", [0.0, 1.0, 3.5, 10.0])
@pytest.mark.parametrize("error", LOST)
def test_a_batch_that_took_effect_is_sent_once_though_its_reply_was_lost(
    serial: World, case: Case, error: MountfsError, job_s: float
) -> None:
    case.prepare(serial)
    serial.account.job_s = job_s
    serial.backend.fail("submit", error, after=True, times=MANY)
    launches = record_launches(serial)
    serial.settle(3600.0)
    assert [launch.orders[0].kind for launch in launches] == [case.kind]
    check_all_is_done(serial)


@pytest.mark.parametrize("error", [each for each in LOST if isinstance(each, Offline)])
def test_a_batch_that_took_no_effect_is_sent_once_for_each_lost_reply_and_once_more(
    serial: World, case: Case, error: MountfsError
) -> None:
    case.prepare(serial)
    serial.backend.fail("submit", error, times=MANY)
    launches = record_launches(serial)
    serial.settle(24 * 3600.0)
    assert len(launches) == MANY + 1
    assert {launch.orders[0].kind for launch in launches} == {case.kind}
    assert len({frozenset(paths(launch.orders)) for launch in launches}) == 1
    gaps_s = [later.at_s - earlier.at_s for earlier, later in pairwise(launches)]
    assert min(gaps_s) >= JOB_ENDS_S
    assert sum(gaps_s) >= MANY * 15.0  # and ever more rarely
    check_all_is_done(serial)


@pytest.mark.parametrize("job_s", [1.0, 3.5, 10.0])
def test_a_job_that_nobody_knows_is_not_sent_again_while_it_runs(
    serial: World, case: Case, job_s: float
) -> None:
    case.prepare(serial)
    serial.account.job_s = job_s
    serial.backend.fail("poll", SessionLost("no such job"), times=MANY)
    launches = record_launches(serial)
    serial.settle(3600.0)
    assert len(launches) == 1
    check_all_is_done(serial)


def one_folder_lost(world: World, job_s: float, times: int = 1) -> list[Launched]:
    """A job of one order, which has no effect before it ends; its reply is lost, and so are the next ones."""
    world.account.job_s = job_s
    world.mkdir("/d")
    ready(world)
    world.backend.fail("submit", ServerFault("500"), after=True, times=times)
    launches = record_launches(world)
    world.settle(3600.0)
    return launches


@pytest.mark.parametrize(("times", "expected"), [(1, 3), (7, 4)])
def test_a_job_longer_than_any_before_is_asked_for_again_ever_more_rarely(
    serial: World, times: int, expected: int
) -> None:
    launches = one_folder_lost(serial, 60.0, times)
    gaps_s = [later.at_s - earlier.at_s for earlier, later in pairwise(launches)]
    assert len(launches) == expected
    assert gaps_s == sorted(gaps_s)
    assert serial.account.overlapping_submits == expected - 1
    assert serial.account.folders() == {"/d"}
    assert serial.notices() == []
    check_nothing_is_left(serial)


@pytest.mark.parametrize("answer", [Throttled("another job runs", 1.0), Busy("another job runs", 1.0)])
def test_what_a_job_itself_may_be_busy_with_is_not_asked_for_every_second(
    serial: World, answer: MountfsError
) -> None:
    serial.account.job_s = 60.0
    serial.mkdir("/d")
    ready(serial)
    serial.backend.fail("submit", Offline("cut"), after=True)
    serial.backend.fail("submit", answer, times=50)
    launches = record_launches(serial)
    serial.settle(3600.0)
    gaps_s = [later.at_s - earlier.at_s for earlier, later in pairwise(launches)]
    assert len(launches) == 3
    assert min(gaps_s) >= JOB_ENDS_S
    check_all_is_done(serial)


def test_an_answer_ends_the_longer_waits(serial: World) -> None:
    launches = record_launches(serial)
    for path in ("/a", "/b"):
        serial.mkdir(path)
        ready(serial)
        serial.backend.fail("submit", Offline("cut"))
        serial.settle()
    first, second, third, fourth = (launch.at_s for launch in launches)
    assert fourth - third == pytest.approx(second - first, abs=0.1)
    check_all_is_done(serial)


@pytest.mark.parametrize("job_s", [10.0, 25.0])
def test_a_job_that_takes_as_long_as_others_took_is_waited_for(serial: World, job_s: float) -> None:
    serial.account.job_s = job_s
    serial.mkdir("/before")
    serial.settle()
    assert len(one_folder_lost(serial, job_s)) == 1
    check_all_is_done(serial)


def test_a_large_batch_is_given_more_time(serial: World) -> None:
    for number in range(500):
        serial.mkdir(f"/{number}")
    ready(serial)
    serial.backend.fail("submit", Offline("cut"))
    launches = record_launches(serial)
    serial.settle()
    first, second = launches
    assert len(first.orders) == len(second.orders) == 500
    assert second.at_s - first.at_s >= JOB_ENDS_S + 10.0
    check_all_is_done(serial)


def test_what_an_ended_job_left_undone_is_all_that_is_sent_again(serial: World, case: Case) -> None:
    case.prepare(serial)
    serial.account.job_s = 6.0
    launches = record_launches(serial)
    while not serial.core.committer.current:
        serial.commit_steps(1)
    serial.advance(4.5)  # two of three took effect
    serial.account.lose_jobs(end=True)
    serial.settle()
    first, second = (paths(launch.orders) for launch in launches)
    assert len(first) == 3 and len(second) == 1 and second < first
    check_all_is_done(serial)


def test_what_a_batch_cut_short_left_undone_is_all_that_is_sent_again(serial: World, case: Case) -> None:
    case.prepare(serial)
    serial.account.job_s = 6.0
    serial.backend.fail("submit", ServerFault("500"), after=True)
    launches = record_launches(serial)
    while not serial.backend.is_spent():
        serial.commit_steps(1)
    serial.advance(2.5)  # one of three took effect
    serial.account.lose_jobs(end=True)
    serial.settle()
    first, second = (paths(launch.orders) for launch in launches)
    assert len(first) == 3 and len(second) == 2 and second < first
    check_all_is_done(serial)


@pytest.mark.parametrize("is_done", [False, True])
def test_the_next_process_looks_before_it_sends_anything_again(
    serial: World, case: Case, is_done: bool
) -> None:
    case.prepare(serial)
    serial.account.job_s = 3.0
    serial.backend.fail("submit", Offline("cut"), after=is_done)
    launches = record_launches(serial)
    while not serial.backend.is_spent():
        serial.commit_steps(1)
    serial.restart()
    serial.settle()
    assert len(launches) == (1 if is_done else 2)
    check_all_is_done(serial)


def test_a_request_that_was_slow_to_arrive_may_just_have_begun_a_job(tmp_path: Path) -> None:
    """A file that is removed meanwhile does not come back when that job ends."""
    world = World(tmp_path, limits=replace(SERIAL_LIMITS, ends_sessions=False))
    world.account.clock, world.account.job_s = world.clock, 2.0
    submit = world.memory.submit

    def submit_slowly(orders: Sequence[Order]) -> Launch:
        world.memory.submit = submit  # type: ignore[method-assign]
        world.advance(2 * JOB_ENDS_S)
        submit(orders)
        raise Offline("the connection was cut")

    world.memory.submit = submit_slowly  # type: ignore[method-assign]
    world.put("/f", b"f")
    world.upload_all()
    while not world.account.submits:
        world.commit_steps(1)
    world.fs.unlink("/f")
    world.settle()
    world.advance(10.0)
    assert world.remote() == world.tree() == {}
    check_nothing_is_left(world)
    world.close()


def test_nothing_else_is_sent_while_the_first_job_may_still_run(serial: World, case: Case) -> None:
    case.prepare(serial)
    serial.account.job_s = 3.0
    serial.backend.fail("submit", Offline("cut"), after=True)
    launches = record_launches(serial)
    while not serial.backend.is_spent():
        serial.commit_steps(1)
    serial.put("/another", b"another")
    serial.mkdir("/another folder")
    serial.settle()
    assert [launch.orders[0].kind for launch in launches[:1]] == [case.kind]
    assert len(launches) == 3
    check_all_is_done(serial)


def test_a_folder_cannot_be_listed_while_a_batch_is_looked_up(serial: World, case: Case) -> None:
    case.prepare(serial)
    serial.account.job_s = 2.0
    serial.backend.fail("submit", Offline("cut"), after=True)
    serial.backend.fail("stat", Offline("cut"), times=5)
    serial.backend.fail("list_folder", Offline("cut"), times=5)
    launches = record_launches(serial)
    serial.settle()
    assert len(launches) == 1
    check_all_is_done(serial)


# What is done meanwhile


@pytest.mark.parametrize("is_done", [False, True])
def test_what_changed_meanwhile_is_sent_as_it_is_then(serial: World, is_done: bool) -> None:
    CASES["new file"].prepare(serial)
    serial.account.job_s = 2.0
    serial.backend.fail("submit", Offline("cut"), after=is_done)
    launches = record_launches(serial)
    while not serial.backend.is_spent():
        serial.commit_steps(1)
    serial.rename("/0", "/renamed")
    serial.put("/1", b"another version")
    serial.fs.unlink("/2")
    serial.settle()
    assert serial.account.files() == {"/renamed": b"0", "/1": b"another version"}
    puts = [launch for launch in launches if launch.orders[0].kind is OrderKind.PUT]
    first, second = (paths(launch.orders) for launch in puts)
    assert first == {"/0", "/1", "/2"}
    assert second == ({"/1"} if is_done else {"/1", "/renamed"})
    check_all_is_done(serial)


def test_what_somebody_else_put_there_is_not_taken_for_ours(serial: World) -> None:
    CASES["new version"].prepare(serial)
    serial.backend.fail("submit", Offline("cut"))
    while not serial.backend.is_spent():
        serial.commit_steps(1)
    serial.account.write("/0", b"theirs")
    serial.settle()
    files = serial.account.files()
    assert files["/0"] == b"theirs"
    assert sorted(files.values()) == [b"0", b"1", b"2", b"theirs"]


# Where several calls run at once


@pytest.fixture
def several(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.account.clock = world.clock
    yield world
    world.close()


@pytest.mark.parametrize("error", LOST)
def test_calls_that_took_effect_are_made_once_though_their_replies_were_lost(
    several: World, case: Case, error: MountfsError
) -> None:
    case.prepare(several)
    several.backend.fail("submit", error, after=True, times=MANY)
    launches = record_launches(several)
    several.settle(3600.0)
    assert len(launches) == len(NUMBERS)
    check_all_is_done(several)


@pytest.mark.parametrize("error", LOST)
def test_calls_that_took_no_effect_are_made_once_for_each_lost_reply_and_once_more(
    several: World, case: Case, error: MountfsError
) -> None:
    case.prepare(several)
    several.backend.fail("submit", error, times=MANY)
    launches = record_launches(several)
    several.settle(24 * 3600.0)
    assert len(launches) == MANY + len(NUMBERS)
    check_all_is_done(several)


@pytest.mark.parametrize("job_s", [1.0, 10.0])
def test_calls_that_still_run_when_they_are_made_again_take_effect_once(
    several: World, case: Case, job_s: float
) -> None:
    case.prepare(several)
    effects_before = len(several.account.tree.log)
    several.account.job_s = job_s
    several.backend.fail("submit", ServerFault("500"), after=True, times=MANY)
    launches = record_launches(several)
    several.settle(3600.0)
    assert len(launches) <= 8 * len(NUMBERS)  # ever more rarely
    assert len(several.account.tree.log) == effects_before + len(NUMBERS)
    assert several.remote() == several.tree()
    assert several.notices() == []
    check_nothing_is_left(several)


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("error", LOST)
def test_the_commit_of_a_session_is_repeated_with_the_time_that_it_had(
    several: World, error: MountfsError, is_killed: bool
) -> None:
    """A service that has accepted it takes no other one of that session."""
    several.put("/film", bytes(SIDE_BY_SIDE_LIMITS.session_min_bytes))
    ready(several)
    several.backend.fail("submit", error)
    launches = record_launches(several)
    while not several.backend.is_spent():
        several.commit_steps(1)
    several.touch("/film", OLD_NS)
    if is_killed:
        several.restart()
    several.settle()
    first, second, time = [order for launch in launches for order in launch.orders]
    assert first == second
    assert (first.kind, time.kind) == (OrderKind.PUT, OrderKind.SET_TIME)
    check_all_is_done(several)
