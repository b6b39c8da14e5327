"""Machines that share an account: no two jobs at once, whoever dies, stops or forgets amid one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.fleet.redisserver import RedisServer
from mountfs.model.allowance import Allowance
from tests.doubles.redisprocess import RedisProcess
from tests.mounted.boxprocess import BoxProcess
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.fleets import Machine
from tests.mounted.networkprocess import network_pid
from tests.mounted.realmount import freeze, mountfs
from tests.mounted.sandboxprocess import Asked
from tests.mounted.turnlog import TurnLog
from tests.waiting import until

JOB_S = 1.5
"""Of a job that something is to happen in."""
ROUNDS = 3
ROUND_FILES = 20


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture
def dropbox(tmp_path: Path) -> Iterator[DropboxProcess]:
    process = DropboxProcess(tmp_path / "far")
    with process:
        yield process


def machines(
    stack: contextlib.ExitStack, folder: Path, dropbox: DropboxProcess, url: str, count: int
) -> list[Machine]:
    found = [stack.enter_context(Machine(folder, dropbox, url, name)) for name in "abcdef"[:count]]
    for each in found:
        each.start()
    return found


def check_all_committed_once(dropbox: DropboxProcess, names: set[str]) -> None:
    assert set(dropbox.files()) == names
    assert {dropbox.revisions(name) for name in names} == {1}


def test_machines_take_turns_in_order_and_their_batches_grow_meanwhile(
    tmp_path: Path, dropbox: DropboxProcess, redis: RedisProcess
) -> None:
    with contextlib.ExitStack() as stack:
        running = machines(stack, tmp_path, dropbox, redis.url, 4)
        dropbox.switches(job_duration_s=0.2)
        log = stack.enter_context(TurnLog(redis.url))

        def copy(machine: Machine) -> None:
            (machine.path / machine.name).mkdir()
            for number in range(ROUNDS * ROUND_FILES):
                (machine.path / machine.name / f"f{number}").write_text(f"{machine.name}{number}")
                if number % ROUND_FILES == ROUND_FILES - 1:
                    machine.wait_committed()

        threads = [threading.Thread(target=copy, args=(machine,)) for machine in running]
        for thread in threads:
            thread.start()
        until(lambda: running[0].status()["account"]["fleet"]["waiting"], "somebody waits")
        fleet = running[0].status()["account"]["fleet"]
        assert fleet["holder"] in ("", "a", "b", "c", "d")
        assert fleet["trouble"] == ""
        shown = mountfs("status", running[0].path).stdout
        assert "turn" in shown
        assert "calls a minute" in shown
        for thread in threads:
            thread.join()
        log.close()
        check_all_committed_once(
            dropbox,
            {f"/{each.name}/f{number}" for each in running for number in range(ROUNDS * ROUND_FILES)},
        )
        assert dropbox.peak_jobs() == 1
        assert len(dropbox.asked(Asked.COMMIT)) <= 2 * ROUNDS * len(running)
        assert min(len(log.turns.of(each.name)) for each in running) >= ROUNDS
        assert max(turn.passed for turn in log.turns.taken) < len(running)  # each other machine once
        calls = running[0].status()["account"]["fleet"]["calls"]
        assert set(calls) == {"a", "b", "c", "d"}
        assert all(each.terminate() == 0 for each in running)


@pytest.mark.parametrize("what", ["holder killed", "holder stopped", "redis killed", "both killed"])
def test_whatever_ends_in_the_middle_of_a_job_nothing_is_lost_or_doubled_or_overlaps(
    tmp_path: Path, dropbox: DropboxProcess, redis: RedisProcess, what: str
) -> None:
    with contextlib.ExitStack() as stack:
        a, b = machines(stack, tmp_path, dropbox, redis.url, 2)
        (a.path / "first").write_text("first")
        a.wait_committed()
        dropbox.switches(job_duration_s=JOB_S)
        dropbox.reset_log()
        network = network_pid(a)
        assert network is not None
        (a.path / "of-a").write_text("a")
        until(lambda: dropbox.asked(Asked.OUTCOME), "the job of a runs")
        if what == "holder stopped":
            for pid in (a.pid, network):
                freeze(pid)
        if what in ("holder killed", "both killed"):
            a.kill9()
        if what in ("redis killed", "both killed"):
            redis.stop()
            redis.start()
        (b.path / "of-b").write_text("b")
        b.wait_committed()
        if what == "holder stopped":
            for pid in (network, a.pid):
                os.kill(pid, signal.SIGCONT)
        if what in ("holder killed", "both killed"):
            a.start()
        (a.path / "more-of-a").write_text("more")
        a.wait_committed()
        check_all_committed_once(dropbox, {"/first", "/of-a", "/of-b", "/more-of-a"})
        assert dropbox.peak_jobs() == 1
        assert [each["paths"] for each in dropbox.asked(Asked.COMMIT)] == [
            ["/of-a"],
            ["/of-b"],
            ["/more-of-a"],
        ]


def test_while_redis_is_away_commits_wait_or_go_on_alone_as_one_chose(
    tmp_path: Path, dropbox: DropboxProcess, redis: RedisProcess
) -> None:
    with contextlib.ExitStack() as stack:
        waits = stack.enter_context(Machine(tmp_path, dropbox, redis.url, "a", drain_idle_timeout="1"))
        alone = stack.enter_context(Machine(tmp_path, dropbox, redis.url, "b", fallback="alone"))
        for each in (waits, alone):
            each.start()
        redis.stop()
        (waits.path / "waits").write_text("a")
        (alone.path / "goes").write_text("b")
        alone.wait_committed()
        until(lambda: waits.status()["account"]["fleet"]["trouble"], "status tells")
        told = waits.status()["account"]
        assert "cannot be reached" in told["fleet"]["trouble"]
        assert told["current_job"].startswith("waits for the fleet's turn")
        assert alone.status()["account"]["fleet"]["is_alone"]
        assert "commits wait" in mountfs("status", waits.path).stdout
        assert set(dropbox.files()) == {"/goes"}
        assert waits.terminate() == 3  # the stop says so, and does not wait for long
        redis.start()
        waits.start()
        waits.wait_committed()
        check_all_committed_once(dropbox, {"/waits", "/goes"})


def test_machines_share_the_rate_of_box_and_uploads_wait_while_nobody_counts_them(
    tmp_path: Path, redis: RedisProcess
) -> None:
    rate = {"uploads_per_minute": "10", "upload_rate": "fixed", "calls_per_minute": "1000"}
    uploads = Allowance("uploads", 10, 10, 10)
    with contextlib.ExitStack() as stack:
        box = stack.enter_context(BoxProcess(tmp_path / "far"))
        box.switches(uploads_per_minute=10)
        running = [stack.enter_context(Machine(tmp_path, box, redis.url, name, remote=rate)) for name in "ab"]
        for each in running:
            each.start()
            for number in range(4):
                (each.path / f"{each.name}{number}").write_text(f"{each.name}{number}")
        for each in running:
            each.wait_committed()
        (user,) = running[0].state_dir.glob("accounts/*")
        server = RedisServer(redis.url, user.name)
        waits_s = [server.take((uploads,)) for _ in range(3)]
        server.close()
        assert waits_s[:2] == [0.0, 0.0]
        assert waits_s[2] > 1.0
        redis.stop()
        (running[0].path / "late").write_text("late")
        until(
            lambda: "fleet counts the uploads" in running[0].status()["account"]["far_side"]["detail"], "told"
        )
        assert "late" in [each.name for each in running[0].path.iterdir()]
        assert len(box.files()) == 8
        redis.start()
        running[0].wait_committed()
        assert len(box.files()) == 9
        assert not [each for each in box.log() if each["status"] == 429]


def test_machines_without_a_fleet_lose_nothing(tmp_path: Path, dropbox: DropboxProcess) -> None:
    """The service refuses what overlaps, and it is sent again."""
    with contextlib.ExitStack() as stack:
        running = machines(stack, tmp_path, dropbox, "", 2)
        dropbox.switches(job_duration_s=0.3)
        names = set()
        for number in range(5):
            for each in running:
                (each.path / f"{each.name}{number}").write_text(f"{each.name}{number}")
                names.add(f"/{each.name}{number}")
        for each in running:
            each.wait_committed()
        check_all_committed_once(dropbox, names)
        assert running[0].status()["account"]["fleet"] is None
