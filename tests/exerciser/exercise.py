"""One run: random calls on tmpfs and on a mount, and what ends and begins between them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TextIO

from daemon.control.changes import ChangesRequest, PendingChanges, StoryRequest
from daemon.control.client import Client
from daemon.control.protocol import Settled, WaitRequest
from mountfs.attributes import Links
from mountfs.model.hashing import hasher
from mountfs.published import SUFFIX
from tests.exerciser.calls import Drawn, PathCalls
from tests.exerciser.draws import LONGEST, Draws
from tests.exerciser.opencalls import OpenCalls
from tests.exerciser.rarecalls import RareCalls
from tests.exerciser.sides import Call, Looker, Side, acting, told
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES

TMPFS = Path("/dev/shm")
DEEP = "in/a/folder/far/below"
"""What symbolic links lead to with `..` is inside both sides as well."""
SETTLES_S = 120.0
TOLD_BEFORE = 400
"""So many calls before a difference are told."""


@dataclass
class Plan:
    service: str
    seed: int
    operations: int
    links: Links = Links.LOCAL
    spells: bool = False
    """Whether each call on the mount spells its names anew, in upper or lower case. Nothing stays open then:
    to libfuse each spelling is a file by itself, and goes on to be the one that is open by it."""
    look_every: int = 1000
    """Calls between two looks at everything."""
    end_every: int = 5000
    """Calls between two ends of the mount, by turns by a kill and by a stop."""


@dataclass
class Run:
    """What became of one."""

    plan: Plan
    calls: Counter[str] = field(default_factory=Counter)
    """By the name of the call, and whether it failed."""
    looks: int = 0
    kills: int = 0
    stops: int = 0
    settled: int = 0
    differences: list[str] = field(default_factory=list)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=TOLD_BEFORE))
    kept: Path | None = None
    """After a difference: the folder with both sides' files, the journal, the mount's log, the service's
    account, its `requests` and all `calls`, the last two with times of the monotonic clock."""


class Different(Exception):
    """The two sides are not the same."""


class Exercise:
    """The calls, one after the other, on both sides."""

    def __init__(
        self, run: Run, mount: RealMount, far_side: SandboxProcess, folder: Path, diary: TextIO
    ) -> None:
        self._run = run
        self._diary = diary
        self._mount = mount
        self._far_side = far_side
        self._looker = Looker(time.time_ns() - 10**9, lambda: time.time_ns() + 10**9)
        self._tops = folder / "model", mount.path
        self._model = Side(folder / "model" / DEEP)
        spellings = Random(run.plan.seed) if run.plan.spells else None
        self._real = Side(mount.path / DEEP, spellings=spellings)
        for side in self._sides():
            side.top.mkdir(parents=True)
            side.top.chmod(0o777)
        self._suffix = SUFFIX if run.plan.links is Links.RCLONE else ""
        longest = LONGEST[: len(LONGEST) - len(self._suffix)]
        self._draws = Draws(run.plan.seed, self._model.top, longest)
        self._paths = PathCalls(self._draws, self._looker, self._model)
        self._opened = OpenCalls(self._draws, self._looker, self._model)
        self._weighted: dict[Callable[[], Drawn], float] = {
            **self._paths.weighted(),
            **self._opened.weighted(keeps=not run.plan.spells),
        }
        if not run.plan.spells:
            rare = RareCalls(self._draws, self._model, self._opened)
            self._weighted |= rare.weighted()
        self._outlived: set[int] = set()
        """Numbers of what has been open since before some folder was removed."""

    def go(self) -> None:
        """All of the plan. Different."""
        plan = self._run.plan
        try:
            for number in range(1, plan.operations + 1):
                self._call()
                if number % plan.end_every == 0:
                    self._end(by_kill=self._run.kills <= self._run.stops)
                elif number % plan.look_every == 0:
                    self._look("as it is")
            self._close_all()
            self._settle()
        finally:
            self._close_all()

    def _sides(self) -> tuple[Side, Side]:
        return self._model, self._real

    def _call(self) -> None:
        self._paths.removes_folder, self._opened.drawn = False, 0
        draw = self._draws.random.choices(list(self._weighted), list(self._weighted.values()))[0]
        words, call = draw()
        user, mask = self._draws.user(), self._draws.mask()
        words = f"{user.uid}: {words}".replace(LONGEST, "LONG")
        self._run.recent.append(words)
        wanted, found = (self._made(call, side, user, mask) for side in self._sides())
        self._run.recent[-1] += f" -> {_short(found, 60)}"
        self._note(self._run.recent[-1])
        is_error = isinstance(wanted, str) and wanted.startswith("E")
        self._run.calls[f"{draw.__name__}{' failed' if is_error else ''}"] += 1
        if self._paths.removes_folder and not is_error:
            self._outlived |= self._model.descriptors.keys()
        if wanted != found and not self._is_excused(found):
            raise Different(f"{words}: {_short(wanted)} on tmpfs, {_short(found)} on the mount")

    def _note(self, words: str) -> None:
        self._diary.write(f"{time.monotonic():.3f} {words}\n")

    def _made(self, call: Call, side: Side, user: object, mask: int) -> object:
        with acting(user, mask):  # type: ignore[arg-type]
            return told(call, side)

    def _is_excused(self, found: object) -> bool:
        """Whether the call was one on a removed file whose folder is removed as well (S-NAMES). It is closed
        then, since a call that succeeded on tmpfs alone may have changed it."""
        number = self._opened.drawn
        if found != "ENOENT" or number not in self._outlived or number not in self._model.descriptors:
            return False
        if os.fstat(self._model.descriptors[number]).st_nlink:
            return False
        model, real = self._model.descriptors, self._real.descriptors
        for side in self._sides():
            os.close(side.descriptors.pop(number))
        for other in model.keys() - real.keys():  # it was opened anew by /proc
            os.close(model.pop(other))
        self._run.calls["excused: of a removed file in a removed folder"] += 1
        return True

    # Looking at everything

    def _look(self, when: str, *, folder_times: bool = True) -> None:
        self._run.looks += 1
        wanted, found = (self._looker.tree(top) for top in self._tops)
        faults = [f"{path} is on tmpfs alone" for path in wanted.keys() - found.keys()]
        faults += [f"{path} is on the mount alone" for path in found.keys() - wanted.keys()]
        for path in wanted.keys() & found.keys():
            there, here = wanted[path], found[path]
            if not folder_times and stat.S_ISDIR(int(str(there[0]), 8)):
                there, here = (*there[:4], None, *there[5:]), (*here[:4], None, *here[5:])
            if there != here:
                faults.append(f"{path}: {_short(there)} on tmpfs, {_short(here)} on the mount")
        if faults:
            raise Different(f"{when}: " + "; ".join(sorted(faults)[:9]))

    def _close_all(self) -> None:
        for side in self._sides():
            side.close_all()

    # Ends and beginnings of the mount

    def _end(self, *, by_kill: bool) -> None:
        """A kill may take the second before it of the times of folders (S-TIME)."""
        self._close_all()
        if by_kill:
            self._run.kills += 1
            self._mount.kill9()
        else:
            self._run.stops += 1
            self._settle()
            code = self._mount.terminate()
            if code:
                raise Different(f"a stop ends with {code}")
        self._mount.start()
        self._run.recent.append("the mount was killed" if by_kill else "the mount was stopped")
        self._note(self._run.recent[-1])
        self._look("after a kill" if by_kill else "after a stop", folder_times=not by_kill)
        if by_kill:
            for top in self._tops:
                for folder, _, _ in os.walk(top):
                    os.utime(folder)

    def _settle(self) -> None:
        """The service has all files, and no name that was to stay here."""
        self._run.settled += 1
        for reply in Client.at(self._mount.path).ask(WaitRequest("/", SETTLES_S)):
            if isinstance(reply, Settled) and reply != Settled(0):
                raise Different(f"not committed within {SETTLES_S:.0f} s: {reply}, {self._pending()}")
        self._look("once all is committed")
        wanted = dict(self._wanted())
        found = {path.lower(): content for path, content in self._far_side.files().items()}
        if wanted != found:
            faults = [path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)]
            raise Different(f"the service has other bytes, or names: {sorted(faults)[:9]}")
        # What waits for each other's names takes a third one for a moment: `.a.12.renaming`.
        told = {name for name in self._far_side.named() if not name.endswith(".renaming")}
        local = [name for name in told if name.startswith(".") or name.endswith(".tmp")]
        if local:
            raise Different(f"the service was told of {sorted(set(local))[:9]}")

    def _wanted(self) -> Iterator[tuple[str, str]]:
        """Path and hash of each file that the service is to have."""
        for folder, folders, files in os.walk(self._tops[0]):
            for name in (*folders, *files):
                path = Path(folder, name)
                at = f"/{path.relative_to(self._tops[0])}"
                if path.is_symlink() and self._suffix:
                    yield at + self._suffix, self._hash(os.fsencode(os.readlink(path)))
                elif stat.S_ISREG(path.lstat().st_mode):
                    yield at, self._hash(path.read_bytes())

    def _hash(self, body: bytes) -> str:
        state = hasher(self._far_side.hash_kind)
        state.update(body)
        return state.hexdigest()

    def _pending(self) -> list[object]:
        """What is, and how it came to that."""
        client = Client.at(self._mount.path)
        replies = list(client.ask(ChangesRequest("/")))
        found = [change for reply in replies if isinstance(reply, PendingChanges) for change in reply.pending]
        return [(change, *client.ask(StoryRequest(change.path))) for change in found]


@contextmanager
def _exercise(run: Run, folder: Path) -> Iterator[Exercise]:
    with SERVICES[run.plan.service](folder / "far-side") as far_side, (folder / "calls").open("w") as diary:
        links = run.plan.links.value
        mount = RealMount(
            folder, far_side, allow_other="true", hardlinks="copy", links=links, contain_links="false"
        )
        if run.plan.spells:
            mount._mountfs = ("tests.exerciser.process", *far_side.mountfs)
        try:
            mount.start()
            yield Exercise(run, mount, far_side, folder, diary)
        finally:
            if sys.exc_info()[0] or run.differences:
                (folder / "requests").write_text("\n".join(map(json.dumps, far_side.log())))
            mount.cleanup()


def exercise(plan: Plan) -> Run:
    """Makes the calls of *plan*; the first difference ends it, and what there is then is kept."""
    run = Run(plan)
    folder = Path(mkdtemp(dir=TMPFS, prefix=f"mountfs-exerciser-{plan.service}-{plan.seed}-"))
    folder.chmod(0o755)  # other users have to get there
    try:
        with _exercise(run, folder) as begun:
            try:
                begun.go()
            except Different as error:
                run.differences.append(str(error))
    except BaseException as error:
        error.add_note(f"kept in {folder}")
        raise
    if run.differences:
        run.kept = folder
    else:
        shutil.rmtree(folder)
    return run


def _short(facts: object, most: int = 300) -> str:
    text = repr(facts).replace(LONGEST, "LONG")
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
