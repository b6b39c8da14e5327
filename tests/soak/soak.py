"""A soak: ordinary programs at work on two mounts of one account, while everything goes wrong that may."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mountfs.model.hashing import HashKind
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES
from tests.soak import ending
from tests.soak.appender import Appender
from tests.soak.figures import Figures
from tests.soak.sharer import FOLDER, Sharer
from tests.soak.station import Station, stations
from tests.soak.weather import REMOTES, SWITCHES, Weather
from tests.soak.writer import Writer
from tests.waiting import until

MIB = 1024 * 1024
TICK_S = 0.5
PAUSE_S = 0.6
"""The longest a writer waits between two steps, as people and programs do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a soak is to be. The state disks are full *fills* times, in turn, for *full_s* each."""

    service: str
    seconds: float
    seed: int = 1
    kill_every_s: float = 30.0
    fills: int = 2
    full_s: float = 10.0
    writers: int = 2
    """Of each mount, with a folder of their own."""


@dataclass(slots=True)
class Crew:
    """All who use the mounts, a thread each. The first fault ends them all."""

    figures: Figures
    over: threading.Event = field(default_factory=threading.Event)
    faults: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, name: str, station: Station, turn: Callable[[], None], draw: Random) -> None:
        def work() -> None:
            try:
                while not self.over.wait(draw.random() * PAUSE_S):
                    if not station.is_behind:
                        turn()
            except Exception as error:  # whatever it is, it is told
                self.figures.tell(traceback.format_exc())
                self.fail(str(error) if isinstance(error, AssertionError) else f"{name}: {error!r}")

        thread = threading.Thread(target=work, name=name)
        self._threads.append(thread)
        thread.start()

    def fail(self, fault: str) -> None:
        self.faults.append(fault)
        self.figures.tell(f"FAULT {fault}")
        self.over.set()

    def join(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()


def soak(plan: Plan, folder: Path, figures: Figures) -> list[str]:
    """Runs it in *folder*, which is new; a line for each promise that was broken."""
    far_side = SERVICES[plan.service](folder / "far-side", **SWITCHES[plan.service])
    crew = Crew(figures)
    try:
        with far_side, stations(folder, far_side, REMOTES[plan.service], figures) as both:
            far_side.mkdir(f"/{FOLDER}")
            for station in both:
                station.start()
                until((station.mount.path / FOLDER).is_dir, "the shared folder is seen")
            weather = Weather(far_side, plan.seed)
            try:
                sharers, checks = _set_to_work(plan, folder, crew, both, far_side.hash_kind)
                weather.begin()
                _make_trouble(plan, crew, both)
            finally:
                for station in both:
                    station.free()
                crew.join()
                weather.end(figures)
            if not crew.faults:
                _settle(crew, both, far_side, sharers, checks)
                _judge(crew, both, far_side, sharers)
    except AssertionError as error:
        crew.faults.append(str(error))
    return crew.faults


def _set_to_work(
    plan: Plan, folder: Path, crew: Crew, both: list[Station], kind: HashKind
) -> tuple[list[Sharer], list[Callable[[], None]]]:
    """Starts all writers; those whose claims count, and what looks at the folders of the others."""
    sharers: list[Sharer] = []
    checks: list[Callable[[], None]] = []

    def draw(name: str) -> Random:
        return Random(f"{plan.seed} {name}")

    for station in both:
        for number in range(plan.writers):
            name = f"{station.name}{number}"
            writer = Writer(name, station, folder / "writers" / name, draw(name), crew.figures)
            writer.begin()
            checks.append(writer.check)
            crew.start(name, station, writer.turn, draw(f"{name} pauses"))
        appender = Appender(station, draw(f"{station.name} log"), crew.figures)
        appender.begin()
        checks.append(appender.check)
        crew.start(appender.name, station, appender.turn, draw(f"{appender.name} pauses"))
        sharer = Sharer(station, kind, draw(f"{station.name} shared"), crew.figures)
        sharers.append(sharer)
        crew.start(sharer.name, station, sharer.turn, draw(f"{sharer.name} pauses"))
    return sharers, checks


def _make_trouble(plan: Plan, crew: Crew, both: list[Station]) -> None:
    """Kills mounts and fills disks until the time is over, or somebody found a fault."""
    events = [
        (plan.kill_every_s * (number + 1), both[number % 2].kill)
        for number in range(int(plan.seconds / plan.kill_every_s))
    ]
    for number in range(plan.fills if both[0].disk else 0):
        station, at_s = both[number % 2], plan.seconds * (number + 1) / (plan.fills + 1)
        events += [(at_s, station.fill), (at_s + plan.full_s, station.free)]
    events.sort(key=lambda event: event[0])
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < plan.seconds and not crew.over.wait(TICK_S):
        while events and events[0][0] <= passed_s:
            events.pop(0)[1]()
        for station in both:
            station.look()


def _settle(
    crew: Crew,
    both: list[Station],
    far_side: SandboxProcess,
    sharers: list[Sharer],
    checks: list[Callable[[], None]],
) -> None:
    """Returns when mounts, account and mirrors are one. AssertionError when they never are."""
    for check in checks:
        check()
    for sharer in sharers:
        sharer.tidy()
    crew.figures.tell("all is to settle")
    began_s = time.monotonic()
    ending.settle(both, far_side)
    crew.figures.count("seen", "seconds until all had settled", time.monotonic() - began_s)
    crew.figures.tell("all has settled")
    for check in checks:
        check()


def _judge(crew: Crew, both: list[Station], far_side: SandboxProcess, sharers: list[Sharer]) -> None:
    """Holds what arrived against what the writers of the shared folder were told, and ends the mounts."""
    figures = crew.figures
    claims = [claim for sharer in sharers for claim in sharer.claims]
    arrived = ending.versions(far_side)
    histories = ending.histories_of(arrived)
    crew.faults += ending.faults(both, far_side, histories, claims)
    figures.count("at the service", "files", len(arrived))
    figures.count("at the service", "conflicted copies", ending.conflicts(arrived))
    figures.count("at the service", "versions of these files", sum(map(len, arrived.values())))
    sizes = (version["size"] for history in arrived.values() for version in history)
    figures.count("at the service", "MiB in these versions", sum(sizes) / MIB)
    for station in both:
        code = station.mount.terminate()
        if code:
            crew.faults.append(f"mount {station.name}: a clean stop exits with {code}")
