"""What Box's rate costs: ``python -m tests.bench.boxrate [--mounts N] [--files N] [--enforced]``.

Copies files of 4 KiB into mounts of one Box account at once, and says how long they took, how many uploads
left in the busiest minute, and how many were refused. *--enforced*: the stand-in allows 240 a minute.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path

import click

from tests.doubles.redisprocess import RedisProcess
from tests.mounted.boxprocess import UPLOADS, BoxProcess
from tests.mounted.fleets import Machine
from tests.mounted.realmount import RealMount, small_tree

DOCUMENTED = {"uploads_per_minute": "240", "calls_per_minute": "1000"}
LONGEST_S = 3600.0


def busiest(times_s: list[float]) -> int:
    """The most of them within 60 seconds."""
    times_s = sorted(times_s)
    return max(sum(1 for each in times_s[at:] if each < from_s + 60.0) for at, from_s in enumerate(times_s))


@click.command()
@click.option("--mounts", default=1, show_default=True)
@click.option("--files", default=200, show_default=True, help="In each mount.")
@click.option("--enforced", is_flag=True)
@click.option("--apart", is_flag=True, help="Each mount with a state directory of its own.")
@click.option("--rate", default="adaptive", show_default=True)
@click.option("--fleet", is_flag=True, help="As machines that share a Redis.")
def main(mounts: int, files: int, enforced: bool, apart: bool, rate: str, fleet: bool) -> None:
    """Times copies into mounts of one Box account."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        box = stack.enter_context(BoxProcess(folder / "far", record_exchanges=False))
        if enforced:
            box.switches(uploads_per_minute=240, calls_per_minute=1000)
        source = small_tree(folder / "source", files)
        redis = stack.enter_context(RedisProcess(folder / "redis"))
        running = []
        for number in range(mounts):
            home = folder / f"machine{number}" if apart else folder
            if not fleet:
                home.mkdir(exist_ok=True)
            remote = {**DOCUMENTED, "upload_rate": rate}
            if fleet:
                mount: RealMount = Machine(folder, box, redis.url, f"machine{number}", remote=remote)
            else:
                mount = RealMount(home, box, name=f"mnt{number}", remote=remote)
            running.append(stack.enter_context(mount))
            mount.start()
        box.reset_log()
        began_s = time.monotonic()
        ended_s = [0.0] * mounts

        def copy(number: int) -> None:
            path = running[number].path / f"copy{number}"
            for each in sorted(source.rglob("*")):
                target = path / each.relative_to(source)
                if each.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    target.write_bytes(each.read_bytes())
            running[number].wait_committed(LONGEST_S)
            ended_s[number] = time.monotonic() - began_s

        threads = [threading.Thread(target=copy, args=(number,)) for number in range(mounts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        uploads = box.log(UPLOADS)
        refused = [round(each["start_s"] - began_s, 1) for each in box.log() if each["status"] == 429]
        left_s = [each["start_s"] for each in uploads if each["status"] != 429]
        print(f"committed after, s: {[round(each, 1) for each in sorted(ended_s)]}")
        print(f"uploads: {len(uploads)}; the busiest minute: {busiest(left_s)}; refused at, s: {refused}")


if __name__ == "__main__":
    main()
