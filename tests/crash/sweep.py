"""Kills a real mount at named points, starts it again and looks whether all was as promised.

Run as ``python -m tests.crash.sweep``: every point that any scenario reaches, then random ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import click

from daemon.cli.slotcheck import SlotCheck
from daemon.failure import Failure
from daemon.places.statedir import Slot
from mountfs.model.hashing import content_hash
from mountfs.tree.peek import holding
from tests.crash.named import NOT_SWEPT, never_reached, transactions
from tests.crash.points import ARMED, REACHED
from tests.crash.scenarios import LARGE_BYTES, SCENARIOS, Promises, state_of
from tests.mounted.boxprocess import BoxProcess
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.mounted.services import SERVICES
from tests.waiting import until

SWITCHES = {"box": {"min_session_bytes": 100_000, "part_size_bytes": 65_536}, "dropbox": {}}
REMOTES = {"box": {"small_file_bytes": "100000"}, "dropbox": {}}
START = "start"
"""The scenario in which a mount dies that takes up what the one before left."""
TAKEOVER = "takeover"
"""The same, where that was another mount's, in a slot of its own."""


ALL = {*SCENARIOS, START, TAKEOVER}


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a mount is to die: at the *nth* passing of *point* since *scenario* began."""

    service: str
    scenario: str
    point: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.service} {self.scenario} {self.point} #{self.nth}"


class CrashMount(RealMount):
    """A mount that can be told where to die."""

    def __init__(self, folder: Path, far_side: SandboxProcess, service: str) -> None:
        super().__init__(folder, far_side, remote=REMOTES[service])
        self.control = folder / "control"
        self.control.mkdir()
        self._mountfs = ("tests.crash.process", str(self.control))
        self.kills = 0

    @property
    def account_dir(self) -> Path:
        """Where the slots are, its own and those that others left."""
        [account_dir] = (self.state_dir / "accounts").iterdir()
        return account_dir

    @property
    def slot(self) -> Path:
        return self.account_dir / "slot-0"

    def arm(self, kill: Kill) -> None:
        """Returns when a running mount has its order."""
        self._write(kill)
        self.signal(signal.SIGUSR1)
        until(lambda: not (self.control / ARMED).exists(), "the mount has its order")

    def start_armed(self, kill: Kill) -> bool:
        """Whether it died before it was ready."""
        self._write(kill)
        with contextlib.suppress(AssertionError):
            self.start()
        return self.is_dead()

    def is_dead(self) -> bool:
        assert self._process is not None
        return self._process.poll() == -signal.SIGKILL

    def reached(self) -> set[str]:
        """All points that any process of this mount has passed."""
        return set((self.control / REACHED).read_text().split("\n")) - {""}

    def _write(self, kill: Kill) -> None:
        draft = self.control / "draft"
        draft.write_text(f"{kill.point} {kill.nth}")
        draft.replace(self.control / ARMED)


@dataclass(slots=True)
class Result:
    """What a sweep did and found."""

    runs: int = 0
    killed: set[str] = field(default_factory=set)
    """Points at which a mount died."""
    never: list[Kill] = field(default_factory=list)
    """Orders that were never carried out."""
    faults: list[str] = field(default_factory=list)


class Scene:
    """One far side and one mount of it, killed again and again; each run has a folder of its own."""

    def __init__(self, folder: Path, far_side: SandboxProcess, service: str, seed: int) -> None:
        self.mount = CrashMount(folder, far_side, service)
        self.far_side = far_side
        self.draw = Random(seed)
        self.number = 0
        self.mount.start()

    def run(self, kill: Kill | None, scenario: str) -> bool:
        """Runs a scenario, killed as ordered, and checks what is left; whether it was killed."""
        promises = self._begin()
        if scenario in (START, TAKEOVER):
            was_killed = self._killed_at_start(promises, kill, is_anothers=scenario == TAKEOVER)
        else:
            was_killed = self._killed_in(promises, SCENARIOS[scenario], kill)
        if was_killed:
            # A later passing, of a question that is asked every few seconds, may come after all is sent.
            self._check_left(must_be_pending=kill is not None and kill.nth == 1)
            self.far_side.resume()  # what it was in the middle of may be an outage
            self.mount.start()
        elif kill is not None:
            # The order still stands, and would be carried out under the look at what is left.
            self.mount.kill9()
            self.mount.start()
        self._check(promises)
        return was_killed

    def _begin(self) -> Promises:
        self.number += 1
        top = self.mount.path / f"{self.number}"
        top.mkdir()
        return Promises(top, self.far_side, self.mount.slot / "journal.db", self.draw)

    def _killed_in(self, promises: Promises, scenario: object, kill: Kill | None) -> bool:
        # A name that looks temporary settles for two seconds: so long something is pending.
        promises.write("kept.tmp", 1000)
        if kill is not None:
            self.mount.arm(kill)
        try:
            assert callable(scenario)
            scenario(promises)
        except OSError as error:
            # The kernel ends calls before the process has been waited for.
            until(self.mount.is_dead, f"the mount is dead, in which a call failed: {error}", 5.0)
            return True
        if kill is None:
            self._await_nothing_pending()
            return False
        return self._dies()

    def _killed_at_start(self, promises: Promises, kill: Kill | None, *, is_anothers: bool) -> bool:
        self._leave_large(promises)
        self.far_side.pause()
        for number in range(3):
            promises.write(f"{number}", 1000)
        promises.folder("d")
        promises.write("d/large", 150_000)
        promises.rename("1", "d/renamed")
        body = promises.body(5000)
        with contextlib.suppress(OSError), (promises.top / "open").open("wb", buffering=0) as file:
            file.write(body)
            self.mount.kill9()
            file.write(b"lost")
        self.far_side.calm_down()
        if is_anothers:
            slot = self.mount.slot
            slot.rename(slot.with_name(f"slot-{self.number}"))  # earlier ones may still be there
        if kill is None:
            self.mount.start()
            self._await_nothing_pending()
            return False
        self.mount.start_armed(kill)
        return self._dies()

    def _dies(self) -> bool:
        """Whether the mount comes to the point at which it is killed."""
        with contextlib.suppress(AssertionError):
            until(self.mount.is_dead, "the mount is dead", 3.0)
        return self.mount.is_dead()

    def _leave_large(self, promises: Promises) -> None:
        """A large file whose first part is there and whose second is on its way."""
        route = self.far_side.routes[Asked.BYTES][-1]
        self.far_side.faults({"route": route, "action": "stall", "stall_s": 1, "after": 1})
        begun = len(self.far_side.log(".*"))

        def is_begun() -> bool:
            sent = [each for each in self.far_side.log(".*")[begun:] if fnmatchcase(each["route"], route)]
            return any(each["status"] in (200, 201) for each in sent) and len(sent) > 1

        promises.write("large", LARGE_BYTES[self.far_side.service])
        until(is_begun, "its first part is there")

    # What was promised

    def _check_left(self, *, must_be_pending: bool) -> None:
        # A mount may die before it has a slot of its own, and something be left in another one.
        slots = self.mount.account_dir
        bytes_left = any(file.stat().st_size for file in slots.glob("*/spool/*"))
        journals = list(slots.glob("*/journal.db"))
        is_pending = any(holding(each, each.with_name("spool")).count or _orphans(each) for each in journals)
        assert is_pending or bytes_left or not must_be_pending, "nothing was pending at the kill"
        for each in slots.glob("slot-*"):
            found = [finding for finding in SlotCheck(Slot(each, fd=-1)).check() if finding.is_fault]
            assert found == [], f"what a crash left is taken for damaged: {found}"

    def _check(self, promises: Promises) -> None:
        self._check_shown(promises, _bodies_below(promises.top))
        self._await_nothing_pending()
        shown = _bodies_below(promises.top)
        self._check_shown(promises, shown)
        # Not before: while a copy is made, a version moves from the one name to the other under the walk.
        assert all(body in shown.values() for body in promises.kept), "a version is lost"
        failed = {
            path for path in promises.refused & shown.keys() if state_of(promises.top / path) == b"failed"
        }
        ours = {
            path: body
            for path, body in shown.items()
            if "(recovered copy " not in path and path not in failed
        }
        kind = self.far_side.hash_kind
        far = {
            path.removeprefix(f"/{promises.top.name}/"): digest
            for path, digest in self.far_side.files().items()
            if path.startswith(f"/{promises.top.name}/")
        }
        assert far == {path: content_hash(kind, body) for path, body in ours.items()}
        for path in far:
            sizes = self.far_side.version_sizes(f"/{promises.top.name}/{path}")
            assert len(set(sizes)) == len(sizes), f"{path} was committed twice: {sizes}"
        until(lambda: self._left_over() == set(), "the spool has nothing that nobody needs")
        if isinstance(self.far_side, BoxProcess):
            sessions = self.far_side.sessions()
            # One whose opening was never heard of is in nobody's books.
            assert not any(session.get("num_parts_processed") for session in sessions), sessions

    def _check_shown(self, promises: Promises, shown: dict[str, bytes]) -> None:
        for path in promises.paths() - promises.loose - {"kept.tmp"}:
            assert shown.get(path) in promises.allowed(path), f"{path} is {_short(shown.get(path))}"
        for path in shown.keys() - promises.paths() - promises.loose:
            if "(recovered copy " in path:
                assert any(body.startswith(shown[path]) for body in promises.written), path
            else:
                assert "(conflicted copy " in path, f"{path} came from nowhere"

    def _await_nothing_pending(self) -> None:
        until(lambda: not self.mount.status()["account"]["pending"]["count"], "all is sent")

    def _left_over(self) -> set[str]:
        """Files of the spool that hold bytes and that no version of anybody is in."""
        slot = self.mount.slot
        with closing(sqlite3.connect(f"{(slot / 'journal.db').as_uri()}?mode=ro", uri=True)) as db:
            named = {name for (name,) in db.execute("SELECT spool FROM contents WHERE node IS NOT NULL")}
        return {file.name for file in (slot / "spool").iterdir() if file.name not in named}


def _orphans(journal: Path) -> int:
    """How many sessions are to be ended."""
    with closing(sqlite3.connect(journal)) as db:
        found: int = db.execute("SELECT count(*) FROM orphans").fetchone()[0]
        return found


def _bodies_below(folder: Path) -> dict[str, bytes]:
    def fail(error: OSError) -> None:
        raise error

    found = {}
    for above, _, names in os.walk(folder, onerror=fail):
        for name in names:
            path = Path(above) / name
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def _short(body: bytes | None) -> str:
    return "missing" if body is None else f"{len(body)} bytes {hashlib.sha1(body).hexdigest()[:8]}"


@contextlib.contextmanager
def scene(folder: Path, service: str, seed: int = 1) -> Iterator[Scene]:
    """A far side and a mount in *folder*, which is new."""
    folder.mkdir()
    with SERVICES[service](folder / "far-side", **SWITCHES[service]) as far_side:
        made = Scene(folder, far_side, service, seed)
        try:
            yield made
        finally:
            made.mount.cleanup()


def reached_by(folder: Path, service: str, scenario: str) -> set[str]:
    """The points that a scenario passes when nothing dies."""
    with scene(folder, service) as here:
        (here.mount.control / REACHED).write_text("")
        here.run(None, scenario)
        # What a mount passes at its start and at its end is reached by every scenario.
        return here.mount.reached()


def sweep(folder: Path, kills: list[Kill], *, is_patient: bool = False) -> Result:
    """Carries out all *kills* of one service, in scenes that live until something is wrong."""
    result = Result()
    left = list(kills)
    while left:
        with scene(folder / f"scene-{result.runs}", left[0].service, seed=result.runs) as here:
            while left:
                kill = left.pop(0)
                result.runs += 1
                try:
                    if here.run(kill, kill.scenario):
                        result.killed.add(kill.point)
                    else:
                        result.never.append(kill)
                except (AssertionError, OSError, Failure) as error:
                    result.faults.append(f"{kill}: {error}")
                    click.echo(f"FAULT {kill}: {error}", err=True)
                    break
                if is_patient:
                    click.echo(f"{result.runs:4} {kill}", err=True)
    return result


@click.command()
@click.option("--service", "services", multiple=True, default=("dropbox", "box"))
@click.option("--scenario", "scenarios", multiple=True, default=tuple(sorted(ALL)))
@click.option("--random", "random_kills", default=0, help="So many random passings besides.")
@click.option("--seed", default=1)
@click.option("--only", default="", help="Points that contain this.")
@click.option("-v", "is_patient", is_flag=True)
def main(
    services: tuple[str, ...],
    scenarios: tuple[str, ...],
    random_kills: int,
    seed: int,
    only: str,
    is_patient: bool,
) -> None:
    """Kill a mount at every point that any scenario reaches, once for each scenario."""
    draw = Random(seed)
    total = Result()
    begun: set[str] = set()
    with TemporaryDirectory(prefix="mountfs-sweep-") as name:
        for service in services:
            kills: list[Kill] = []
            reached: set[str] = set()
            for scenario in scenarios:
                found = sorted(reached_by(Path(name) / f"{service}-{scenario}", service, scenario))
                click.echo(f"{service} {scenario}: {len(found)} points", err=True)
                reached |= set(found)
                wanted = [point for point in found if only in point and "longpoll" not in point]
                kills += [Kill(service, scenario, point) for point in wanted]
                kills += [
                    Kill(service, scenario, draw.choice(wanted), draw.randrange(2, 12))
                    for _ in range(random_kills)
                ]
            begun |= {point.rpartition(":")[0].removeprefix("store.") for point in reached}
            if set(scenarios) == ALL:
                total.faults += [
                    f"{service}: {each} is never reached" for each in never_reached(service, reached)
                ]
            folder = Path(name) / service
            folder.mkdir()
            part = sweep(folder, kills, is_patient=is_patient)
            total.runs += part.runs
            total.killed |= {f"{service} {point}" for point in part.killed}
            total.never += part.never
            total.faults += part.faults
    if set(scenarios) == ALL and len(services) == len(SWITCHES):
        unreached = transactions() - NOT_SWEPT.keys() - begun
        total.faults += [f"transaction {each} is never reached" for each in sorted(unreached)]
    for kill in total.never:
        if kill.nth == 1:
            click.echo(f"never reached: {kill}")
    for fault in total.faults:
        click.echo(f"FAULT {fault}")
    click.echo(f"{total.runs} runs, {len(total.killed)} points, {len(total.faults)} faults")
    sys.exit(bool(total.faults))


if __name__ == "__main__":
    main()
