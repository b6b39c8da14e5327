"""``mountfs pause``, ``resume`` and ``bwlimit``: what they are told, what they ask, and what comes of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from daemon.cli import run
from daemon.config.keys import rates
from daemon.config.options import MountOptions
from daemon.config.settings import DropboxRemote, RemoteSpec
from daemon.control.client import Client
from daemon.control.health import Health, health_of
from daemon.control.protocol import Reply, Request
from daemon.control.steering import HoldRequest, RatesRequest, Steered
from daemon.failure import Failure
from daemon.process.connection import connect
from daemon.process.describing import HELD
from daemon.process.mounted import RunningAccount
from daemon.process.networkrecipe import RECIPE_MODULES, Recipe
from daemon.process.run import MountPlan
from mountfs.clock import SystemClock
from mountfs.errors import NoSpace
from mountfs.model.path import ROOT, RemotePath
from mountfs.model.rates import UNLIMITED, Rates
from mountfs.transport.codec import dumps, loads
from tests.doubles.world import World
from tests.unit.daemon.test_mounted import account_of
from tests.unit.daemon.test_status_command import WELL

MIB = 1024 * 1024


# What the mount does


def test_what_somebody_else_has_no_room_for_is_not_waited_for_at_a_stop(world: World) -> None:
    account = account_of(world)
    world.put("/theirs", b"12345")
    world.backend.refuse("/theirs", NoSpace("its owner has no room"), times=1000)
    core = world.core
    for _ in range(100):
        for step in (core.uploader.step, core.committer.step, core.prober.step):
            step(world.clock.now_s())
        world.advance(1.0)
    assert not world.core.prober.pause.is_on
    assert "its owner has no room" in account.held_up()


def test_while_it_is_held_nothing_is_sent_and_everything_is_kept(world: World) -> None:
    account = account_of(world)
    world.put("/old", b"1")
    world.settle()
    account.hold(True)
    world.put("/f", b"2")
    world.put("/big", bytes(40 * MIB))
    world.rename("/old", "/new")
    sent = world.backend.calls()
    world.settle()
    assert world.backend.calls() == sent
    assert world.get("/f") == b"2"
    assert account.status().paused == HELD
    assert account.held_up() == HELD
    world.restart()
    account_of(world).hold(True)
    account_of(world).hold(False)
    world.settle()
    assert set(world.account.files()) == {"/f", "/big", "/new"}


def test_whoever_is_woken_by_the_end_of_a_hold_goes_on(world: World) -> None:
    account = account_of(world)
    woken: list[str] = []
    world.core.uploader.wake = lambda: woken.append("uploads")
    world.core.committer.wake = lambda: woken.append("commits")
    account.hold(True)
    account.hold(False)
    assert woken == ["uploads", "commits"] * 2
    account.hold(False)
    assert len(woken) == 4


def test_what_is_on_its_way_ends_while_it_is_held(world: World) -> None:
    account = account_of(world)
    world.put("/f", b"1")
    world.upload_all()
    world.account.job_polls = 2
    world.commit_steps(1)
    account.hold(True)
    world.settle()
    assert account.backlog(ROOT).pending in (0, 1)
    account.hold(False)
    world.settle()
    assert set(world.account.files()) == {"/f"}


def test_a_held_mount_is_in_trouble_as_far_as_scripts_are_told(world: World) -> None:
    account = account_of(world)
    account.hold(True)
    assert health_of(replace(WELL, account=account.status())) is Health.TROUBLE


def test_the_rates_reach_the_network_process_and_the_next_one(tmp_path: Path) -> None:
    with DropboxSandbox(token="t") as sandbox:
        url = sandbox.base_url
        remote = DropboxRemote("work", access_token="t", api_url=url, content_url=url, notify_url=url)
        options = MountOptions(state_dir=tmp_path, uid=0, gid=0, bwlimit=Rates(up_bytes_s=MIB))
        plan = MountPlan(RemoteSpec("work", RemotePath("")), remote, tmp_path, options)
        connection = connect(plan, remote, SystemClock())
        try:
            connection.limit_rates(Rates(2 * MIB, 3 * MIB))
            connection.backend.account()
        finally:
            connection.backend.close()
            connection.end()
        connection.limit_rates(UNLIMITED)  # while no process runs


def test_the_recipe_carries_the_rates() -> None:
    remote = DropboxRemote("work", access_token="t")
    recipe = Recipe(remote, "work", "/s", "", logging.INFO, logging.INFO, rates=Rates(None, MIB))
    assert loads(dumps(recipe), RECIPE_MODULES) == recipe


# What is told


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("off", UNLIMITED),
        ("0", UNLIMITED),
        ("512K", Rates(512 * 1024)),
        ("2M:10M", Rates(2 * MIB, 10 * MIB)),
        ("off:1.5MiB/s", Rates(None, MIB * 3 // 2)),
        (20000, Rates(20000)),
        ("1g:", Rates(1 << 30)),
    ],
)
def test_rates_are_said_in_bytes_a_second(given: object, wanted: Rates) -> None:
    assert rates(given) == wanted
    assert rates(str(wanted)) == wanted


@pytest.mark.parametrize("given", ["fast", "1M:2M:3M", "1K", "-1", True, None, 2.5, "M", "9" * 40])
def test_what_is_no_rate_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        rates(given)


class Answering:
    """Mounts that do what they are asked, but for /mnt/b."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Request]] = []
        self.place = ""

    def at(self, place: Path) -> Answering:
        self.place = str(place)
        return self

    def ask(self, request: Request) -> Iterator[Reply]:
        if self.place == "/mnt/b":
            raise Failure("/mnt/b: its mountfs process has ended")
        self.asked.append((self.place, request))
        yield Steered()


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> Answering:
    answering = Answering()
    monkeypatch.setattr(Client, "at", answering.at)
    monkeypatch.setattr("daemon.cli.steer.all_mounts", lambda: [Path("/mnt/a"), Path("/mnt/b")])
    monkeypatch.setattr("daemon.cli.steer.find_mount", lambda path: path)
    return answering


def test_all_mounts_are_asked_though_one_is_dead(
    mounts: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pause"]) == 1
    told = capsys.readouterr()
    assert told.out == "/mnt/a: paused\n"
    assert "/mnt/b" in told.err
    assert run(["resume", "/mnt/a"]) == 0
    assert mounts.asked == [("/mnt/a", HoldRequest(True)), ("/mnt/a", HoldRequest(False))]


def test_a_limit_is_told_back(mounts: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bwlimit", "512K:off", "/mnt/a"]) == 0
    assert capsys.readouterr().out == "/mnt/a: up 512 KiB/s, down unlimited\n"
    assert mounts.asked == [("/mnt/a", RatesRequest(512 * 1024))]
    assert run(["bwlimit", "fast", "/mnt/a"]) == 2
    assert "must be UP or UP:DOWN" in capsys.readouterr().err


def test_a_running_account_passes_the_rates_on_and_tells_them(world: World) -> None:
    passed: list[Rates] = []
    account: RunningAccount = account_of(world, limit_rates=passed.append, rates=Rates(MIB))
    assert account.status().rates == Rates(MIB)
    account.limit_rates(Rates(None, MIB))
    assert (passed, account.status().rates) == ([Rates(None, MIB)], Rates(None, MIB))
