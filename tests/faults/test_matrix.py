"""Whatever goes wrong with whichever request: everything ends exactly once, or stays behind with its reason,
no byte is sent again that the service holds, and nobody is hammered."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mountfs.model.hashing import content_hash
from tests.faults.rig import CONTENT, Rig, rig
from tests.faults.table import FAULTS, End, Fault
from tests.faults.work import WORKS, Work

WITH_ALL = bool(os.environ.get("MOUNTFS_ALL_FAULTS"))
"""Whether each fault befalls the first, the middle and the last request of each route; else some of them."""
SOME = 1
"""Of each work."""
MOST_CALLS_MORE = 60
PER_S = 600.0
"""So many calls more than without the fault in so long; or"""
PER_FAILURE = 20
"""so many for each request that goes wrong: a lost reply of a batch has its few names looked up."""
CASES = [(service, fault) for service, faults in FAULTS.items() for fault in faults]


class Place(NamedTuple):
    """The *nth* request of a *route* while a *work* is done; nowhere in particular without a route."""

    work: str
    route: str = ""
    nth: int = 0


class Plain(NamedTuple):
    """What a work asks of a service at which nothing goes wrong."""

    routes: Counter[str]
    content_bytes: int
    passed_s: float


class Plains(dict[tuple[str, str], Plain]):
    """By service and work, each once it is asked for: side by side hardly any process needs all."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        super().__init__()
        self._factory = factory

    def __missing__(self, key: tuple[str, str]) -> Plain:
        service, name = key
        with rig(service, self._factory.mktemp("plain") / "mount") as at:
            work = Work(at)
            work.begin()
            WORKS[name](work)
            found = self[key] = Plain(at.routes(), at.content_bytes(), at.clock.now_s())
            check_all_arrived(at, work)
        return found


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plains:
    return Plains(tmp_path_factory)


@pytest.mark.parametrize(("service", "fault"), CASES, ids=[f"{s}-{f.name}" for s, f in CASES])
def test_whatever_goes_wrong_everything_ends_once_or_stays_behind_with_its_reason(
    tmp_path: Path, plain: Plains, service: str, fault: Fault
) -> None:
    went_wrong = False
    for number, place in enumerate(places(service, fault, plain)):
        try:
            went_wrong |= run(service, fault, place, plain[service, place.work], tmp_path / str(number))
        except BaseException as error:
            error.add_note(f"{service}, {fault.name}, {place}")
            raise
    assert went_wrong


def places(service: str, fault: Fault, plain: Plains) -> Iterator[Place]:
    for name in WORKS:
        routes = [(route, count) for route, count in plain[service, name].routes.items() if fault.fits(route)]
        if not fault.rule and routes:
            yield Place(name)
        elif fault.rule.get("count", 1) > MOST_CALLS_MORE:  # it is everywhere
            yield from (Place(name, route, 1) for route, _ in sorted(routes))
        elif fault.rule:
            three = [Place(name, route, nth) for route, count in sorted(routes) for nth in _three(count)]
            yield from three if WITH_ALL else sorted(three, key=lambda place: _dice(fault, place))[:SOME]


def _three(count: int) -> list[int]:
    """The first, the middle and the last of so many."""
    return sorted({1, (count + 1) // 2, count})


def _dice(fault: Fault, place: Place) -> int:
    """The same in every run."""
    return zlib.crc32(f"{fault.name} {place}".encode())


def run(service: str, fault: Fault, place: Place, plain: Plain, directory: Path) -> bool:
    """Whether anything went wrong."""
    with rig(service, directory, fault.patience_s) as at:
        work = Work(at, held=fault.end is End.HELD)
        work.begin()
        if fault.rule:
            at.sandbox.set_faults([{**fault.rule, "route": place.route, "after": place.nth - 1}])
        at.sandbox.set_switches(**fault.switches)
        WORKS[place.work](work)
        refused = at.refused()
        took_longer = at.routes() != plain.routes or at.clock.now_s() > plain.passed_s + 0.5
        went_wrong = bool(at.spoiled() if fault.rule else refused or took_longer)
        befallen = (place.route,) if place.route else fault.routes
        is_uncopied = fault.end is End.HELD or any("copy" in route for route in befallen)
        check_bounds(at, fault, plain, work.copied_bytes if is_uncopied else 0)
        at.calm_down(fault.switches)
        assert bool(refused) == (went_wrong and fault.end in (End.PARKED, End.TAKEN_BACK)), refused
        assert all(reason for _, reason in refused)
        if fault.end is End.TAKEN_BACK:
            check_nothing_is_lost(at, work)
            return went_wrong
        if fault.end is End.PARKED:
            at.retry()
        at.world.settle()
        check_all_arrived(at, work, may_be_twice=fault.resends)
        if not (fault.is_told or fault.end is End.PARKED):
            assert at.world.notices() == []
        return went_wrong


def check_bounds(at: Rig, fault: Fault, plain: Plain, uncopied_bytes: int) -> None:
    """Nobody is hammered, and what the service holds is not sent again, but for *uncopied_bytes* that it
    fails to copy, or that it is still to be given when they are written once more."""
    more = at.routes().total() - plain.routes.total()
    passed_s = at.clock.now_s() - plain.passed_s
    bound = max(MOST_CALLS_MORE * max(1.0, passed_s / PER_S), PER_FAILURE * at.spoiled())
    assert more <= bound, at.routes() - plain.routes
    again_bytes = at.content_bytes() - plain.content_bytes
    wasted_bytes = sum(
        each.request_bytes for each in at.sandbox.log.records() if each.fault and each.route in CONTENT
    )
    if fault.resends:
        wasted_bytes = plain.content_bytes * fault.times
    elif fault.end is End.PARKED:
        wasted_bytes = plain.content_bytes  # no session stays open for what waits for a user
    assert again_bytes <= wasted_bytes + uncopied_bytes


def check_all_arrived(at: Rig, work: Work, *, may_be_twice: bool = False) -> None:
    """Once each, and nothing is left over. *may_be_twice*: what the service said of it cannot be believed."""
    wanted = {path: content_hash(at.far.hash_kind, body) for path, body in work.files.items()}
    assert at.far.files() == wanted
    assert {path for path, each in at.far.tree().items() if each["kind"] == "folder"} == work.folders
    assert at.world.pending() == []
    assert at.shown() == {path: len(body) for path, body in work.files.items()}
    for path in wanted:
        sizes = at.far.version_sizes(path)
        assert may_be_twice or len(set(sizes)) == len(sizes), path
    assert list((at.world.directory / "spool").iterdir()) == []


def check_nothing_is_lost(at: Rig, work: Work) -> None:
    """What was refused has no effect here either."""
    assert set(work.files.values()) <= {at.far.read(path) for path in at.far.files()}
    assert at.world.pending() == []
    assert set(at.shown()) == set(at.far.files())
