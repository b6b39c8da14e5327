"""Times mountfs beside rclone and a bare pass-through: ``python -m tests.bench.peers [JOB...]``.

The far side is a sandbox over TLS, with a latency for each call and jobs that take 0.3 s and 2 ms an entry.
Contestants take turns, in one order and then in the other, each time with a new account, so that a slow
moment of the machine meets all of them.
Figures are medians; ratios are medians of the ratios of one turn. Nothing is asserted. ``--json FILE``
appends one line a turn, for ``python -m tests.bench.report``. ``--part 0.02`` shows in seconds that a job
works.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench.apart import become_apart, can_be_apart, is_apart
from tests.bench.contestants import Contestant, Mountfs, PassThrough, Rclone
from tests.bench.jobs import JOBS, USUAL, Figures, Turn
from tests.bench.lifelike import LifelikeSandbox
from tests.bench.sources import make_sources

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """How far away the service is, and how much is done there. *link_mb_s*: of contents in each direction, in
    MB/s; 0: no limit. *part*: of the files or bytes that the jobs name. *is_direct*: no proxy is between."""

    service: str
    latency_ms: float
    link_mb_s: float
    disk: str
    part: float = 1.0
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """One turn of one contestant: a line of the file of results."""

    job: str
    contestant: str
    turn: int
    place: Place
    figures: Figures
    calls: dict[str, int]


def take_turn(name: str, job: str, number: int, place: Place, folder: Path, sources: Path) -> Result:
    def result(contestant: Contestant, sandbox: LifelikeSandbox | None) -> Result:
        contestant.mount()
        try:
            turn = Turn(contestant, sandbox, sources)
            return Result(job, name, number, place, JOBS[job].does(turn), turn.calls)
        finally:
            contestant.unmount()
            contestant.close()

    if name == PassThrough.name:
        return result(PassThrough(folder), None)
    kind = Mountfs if name == Mountfs.name else Rclone
    far = folder / "far"
    folders, files = JOBS[job].filled
    folders = max(1, round(folders * place.part)) if folders > 1 else folders
    files = round(files * place.part) if folders == 1 else files
    with LifelikeSandbox(
        place.service,
        far,
        place.latency_ms,
        place.link_mb_s,
        filled=(folders, files),
    ) as sandbox:
        return result(kind(folder / name, sandbox), sandbox)


@click.command()
@click.argument("jobs", nargs=-1, type=click.Choice(list(JOBS)))
@click.option("--service", default="dropbox", show_default=True, type=click.Choice(["dropbox", "box"]))
@click.option("--runs", default=3, show_default=True)
@click.option("--latency-ms", default=50.0, show_default=True)
@click.option("--link-mb", default=0.0, help="MB/s of contents in each direction; 0: no limit.")
@click.option("--part", default=1.0, help="Do this part of each job, to see that it works.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where all state is kept, such as on ext4.")
@click.option("--proxy", "is_proxied", is_flag=True, help="Go by a proxy also as root, who needs none.")
@click.option("--json", "results", type=click.Path(path_type=Path), help="Appends one line for each turn.")
def main(
    jobs: tuple[str, ...],
    service: str,
    runs: int,
    latency_ms: float,
    link_mb: float,
    part: float,
    folder: Path | None,
    is_proxied: bool,
    results: Path | None,
) -> None:
    """Times jobs side by side; without JOBS small, large and one."""
    if not is_proxied and not is_apart() and can_be_apart():
        become_apart([sys.executable, "-m", "tests.bench.peers", *sys.argv[1:]])
    chosen = jobs or USUAL
    table = Table("job", "figure", "mountfs", "rclone", "pass-through", "rclone / mountfs", "mountfs / bare")
    way = "" if is_apart() else ", by a proxy"
    table.title = f"{service}, {latency_ms:.0f} ms{way}, medians of {runs} turns"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        top = Path(name)
        place = Place(service, latency_ms, link_mb, _kind_of_disk(top), part, is_apart())
        sources = top / "sources"
        sources.mkdir()
        make_sources(sources, (source for job in chosen for source in JOBS[job].needs), part)
        for job in chosen:
            seen: list[Result] = []
            for number in range(runs):
                # Who comes after another finds memory in another state: that alone was a twelfth of a read.
                for who in JOBS[job].among[:: -1 if number % 2 else 1]:
                    with tempfile.TemporaryDirectory(dir=top) as own:
                        seen.append(take_turn(who, job, number, place, Path(own) / "turn", sources))
            if results is not None:
                with results.open("a") as file:
                    file.writelines(json.dumps(asdict(each)) + "\n" for each in seen)
            for row in rows_of(job, seen):
                table.add_row(*row)
        shutil.rmtree(sources)
    Console().print(table)


def rows_of(job: str, seen: Iterable[Result]) -> list[list[str]]:
    """Of one job: job, figure, its median for each contestant, and the two ratios."""
    figures: dict[str, list[Figures]] = {}
    for each in seen:
        figures.setdefault(each.contestant, []).append(each.figures)
    rows = []
    for figure in figures[Mountfs.name][0]:
        values = {who: [one[figure] for one in found if figure in one] for who, found in figures.items()}
        ours, theirs, bare = (values.get(who, []) for who in (Mountfs.name, Rclone.name, PassThrough.name))
        medians = [_median(each) for each in (ours, theirs, bare)]
        rows.append([job, figure, *medians, _ratio(theirs, ours), _ratio(ours, bare)])
    return rows


def _kind_of_disk(folder: Path) -> str:
    """Of the file system that *folder* is on, such as `tmpfs`."""
    found = ("/", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if folder.is_relative_to(where) and len(where) >= len(found[0]):
            found = (where, kind)
    return found[1]


def _median(values: list[float]) -> str:
    if not values:
        return ""
    median = statistics.median(values)
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def _ratio(above: list[float], below: list[float]) -> str:
    if not above or len(above) != len(below):
        return ""
    ratios = [a / b for a, b in zip(above, below, strict=True) if b]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


if __name__ == "__main__":
    main()
