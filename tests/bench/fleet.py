"""What machines cost each other that share one Dropbox: ``python -m tests.bench.fleet [--machines N]``.

Copies small files into mounts with state directories of their own, all at once, and compares with one mount
that gets all of them: times, jobs, jobs at once, batches that the service refused because another one ran.
*--apart*: without a fleet.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import click

from tests.doubles.redisprocess import RedisProcess
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.fleets import Machine
from tests.mounted.sandboxprocess import Asked

LONGEST_S = 1800.0


def copies(
    folder: Path, url: str, machines: int, files: int, switches: dict[str, float]
) -> tuple[float, dict[str, object]]:
    """Seconds until all machines have committed their *files*, and what the service saw."""
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
        body = os.urandom(4096)
        ended_s = [0.0] * machines
        began_s = time.monotonic()

        def copy(number: int) -> None:
            path = running[number].path / f"copy{number}"
            path.mkdir()
            for each in range(files):
                (path / f"f{each}").write_bytes(body + os.urandom(16))
            running[number].wait_committed(LONGEST_S)
            ended_s[number] = time.monotonic() - began_s

        threads = [threading.Thread(target=copy, args=(number,)) for number in range(machines)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        batches = dropbox.asked(Asked.COMMIT)
        stored = sum(path.startswith("/copy") for path in dropbox.files())
        told = {
            "stored": stored,
            "batches": len(batches),
            "entries": dict(Counter(len(each["paths"]) for each in batches)),
            "jobs at once": dropbox.peak_jobs(),
            "ended, s": [round(each, 1) for each in sorted(ended_s)],
        }
        return max(ended_s), told


@click.command()
@click.option("--machines", default=6, show_default=True)
@click.option("--files", default=500, show_default=True, help="On each machine.")
@click.option("--job-s", default=0.3, show_default=True)
@click.option("--entry-s", default=0.002, show_default=True)
@click.option("--apart", is_flag=True, help="Without a fleet.")
@click.option("--alone/--no-alone", default=True, help="One machine with all files as well.")
def main(machines: int, files: int, job_s: float, entry_s: float, apart: bool, alone: bool) -> None:
    """Times copies into mounts that share one Dropbox."""
    switches = {"job_duration_s": job_s, "job_entry_s": entry_s}
    with tempfile.TemporaryDirectory() as name, RedisProcess(Path(name) / "redis") as redis:
        folder = Path(name)
        many_s, told = copies(folder / "many", "" if apart else redis.url, machines, files, switches)
        print(f"{machines} machines, {files} files each: {many_s:.1f} s; {told}")
        if alone:
            one_s, told = copies(folder / "one", "", 1, machines * files, switches)
            print(f"one machine, {machines * files} files: {one_s:.1f} s; {told}")
            print(f"times: {many_s / one_s:.2f}")


if __name__ == "__main__":
    main()
