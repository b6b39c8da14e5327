"""What machines cost each other that share one Dropbox: ``python -m tests.bench.fleet [--machines N]``.

Writes small files into mounts with state directories of their own, side by side, and compares with one mount
that gets all of them: times, jobs, jobs at once, batches that the service refused because another one ran,
and how long each machine waited for its turns. *--per-s*: files come one after the other, so that each
machine takes several turns. *--apart*: without a fleet.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

from tests.doubles.redisprocess import RedisProcess
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.fleets import Machine
from tests.mounted.sandboxprocess import Asked
from tests.mounted.turnlog import TurnLog, Turns

LONGEST_S = 1800.0


@dataclass(frozen=True, slots=True)
class Work:
    """What each machine gets: so many *files*, *per_s* a second; 0: as fast as it takes them."""

    files: int
    per_s: float = 0.0

    def write(self, folder: Path) -> None:
        folder.mkdir()
        body = os.urandom(4096)
        began_s = time.monotonic()
        for number in range(self.files):
            if self.per_s:
                time.sleep(max(0.0, began_s + number / self.per_s - time.monotonic()))
            (folder / f"f{number}").write_bytes(body + os.urandom(16))


def copies(folder: Path, url: str, machines: int, work: Work, switches: dict[str, float]) -> float:
    """Seconds until all machines have committed their files; prints what the service and the Redis saw."""
    with contextlib.ExitStack() as stack:
        dropbox = stack.enter_context(DropboxProcess(folder / "far", **switches))
        running = [Machine(folder, dropbox, url, f"machine{number}") for number in range(machines)]
        for each in running:
            stack.enter_context(each)
            each.start()
        if url:
            # The first turn of a server that knows nothing waits for a lease.
            (running[0].path / "first").write_text("first")
            running[0].wait_committed()
        dropbox.reset_log()
        ended_s: dict[str, float] = {}
        began_s = time.monotonic()

        def copy(machine: Machine) -> None:
            work.write(machine.path / f"copy-{machine.name}")
            machine.wait_committed(LONGEST_S)
            ended_s[machine.name] = time.monotonic() - began_s

        with TurnLog(url) if url else contextlib.nullcontext() as log:
            threads = [threading.Thread(target=copy, args=(machine,)) for machine in running]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        took_s = max(ended_s.values())
        batches = dropbox.asked(Asked.COMMIT)
        stored = sum(path.startswith("/copy") for path in dropbox.files())
        sizes = dict(sorted(Counter(len(each["paths"]) for each in batches).items()))
        print(f"{machines} machines, {work.files} files each: {took_s:.1f} s")
        print(f"  stored {stored}, batches {len(batches)}, jobs at once {dropbox.peak_jobs()}, sizes {sizes}")
        if log is not None:
            print_turns(log.turns, ended_s)
        else:
            print(f"  ended, s: {[round(each, 1) for each in sorted(ended_s.values())]}")
        return took_s


def print_turns(turns: Turns, ended_s: dict[str, float]) -> None:
    """How long each machine waited from asking for a turn to having it."""
    means_s = []
    for machine, machine_s in sorted(ended_s.items()):
        taken = turns.of(machine)
        if not taken:
            print(f"  {machine}: no turn, ended after {machine_s:.1f} s")
            continue
        waits_s = [each.wait_s for each in taken]
        means_s.append(sum(waits_s) / len(waits_s))
        print(
            f"  {machine}: {len(taken)} turns, waited {means_s[-1]:.2f} s each, at most {max(waits_s):.2f} s,"
            f" passed by at most {max(each.passed for each in taken)} turns of others,"
            f" lost its place {turns.lost.count(machine)} times, ended after {machine_s:.1f} s"
        )
    print(
        f"  mean waits: {min(means_s):.2f} to {max(means_s):.2f} s, {max(means_s) / min(means_s):.2f} times"
    )


@click.command()
@click.option("--machines", default=6, show_default=True)
@click.option("--files", default=500, show_default=True, help="On each machine.")
@click.option("--per-s", default=0.0, help="Files a second on each machine; 0: as fast as it takes them.")
@click.option("--job-s", default=0.3, show_default=True)
@click.option("--entry-s", default=0.002, show_default=True)
@click.option("--apart", is_flag=True, help="Without a fleet.")
@click.option("--alone/--no-alone", default=True, help="One machine with all files as well.")
def main(
    machines: int, files: int, per_s: float, job_s: float, entry_s: float, apart: bool, alone: bool
) -> None:
    """Times copies into mounts that share one Dropbox."""
    switches = {"job_duration_s": job_s, "job_entry_s": entry_s}
    with tempfile.TemporaryDirectory() as name, RedisProcess(Path(name) / "redis") as redis:
        folder = Path(name)
        url = "" if apart else redis.url
        many_s = copies(folder / "many", url, machines, Work(files, per_s), switches)
        if alone:
            one_s = copies(folder / "one", "", 1, Work(machines * files, machines * per_s), switches)
            print(f"times: {many_s / one_s:.2f}")


if __name__ == "__main__":
    main()
