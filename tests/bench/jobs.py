"""What is timed: each job is one thing that people do in a mount, with an account of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contestants import MIB, Contestant, Mountfs, PassThrough, Rclone
from tests.bench.lifelike import LifelikeSandbox
from tests.bench.sources import count_files
from tests.waiting import until

Figures = dict[str, float]
LONG_S = 3600.0
LOOK_EVERY_S = 0.02
"""How often the service is asked whether all is there. A look is a call over a new TLS connection, and takes
processor time from who is timed."""
CALLS = 2000
RANDOM_READS = 50


class Turn:
    """One contestant at one job, with an account of its own. *sandbox*: None for the pass-through."""

    def __init__(self, contestant: Contestant, sandbox: LifelikeSandbox | None, sources: Path) -> None:
        self.contestant = contestant
        self.sandbox = sandbox
        self.sources = sources
        self.calls: dict[str, int] = {}
        """By route, of what was timed last."""
        self.copy = contestant.path / "copy"

    def timed(
        self,
        work: Callable[[], object],
        is_committed: Callable[[LifelikeSandbox], bool] | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> Figures:
        """Seconds in *work*; with a far side also until *is_committed*, calls, CPU and memory."""
        sandbox = self.sandbox
        before = sandbox.counts() if sandbox else {}
        spent_s = self.contestant.cost().cpu_s
        began_s = time.perf_counter()
        work()
        figures = {"seconds": time.perf_counter() - began_s}
        if sandbox is None:
            return figures
        if is_committed is not None:
            until(lambda: is_committed(sandbox), "all is committed", LONG_S, look_every_s=look_every_s)
            figures["committed, s"] = time.perf_counter() - began_s
        after = sandbox.counts()
        self.calls = {route: n - before.get(route, 0) for route, n in after.items() if n != before.get(route)}
        cost = self.contestant.cost()
        return figures | {
            "calls": sum(self.calls.values()),
            "CPU, s": cost.cpu_s - spent_s,
            "peak memory, MiB": cost.peak_bytes / MIB,
        }

    def copied(self, name: str) -> Figures:
        """`cp -r` of the source *name*, until all is committed."""
        source = self.sources / name
        files = count_files(source)
        return self.timed(lambda: _run("cp", "-r", source, self.copy), lambda far: far.files() >= files)

    def cold(self, name: str, work: Callable[[], object]) -> Figures:
        """On the copy of the source *name*, of which nothing is known any more."""
        self.copied(name)
        self.contestant.forget_what_was_read()
        self.contestant.settle()
        return self.timed(work)


def _run(*order: str | Path) -> None:
    subprocess.run(order, check=True, stdout=subprocess.DEVNULL)


def _copy(name: str) -> Callable[[Turn], Figures]:
    return lambda turn: turn.copied(name)


def _writers(turn: Turn) -> Figures:
    sources = sorted((turn.sources / "writers").iterdir())
    files = sum(count_files(each) for each in sources)

    def write() -> None:
        programs = [subprocess.Popen(["cp", "-r", each, turn.contestant.path]) for each in sources]
        assert [each.wait() for each in programs] == [0] * len(sources)

    return turn.timed(write, lambda far: far.files() >= files)


def _edit(turn: Turn) -> Figures:
    """4 KiB in the middle of a file that only the service has."""
    turn.copied("edited")
    blocks = (turn.sources / "edited").stat().st_size // 4096
    turn.contestant.forget_what_was_read()
    before = turn.sandbox.hashes() if turn.sandbox else {}
    place = ["bs=4096", "count=1", f"seek={blocks // 2}", "conv=notrunc", "status=none"]
    return turn.timed(
        lambda: _run("dd", "if=/dev/urandom", f"of={turn.copy}", *place),
        lambda far: far.hashes() != before,
    )


def _again(turn: Turn) -> Figures:
    """`cp -r` of 1,000 files inside the mount."""
    turn.copied("small")
    turn.contestant.rest()
    files = 2 * count_files(turn.sources / "small")
    return turn.timed(
        lambda: _run("cp", "-r", turn.copy, turn.contestant.path / "again"), lambda far: far.files() >= files
    )


def _unchanged(turn: Turn) -> Figures:
    source = turn.sources / "small"
    files = count_files(source)
    turn.timed(lambda: _run("cp", "-rp", source, turn.copy), lambda far: far.files() >= files)
    return turn.timed(lambda: _run("rsync", "-rt", f"{source}/", f"{turn.copy}/"))


def _remove(name: str) -> Callable[[Turn], Figures]:
    def remove(turn: Turn) -> Figures:
        turn.copied(name)
        return turn.timed(lambda: _run("rm", "-r", turn.copy), lambda far: far.files() == 0)

    return remove


def _move(turn: Turn) -> Figures:
    """1,000 files, each by a rename of its own, into another folder."""
    turn.copied("small")
    moved = turn.contestant.path / "moved"
    files = count_files(turn.sources / "small")

    def move() -> None:
        moved.mkdir()
        for path in sorted(turn.copy.glob("*/*")):
            path.rename(moved / path.name)

    return turn.timed(move, lambda far: far.count_below("/moved/") >= files, look_every_s=0.1)


def _rates(turn: Turn) -> Figures:
    """Calls one after another by one program, in one folder."""
    folder = turn.contestant.path / "rates"
    folder.mkdir()
    names = [str(folder / f"f{number}") for number in range(CALLS)]

    def rate(call: Callable[[str], object]) -> float:
        began_s = time.perf_counter()
        for name in names:
            call(name)
        return CALLS / (time.perf_counter() - began_s)

    def make(name: str) -> None:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644))

    made = rate(make)
    looked = rate(lambda name: os.path.exists(f"{name}.none"))
    if turn.sandbox is not None:
        far = turn.sandbox
        # rclone removes no file it is sending
        until(lambda: far.files() >= CALLS, "all are there", LONG_S, look_every_s=LOOK_EVERY_S)
    removed = rate(os.unlink)
    return {
        "create and close, a second": made,
        "stat of what is not there, a second": looked,
        "unlink, a second": removed,
    }


def _growth(turn: Turn) -> Figures:
    """100,000 files of 1 KiB: does the last cost what the first did?"""
    folders = sorted((turn.sources / "tiny").iterdir())
    files = count_files(turn.sources / "tiny")
    took_s = []

    def copy() -> None:
        turn.copy.mkdir()
        for folder in folders:
            began_s = time.perf_counter()
            _run("cp", "-r", folder, turn.copy)
            took_s.append(time.perf_counter() - began_s)

    figures = turn.timed(copy, lambda far: far.files() >= files, look_every_s=1.0)  # they are long to count
    tenth = len(folders) // 10
    tenth_ms = {"first": 1e3 * sum(took_s[:tenth]), "last": 1e3 * sum(took_s[-tenth:])}
    figures |= {f"ms a file, of the {which} tenth": ms / (files / 10) for which, ms in tenth_ms.items()}
    journals = turn.contestant.folder.glob("state/accounts/*/slot-*/journal.db*")
    figures["journal at the end, MiB"] = sum(each.stat().st_size for each in journals) / MIB
    return figures


def _random(turn: Turn) -> Figures:
    """4 KiB at 50 places of 512 MiB."""
    mib = (turn.sources / "large").stat().st_size // MIB

    def read() -> None:
        with turn.copy.open("rb", buffering=0) as file:
            for number in range(RANDOM_READS):
                os.pread(file.fileno(), 4096, (number * 7919 % mib) * MIB + 4096 * number)

    return turn.cold("large", read)


def _walk(turn: Turn) -> Figures:
    """find(1) over an account of which nothing is known, and twice more."""
    top = turn.contestant.path
    figures = turn.timed(lambda: _run("find", top))
    calls = turn.calls
    figures |= {f"{what}, s": turn.timed(lambda: _run("find", top))["seconds"] for what in ("again", "third")}
    turn.calls = calls
    return figures


def _folder(turn: Turn) -> Figures:
    """One large folder: cold its names, warm its attributes."""
    top = turn.contestant.path / "d0000"
    figures = turn.timed(lambda: _run("ls", top))
    calls = turn.calls
    figures |= {
        f"ls -l {what}, s": turn.timed(lambda: _run("ls", "-l", top))["seconds"] for what in ("warm", "again")
    }
    turn.calls = calls
    return figures


@dataclass(frozen=True, slots=True)
class Job:
    """*about* for its readers; *needs*: sources; *among*: who takes turns at it; *filled*: the folders, and
    the files in each, that the account has before."""

    about: str
    does: Callable[[Turn], Figures]
    needs: Sequence[str]
    among: Sequence[str]
    filled: tuple[int, int] = (0, 0)


BOTH = (Mountfs.name, Rclone.name)
ALL = (*BOTH, PassThrough.name)
OURS = (Mountfs.name, PassThrough.name)

JOBS: Mapping[str, Job] = {
    "small": Job("cp of 1,000 files of 4 KiB", _copy("small"), ["small"], ALL),
    "many": Job("cp of 10,000 files of 4 KiB", _copy("many"), ["many"], ALL),
    "medium": Job("cp of 1,000 files of 100 KiB", _copy("medium"), ["medium"], ALL),
    "fewer": Job("cp of 200 files of 4 KiB", _copy("fewer"), ["fewer"], ALL),
    "writers": Job("8 programs copy 125 files of 4 KiB each", _writers, ["writers"], ALL),
    "program": Job("cp of Python's standard library", _copy("program"), ["program"], ALL),
    "growth": Job("cp of 100,000 files of 1 KiB", _growth, ["tiny"], (Mountfs.name,)),
    "large": Job("cp of 512 MiB", _copy("large"), ["large"], ALL),
    "several": Job("cp of 8 files of 128 MiB", _copy("several"), ["several"], ALL),
    "one": Job("cp of one file of 4 KiB", _copy("one"), ["one"], ALL),
    "edit": Job("4 KiB written into the middle of a remote file of 256 MiB", _edit, ["edited"], BOTH),
    "again": Job("cp of 1,000 files inside the mount", _again, ["small"], BOTH),
    "unchanged": Job("rsync of 1,000 unchanged files", _unchanged, ["small"], BOTH),
    "remove": Job("rm -r of 1,000 files", _remove("small"), ["small"], BOTH),
    "remove-many": Job("rm -r of 10,000 files", _remove("many"), ["many"], (Mountfs.name,)),
    "move": Job("1,000 renames into another folder", _move, ["small"], BOTH),
    "rates": Job("calls one after another", _rates, [], ALL),
    "read-small": Job(
        "grep of 1,000 files of 4 KiB in ten folders, cold",
        lambda turn: turn.cold("small", lambda: _grep(turn.copy)),
        ["small"],
        BOTH,
    ),
    "read-folders": Job(
        "grep of 1,000 files of 4 KiB in twenty folders, cold",
        lambda turn: turn.cold("folders", lambda: _grep(turn.copy)),
        ["folders"],
        BOTH,
    ),
    "read-large": Job(
        "cat of 512 MiB, cold",
        lambda turn: turn.cold("large", lambda: _run("cat", turn.copy)),
        ["large"],
        BOTH,
    ),
    "walk": Job("find over 1,000 folders with 100,000 files, cold", _walk, [], BOTH, (1000, 100)),
    "folder": Job("ls of a folder with 100,000 files, cold", _folder, [], BOTH, (1, 100_000)),
    "read-random": Job("4 KiB at 50 places of 512 MiB, cold", _random, ["large"], BOTH),
}
USUAL = ("small", "large", "one")


def _grep(path: Path) -> None:
    found = subprocess.run(["grep", "-rc", "nothing has this line", path], stdout=subprocess.DEVNULL)
    assert found.returncode == 1  # read, and not there
