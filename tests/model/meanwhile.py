"""Orders whose replies are lost, with changes here before anything is heard of them, and kills around these.

A run is an order, what becomes of its reply, a change of the same thing and the moment of a kill; all of them
can be combined. What is shown right after the change is what the account must have in the end, once.

Run as ``python -m tests.model.meanwhile``. It also prints what is known, and open: a new folder that arrives
late where something else was put here.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import click

from mountfs.errors import Busy, MountfsError, Offline, ServerFault, SessionLost, Throttled
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import OrderKind
from mountfs.ports import BackendLimits
from mountfs.tree.node import whole_seconds
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount, _Job
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

OLD_NS = 1_000_000_000 * NS_PER_S + 7


class SlowAccount(MemoryAccount):
    """Its next jobs take effect after ``delays_s``; all others at once."""

    def __init__(self, limits: BackendLimits) -> None:
        super().__init__(limits)
        self.delays_s: list[float] = []
        self._due_s: dict[_Job, float] = {}

    def _is_due(self, job: _Job) -> bool:
        assert self.clock is not None
        due_s = self._due_s.get(job)
        if due_s is None:
            delay_s = self.delays_s.pop(0) if self.delays_s else 0.0
            due_s = self._due_s[job] = self.clock.now_s() + delay_s
        return self.clock.now_s() >= due_s


class Scene:
    """A world, and what programs expect to see in it."""

    def __init__(self, folder: Path, limits: BackendLimits) -> None:
        self.account = SlowAccount(limits)
        self.world = World(folder, self.account, limits=limits)
        self.account.clock = self.world.clock
        self.bodies: dict[str, bytes | None] = {}
        self.subject = ""
        """Where the thing is that the order is about."""
        self.former = ""
        """Where it was before, if it was elsewhere."""
        self.skip = 0

    # Before the order

    def there(self, path: str, body: bytes | None = None) -> None:
        if body is None:
            self.account.mkdir(path)
        else:
            self.account.write(path, body)
        self.bodies[path] = body

    # What programs do

    def put(self, path: str, body: bytes) -> None:
        self.world.put(path, body)
        self.bodies[path] = body

    def mkdir(self, path: str) -> None:
        self.world.mkdir(path)
        self.bodies[path] = None

    def unlink(self, path: str) -> None:
        self.world.fs.unlink(path)
        del self.bodies[path]

    def rmdir(self, path: str) -> None:
        self.world.fs.rmdir(path)
        del self.bodies[path]

    def clear(self, path: str) -> None:
        for each in sorted(self.below(path), reverse=True):
            (self.rmdir if self.bodies[each] is None else self.unlink)(each)

    def rename(self, source: str, target: str) -> None:
        self.world.rename(source, target)
        for each in self.below(source):
            self.bodies[target + each[len(source) :]] = self.bodies.pop(each)
        if f"{self.subject}/".startswith(f"{source}/"):
            self.subject = target + self.subject[len(source) :]

    def below(self, path: str) -> list[str]:
        return [each for each in self.bodies if f"{each}/".startswith(f"{path}/")]

    # In the end

    def shown(self) -> dict[str, tuple[int, int]]:
        """Mode, time and number of all that must be there; times of folders move."""
        found = {}
        for path, body in self.bodies.items():
            stat = self.world.fs.getattr(path)
            found[path] = (stat.mode, 0 if body is None else stat.mtime_ns)
        return found


Act = Callable[[Scene], object]


# Orders: what is there, what is done.


@dataclass(frozen=True)
class Kind:
    there: Act
    act: Act
    subject: str
    former: str = ""
    skips: tuple[int, ...] = (0,)


def _none(_: Scene) -> None:
    pass


def _all(*acts: Act) -> Act:
    def act(scene: Scene) -> None:
        for each in acts:
            each(scene)

    return act


KINDS = {
    "new": Kind(_none, lambda s: s.put("/f", b"new"), "/f"),
    "new in a new folder": Kind(
        _none, _all(lambda s: s.mkdir("/d"), lambda s: s.put("/d/f", b"new")), "/d/f", skips=(0, 1)
    ),
    "new in a folder": Kind(lambda s: s.there("/d"), lambda s: s.put("/d/f", b"new"), "/d/f"),
    "version": Kind(lambda s: s.there("/f", b"old"), lambda s: s.put("/f", b"new"), "/f"),
    "version in a folder": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/d/f", b"old")),
        lambda s: s.put("/d/f", b"new"),
        "/d/f",
    ),
    "over": Kind(
        lambda s: s.there("/f", b"old"),
        _all(lambda s: s.put("/t", b"new"), lambda s: s.rename("/t", "/f")),
        "/f",
    ),
    "anew": Kind(
        lambda s: s.there("/f", b"old"), _all(lambda s: s.unlink("/f"), lambda s: s.put("/f", b"new")), "/f"
    ),
    "move": Kind(lambda s: s.there("/f", b"old"), lambda s: s.rename("/f", "/g"), "/g", "/f"),
    "move into": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/f", b"old")),
        lambda s: s.rename("/f", "/d/f"),
        "/d/f",
        "/f",
    ),
    "move into new": Kind(
        lambda s: s.there("/f", b"old"),
        _all(lambda s: s.mkdir("/d"), lambda s: s.rename("/f", "/d/f")),
        "/d/f",
        "/f",
        skips=(0, 1),
    ),
    "move out": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/d/f", b"old")),
        lambda s: s.rename("/d/f", "/f"),
        "/f",
        "/d/f",
    ),
    "move over": Kind(
        _all(lambda s: s.there("/f", b"old"), lambda s: s.there("/g", b"other")),
        lambda s: s.rename("/f", "/g"),
        "/g",
        "/f",
        skips=(0, 1),
    ),
    "move and write": Kind(
        lambda s: s.there("/f", b"old"),
        _all(lambda s: s.rename("/f", "/g"), lambda s: s.put("/g", b"new")),
        "/g",
        "/f",
        skips=(0, 1),
    ),
    "exchange": Kind(
        _all(lambda s: s.there("/f", b"old"), lambda s: s.there("/g", b"other")),
        _all(lambda s: s.rename("/f", "/x"), lambda s: s.rename("/g", "/f"), lambda s: s.rename("/x", "/g")),
        "/g",
        "/f",
        skips=(0, 1, 2),
    ),
    "case": Kind(lambda s: s.there("/f", b"old"), lambda s: s.rename("/f", "/F"), "/F", "/f"),
    "move folder": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/d/f", b"old")),
        lambda s: s.rename("/d", "/e"),
        "/e",
        "/d",
    ),
    "in a moved folder": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/d/f", b"old")),
        lambda s: s.rename("/d", "/e"),
        "/e/f",
        "/d/f",
    ),
    "mkdir": Kind(_none, lambda s: s.mkdir("/d"), "/d"),
    "rm": Kind(lambda s: s.there("/f", b"old"), lambda s: s.unlink("/f"), "/f"),
    "rm in a folder": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/d/f", b"old")), lambda s: s.unlink("/d/f"), "/d/f"
    ),
    "rmdir": Kind(lambda s: s.there("/d"), lambda s: s.rmdir("/d"), "/d"),
    "rm -r": Kind(
        _all(lambda s: s.there("/d"), lambda s: s.there("/d/f", b"old")),
        lambda s: s.clear("/d"),
        "/d",
        skips=(0, 1),
    ),
    "time": Kind(
        lambda s: s.there("/f", b"old"), lambda s: s.world.touch("/f", OLD_NS - 100 * NS_PER_S), "/f"
    ),
    "copy": Kind(lambda s: s.there("/o", b"new"), lambda s: s.put("/f", b"new"), "/f"),
    "write and move": Kind(
        lambda s: s.there("/f", b"old"),
        _all(lambda s: s.put("/f", b"new"), lambda s: s.rename("/f", "/g")),
        "/g",
        "/f",
        skips=(0, 1),
    ),
}


# Changes


def _is_file(s: Scene) -> bool:
    return s.bodies.get(s.subject) is not None


def _is_there(s: Scene) -> bool:
    return s.subject in s.bodies


def _append(s: Scene) -> None:
    number = s.world.open(s.subject, os.O_WRONLY | os.O_APPEND)
    body = s.bodies[s.subject]
    assert body is not None
    s.world.fs.write(number, len(body), b"+more")
    s.world.close_file(number)
    s.bodies[s.subject] = body + b"+more"


def _back(s: Scene) -> None:
    p = s.subject
    s.rename(p, "/z")
    s.rename("/z", p)


def _new_in_place(s: Scene) -> None:
    p = s.subject
    s.rename(p, "/z")
    s.subject = p
    s.put(p, b"another")


def _same_in_place(s: Scene) -> None:
    p = s.subject
    s.rename(p, "/z")
    body = s.bodies["/z"]
    assert body is not None
    s.put(p, body)


def _replace(s: Scene) -> None:
    p = s.subject
    s.put("/t.new", b"replaced")
    s.rename("/t.new", p)


def _parent(s: Scene) -> None:
    top = "/" + s.subject.split("/")[1]
    s.rename(top, "/zz")


def _parent_back(s: Scene) -> None:
    top = "/" + s.subject.split("/")[1]
    s.rename(top, "/zz")
    s.rename("/zz", top)


def _all_gone(s: Scene) -> None:
    s.clear("/" + s.subject.split("/")[1])


def _all_gone_and_file(s: Scene) -> None:
    top = "/" + s.subject.split("/")[1]
    s.clear(top)
    s.put(top, b"a file now")


def _all_gone_and_anew(s: Scene) -> None:
    top = "/" + s.subject.split("/")[1]
    p = s.subject
    s.clear(top)
    s.mkdir(top)
    s.put(p, b"anew")


def _is_below(s: Scene) -> bool:
    return s.subject.count("/") > 1 and s.bodies.get("/" + s.subject.split("/")[1], b"") is None


def _into_new(s: Scene) -> None:
    s.mkdir("/n")
    s.rename(s.subject, "/n/p")


def _former_free(s: Scene) -> bool:
    if not s.former or s.former in s.bodies or s.former.upper() == s.subject:
        return False
    above = s.former.rpartition("/")[0]
    return not above or above in s.bodies


def _clear_dir(s: Scene) -> None:
    s.clear(s.subject)


def _dir_file(s: Scene) -> None:
    s.clear(s.subject)
    s.put(s.subject, b"a file now")


def _file_dir(s: Scene) -> None:
    s.unlink(s.subject)
    s.mkdir(s.subject)
    s.put(s.subject + "/x", b"x")


def _hold(s: Scene) -> None:
    p = s.subject
    s.unlink(p)
    s.put(p, b"anew")


def _same_again(s: Scene) -> None:
    body = s.bodies[s.subject]
    assert body is not None
    s.put(s.subject, body)


def _old_again(s: Scene) -> None:
    s.put(s.subject, b"old")


def _over_it(s: Scene) -> None:
    """Something that the service has is renamed over it."""
    s.rename("/there", s.subject)


CHANGES: dict[str, tuple[Callable[[Scene], bool], Act]] = {
    "nothing": (lambda _: True, _none),
    "utimes": (_is_file, lambda s: s.world.touch(s.subject, OLD_NS)),
    "chmod": (_is_there, lambda s: s.world.fs.metadata.chmod(s.subject, 0o600)),
    "append": (_is_file, _append),
    "rewrite": (_is_file, lambda s: s.put(s.subject, b"newer")),
    "same again": (_is_file, _same_again),
    "the old bytes": (_is_file, _old_again),
    "rename": (_is_there, lambda s: s.rename(s.subject, "/z")),
    "utimes, rename": (
        _is_file,
        _all(lambda s: s.world.touch(s.subject, OLD_NS), lambda s: s.rename(s.subject, "/z")),
    ),
    "rename, utimes": (
        _is_file,
        _all(lambda s: s.rename(s.subject, "/z"), lambda s: s.world.touch("/z", OLD_NS)),
    ),
    "utimes, remove": (
        _is_file,
        _all(lambda s: s.world.touch(s.subject, OLD_NS), lambda s: s.unlink(s.subject)),
    ),
    "rename, rewrite": (_is_file, _all(lambda s: s.rename(s.subject, "/z"), lambda s: s.put("/z", b"newer"))),
    "rewrite, rename": (
        _is_file,
        _all(lambda s: s.put(s.subject, b"newer"), lambda s: s.rename(s.subject, "/z")),
    ),
    "rename, remove": (_is_there, _all(lambda s: s.rename(s.subject, "/z"), lambda s: s.clear("/z"))),
    "rename and back": (_is_there, _back),
    "rename, new in place": (_is_file, _new_in_place),
    "rename, same in place": (_is_file, _same_in_place),
    "remove": (_is_there, _clear_dir),
    "remove and anew": (_is_file, _hold),
    "replace": (_is_file, _replace),
    "rename over": (_is_file, _over_it),
    "folder in place": (_is_file, _file_dir),
    "rename parent": (_is_below, _parent),
    "rename parent and back": (_is_below, _parent_back),
    "remove parent": (_is_below, _all_gone),
    "parent to file": (_is_below, _all_gone_and_file),
    "parent anew": (_is_below, _all_gone_and_anew),
    "into a new folder": (_is_there, _into_new),
    "back to where it was": (
        lambda s: _is_there(s) and _former_free(s),
        lambda s: s.rename(s.subject, s.former),
    ),
    "new where it was": (_former_free, lambda s: s.put(s.former, b"another")),
    "folder where it was": (_former_free, lambda s: s.mkdir(s.former)),
    "file in it": (lambda s: _is_there(s) and not _is_file(s), lambda s: s.put(s.subject + "/x", b"x")),
    "dir to file": (lambda s: _is_there(s) and not _is_file(s), _dir_file),
    "file anew": (lambda s: not _is_there(s), lambda s: s.put(s.subject, b"anew")),
    "the same file anew": (lambda s: not _is_there(s), lambda s: s.put(s.subject, b"old")),
    "folder anew": (lambda s: not _is_there(s), lambda s: s.mkdir(s.subject)),
    "another to its place": (lambda s: not _is_there(s), lambda s: s.rename("/there", s.subject)),
}


# Replies

Reply = Callable[[Scene], None]


def _lost(error: MountfsError, *, after: bool, times: int = 1) -> Reply:
    return lambda s: s.world.backend.fail("submit", error, skip=s.skip, times=times, after=after)


def _late(delay_s: float, times: int = 1) -> Reply:
    def run(s: Scene) -> None:
        s.account.delays_s = [0.0] * s.skip + [delay_s] * times
        s.world.backend.fail("submit", Offline("lost"), skip=s.skip, times=times, after=True)

    return run


def _job(delay_s: float, error: MountfsError) -> Reply:
    def run(s: Scene) -> None:
        s.account.delays_s = [0.0] * s.skip + [delay_s]
        s.world.backend.fail("poll", error, times=40)

    return run


REPLIES: dict[str, Reply] = {
    "running": lambda s: setattr(s.account, "delays_s", [0.0] * s.skip + [5.0]),
    "lost before": _lost(Offline("lost"), after=False),
    "lost after": _lost(Offline("lost"), after=True),
    "500 before": _lost(ServerFault("500"), after=False),
    "500 after": _lost(ServerFault("500"), after=True, times=2),
    "busy": _lost(Busy("busy"), after=False),
    "throttled": _lost(Throttled("slow"), after=False),
    "late 3": _late(3.0),
    "late 30": _late(30.0),
    "late 100": _late(100.0),
    "late twice": _late(30.0, times=2),
    "job lost, late": _job(5.0, SessionLost("no such job")),
    "job lost, later": _job(40.0, SessionLost("no such job")),
    "job fails": _job(5.0, ServerFault("500")),
}

STEPS_TO_KILL = {"after": 0, "1 step later": 1, "3 steps later": 3}
KILLS = ("never", "before", *STEPS_TO_KILL)
PAUSES = (0, 4)
"""How many steps there are between the lost reply and the change."""


@dataclass(frozen=True)
class Case:
    kind: str
    skip: int
    reply: str
    pause: int
    change: str
    kill: str

    @classmethod
    def of(cls, words: str) -> Case:
        """From its name, as a run prints it."""
        order, reply, pause, change, kill = words.split("|")
        kind, _, skip = order.rpartition("/")
        return cls(kind, int(skip), reply, int(pause), change, kill)

    def __str__(self) -> str:
        return f"{self.kind}/{self.skip}|{self.reply}|{self.pause}|{self.change}|{self.kill}"


def cases() -> Iterator[Case]:
    for kind, reply, pause, change, kill in product(KINDS, REPLIES, PAUSES, CHANGES, KILLS):
        for skip in KINDS[kind].skips:
            yield Case(kind, skip, reply, pause, change, kill)


def _steps(world: World, count: int) -> None:
    for _ in range(count):
        world.core.filler.step(world.clock.now_s())
        world.core.uploader.step(world.clock.now_s())
        world.core.committer.step(world.clock.now_s())
        world.advance(0.6)


def run(case: Case, folder: Path, limits: BackendLimits) -> str | None:
    """None: it does not apply; "": all is well; else what is wrong."""
    scene = Scene(folder, limits)
    world = scene.world
    try:
        return _run(case, scene)
    finally:
        world.close()


def _is_empty_late_folder(case: Case, scene: Scene, shown: dict[str, bytes | None]) -> bool:
    """Nothing tells a new folder of ours that arrives late from one that others made."""
    more = {path: body for path, body in shown.items() if path not in scene.bodies}
    is_made_new = case.kind in ("mkdir", "new in a new folder", "move into new") or "parent" in case.change
    return (
        is_made_new
        and bool(more)
        and not any(body is not None for body in more.values())
        and {path: body for path, body in shown.items() if path not in more} == scene.bodies
    )


def _run(case: Case, scene: Scene) -> str | None:
    world, kind = scene.world, KINDS[case.kind]
    scene.there("/there", b"there")
    kind.there(scene)
    world.follow()
    world.tree()
    scene.subject = kind.subject
    kind.act(scene)
    scene.subject, scene.former = kind.subject, kind.former
    applies, change = CHANGES[case.change]
    if not applies(scene) or not _send(case, scene):
        return None
    _steps(world, case.pause)
    if case.kill == "before":
        world.restart()
    change(scene)
    wanted = scene.shown()
    if case.kill in STEPS_TO_KILL:
        _steps(world, STEPS_TO_KILL[case.kill])
        world.restart()
    if (got := scene.shown()) != wanted:
        return f"shown {got}, wanted {wanted}"
    for _ in range(3):
        world.settle(5000.0)
        world.advance(60.0)
        world.account.files()
        world.follow()
    world.settle(5000.0)
    world.follow()
    return _looked_at(case, scene, wanted)


def _send(case: Case, scene: Scene) -> bool:
    """Until the reply is lost, or the job runs. False: there is no such order."""
    world = scene.world
    world.upload_all()
    world.advance(1.0)
    scene.skip = case.skip
    REPLIES[case.reply](scene)
    before = world.backend.calls().get("submit", 0)
    for _ in range(40):
        if world.backend.calls().get("submit", 0) > before + case.skip:
            return True
        world.core.committer.step(world.clock.now_s())
        world.advance(0.15)
    return False


def _looked_at(case: Case, scene: Scene, wanted: dict[str, tuple[int, int]]) -> str:
    world, bodies = scene.world, scene.bodies
    faults = faults_of(world.core.tree)
    shown, remote = world.tree(), world.remote()
    if shown == remote and _is_empty_late_folder(case, scene, shown):
        return ""
    store = world.core.tree.store
    left = [*store.live_nodes(), *store.contents(), *store.flights(), *store.orphans.all()]
    checks: dict[str, tuple[object, object]] = {
        "faults": (faults, []),
        "shown": (shown, bodies),
        "the account": (remote, bodies),
        "notices": (world.notices(), []),
        "pending": (world.pending(), []),
        "the store": (left, []),
    }
    told = "; ".join(f"{name}: {got}, not {due}" for name, (got, due) in checks.items() if got != due)
    if told:
        return told
    if (got := scene.shown()) != wanted:
        return f"attributes: {got}, not {wanted}"
    return _times_there(scene, wanted)


def _times_there(scene: Scene, wanted: dict[str, tuple[int, int]]) -> str:
    """Where the service takes a time for a file that it has."""
    world = scene.world
    if OrderKind.SET_TIME not in world.backend.limits.batch_entries:
        return ""
    files = [path for path, body in scene.bodies.items() if body is not None]
    there = {path: world.file(path).mtime_ns for path in files}
    due = {path: whole_seconds(wanted[path][1]) for path in files}
    return "" if there == due else f"times: {there}, not {due}"


@click.command()
@click.option("--minutes", default=5.0)
@click.option("--seed", default=1, help="Of the order in which the runs are made.")
@click.option("--only", multiple=True, help="Runs whose names contain all of these.")
def main(minutes: float, seed: int, only: tuple[str, ...]) -> None:
    """Make as many of the runs as there is time for, and print those that end otherwise than they should."""
    logging.disable()
    chosen = [case for case in cases() if all(words in str(case) for words in only)]
    Random(seed).shuffle(chosen)
    ends_s = time.monotonic() + 60.0 * minutes
    made = 0
    for case in chosen:
        if time.monotonic() > ends_s:
            break
        for name, limits in (("batches", MEMORY_LIMITS), ("side by side", SIDE_BY_SIDE_LIMITS)):
            with TemporaryDirectory(prefix="mountfs-meanwhile-") as folder:
                wrong = run(case, Path(folder), limits)
            made += wrong is not None
            if wrong:
                click.echo(f"{name}: {case}: {wrong}")
    click.echo(f"{made} runs of {2 * len(chosen)}")


if __name__ == "__main__":
    main()
