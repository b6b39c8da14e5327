"""Two mounts and another client change one tree at random; at the end all show the same."""

from __future__ import annotations

import errno
import os
import threading
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from daemon.control.client import Client
from daemon.control.protocol import Settled, WaitRequest
from mountfs.model.hashing import content_hash
from tests.converge.actors import RECOVERED, ByMount, ByService, Looker, Numbers
from tests.converge.bodies import holds_any, revision_of
from tests.converge.editor import Editor, Keeper, Outsider
from tests.converge.edits import Edits
from tests.mounted.realmount import RealMount, mountfs
from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.figures import Figures
from tests.soak.trees import differences, tree_below
from tests.soak.weather import REMOTES, Weather
from tests.waiting import until

TOP = "tree"
READERS = 2
SETTLES_WITHIN_S = 120.0
IN_BAD_WEATHER = {errno.EIO, errno.EACCES}
"""What a call may end with then; EACCES where a token was refused again just after it was renewed."""
SEEN_WITHIN_S = 40.0
"""SEMANTICS.md says about a second after the service has told, and a second more for what the kernel knows;
this is far beyond, for a busy machine."""

Actor = ByMount | ByService | Looker | Editor | Keeper | Outsider


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    seed: int
    pause_s: float = 0.1
    """The longest pause between two changes of one actor."""
    kill_every_s: float = 0.0
    """So often one of the mounts is killed and started again; 0: never."""
    weather: bool = False
    """Whether one of ten calls of the service goes wrong."""
    options: Sequence[tuple[str, str]] = ()
    """Of the mounts."""
    edits: bool = True
    """Whether files are edited in place as well, and folders kept open."""


def converge(plan: Plan, folder: Path, far_side: SandboxProcess, figures: Figures) -> list[str]:
    """A line for each fault. *folder* is new; *far_side* runs."""
    far_side.mkdir(f"/{TOP}")
    with ExitStack() as stack:
        options = dict(plan.options)
        remote = REMOTES[far_side.service] if plan.weather else {}
        mounts = [
            stack.enter_context(_mount(folder / name, far_side, remote, options)) for name in ("A", "B")
        ]
        for mount in mounts:
            mount.start()
            until((mount.path / TOP).is_dir, "the folder is seen")
        given_up: set[int] = set()
        weather = Weather(far_side, plan.seed)
        if plan.weather:
            weather.begin()
        faults = _change(plan, mounts, far_side, figures, given_up)
        if plan.weather:
            weather.end(figures)
        if faults:
            return faults
        try:
            _settle(mounts, far_side, figures, given_up)
        except AssertionError as error:
            faults.append(str(error))
        codes = [mount.terminate() for mount in mounts]
        return faults + [f"a clean stop exits with {code}" for code in codes if code]


def _mount(
    folder: Path, far_side: SandboxProcess, remote: Mapping[str, str], options: Mapping[str, str]
) -> RealMount:
    folder.mkdir(parents=True)
    return RealMount(folder, far_side, remote=remote, **options)


def _change(
    plan: Plan, mounts: list[RealMount], far_side: SandboxProcess, figures: Figures, given_up: set[int]
) -> list[str]:
    over = threading.Event()
    faults: list[str] = []
    draws = (Random(f"{plan.seed} {number}") for number in range(100))
    numbers = Numbers(next(draws))
    tops = [mount.path / TOP for mount in mounts]
    actors: list[Actor] = [ByService(far_side, TOP, numbers, next(draws), figures)]
    actors += [ByMount(top, numbers, next(draws), figures) for top in tops]
    edits = {top: Edits() for top in tops}
    actors += [
        Looker(top, next(draws), figures, edits[top], given_up) for top in tops for _ in range(READERS)
    ]
    if plan.edits:
        actors += [Editor(top, numbers, next(draws), figures, edits[top], given_up) for top in tops]
        actors += [Keeper(top, next(draws), figures) for top in tops]
        actors.append(Outsider(far_side, TOP, next(draws), figures, given_up))

    turns = [threading.Lock() for _ in actors]

    def work(actor: Actor, turn: threading.Lock, draw: Random) -> None:
        try:
            while not over.wait(draw.random() * plan.pause_s):
                with turn:
                    try:
                        actor.turn()
                    except OSError as error:
                        if not plan.weather or error.errno not in IN_BAD_WEATHER:
                            raise
                        figures.count("ended by a fault", errno.errorcode[error.errno])
        except Exception as error:  # whatever it is, it is told
            figures.tell(traceback.format_exc())
            faults.append(str(error) if isinstance(error, AssertionError) else f"{actor.name}: {error!r}")
            over.set()

    threads = [
        threading.Thread(target=work, args=(actor, turn, next(draws)))
        for actor, turn in zip(actors, turns, strict=True)
    ]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + plan.seconds
    draw = next(draws)
    while plan.kill_every_s and time.monotonic() + plan.kill_every_s < until_s:
        if over.wait(plan.kill_every_s * draw.uniform(0.5, 1.5)):
            break
        killed = draw.choice(mounts)
        _kill(killed, [turn for actor, turn in zip(actors, turns, strict=True) if actor.mount == killed.path])
        figures.count("kills", "of a mount")
    over.wait(max(0.0, until_s - time.monotonic()))
    over.set()
    for thread in threads:
        thread.join()
    for actor in actors:
        if isinstance(actor, Keeper):
            actor.close()
    return faults


def _kill(mount: RealMount, turns: list[threading.Lock]) -> None:
    """In the middle of whatever is done on it; nobody does anything there until it is started again."""
    mount.kill9()
    with ExitStack() as stack:
        for turn in turns:
            stack.enter_context(turn)
        mount.start()
        until((mount.path / TOP).is_dir, "the folder is seen again")


def _settle(
    mounts: list[RealMount], far_side: SandboxProcess, figures: Figures, given_up: Collection[int]
) -> None:
    """Returns once both mounts show what the account has. AssertionError when they never do."""
    for mount in mounts:
        for path in _refused(mount):
            figures.count("at the end", "changes that the service had refused")
            done = mountfs("discard", f"{mount.path}{path}", "--yes")
            # What others did still comes to the mount, and may end a refusal: that of a removal, for one.
            assert done.returncode == 0 or path not in _refused(mount), done.stderr
    for mount in mounts:
        for above, _, names in os.walk(mount.path):
            for name in names:
                if RECOVERED in name:
                    os.unlink(os.path.join(above, name))
                    figures.count("at the end", "recovered copies")
    began_s = time.monotonic()
    for mount in mounts:
        missing: list[str] = []

        def is_same() -> bool:
            nonlocal missing
            try:
                missing = differences(_account(far_side), _shown(mount, far_side))  # noqa: B023
            except FileNotFoundError as error:  # it is listed, and was removed by the other mount meanwhile
                missing = [str(error)]
            return not missing

        try:
            until(is_same, f"{mount.path} shows what the account has", SEEN_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: " + "; ".join(missing)) from None
    figures.count("at the end", "seconds until both show the same", time.monotonic() - began_s)
    found = tree_below(mounts[0].path / TOP)
    for path, body in found.items():
        if not path.endswith("/") and not holds_any(body, given_up):
            assert revision_of(body), path
    figures.count("at the end", "files", sum(not path.endswith("/") for path in found))


def _refused(mount: RealMount) -> list[str]:
    """Paths of changes that were refused for what somebody else did meanwhile, once all others are sent."""
    for reply in Client.at(mount.path).ask(WaitRequest("/", SETTLES_WITHIN_S)):
        if isinstance(reply, Settled):
            assert not reply.pending, f"{mount.path}: {reply.pending} changes are never sent"
            return [each.path for each in reply.failed]
    raise AssertionError("the mount gave no answer")


def _account(far_side: SandboxProcess) -> dict[str, str]:
    return {
        path.removeprefix("/") + ("/" if entry["kind"] == "folder" else ""): entry.get("content_hash", "")
        for path, entry in far_side.tree().items()
    }


def _shown(mount: RealMount, far_side: SandboxProcess) -> dict[str, str]:
    return {
        path: "" if path.endswith("/") else content_hash(far_side.hash_kind, body)
        for path, body in tree_below(mount.path).items()
    }
