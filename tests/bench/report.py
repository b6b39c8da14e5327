"""Makes tables and plots of results: ``python -m tests.bench.report RESULTS... --into docs``.

RESULTS are the files that ``tests.bench.peers --json`` wrote. The tables replace what stands between the two
marks in BENCHMARKS.md in that folder; the plots are beside it, in ``benchmarks/``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import matplotlib as mpl
from matplotlib import pyplot

from tests.bench.contestants import Mountfs, PassThrough, Rclone
from tests.bench.jobs import JOBS
from tests.bench.peers import Place, Result, rows_of

BEGIN, END = "<!-- tables: tests/bench/report.py -->", "<!-- end of tables -->"
COLOURS = {Mountfs.name: "#1f6feb", Rclone.name: "#d1690e", PassThrough.name: "#8c959f"}
TIMES = {"seconds": "in the program", "committed, s": "until all is at the service"}


def read_results(files: Iterable[Path]) -> dict[Place, dict[str, list[Result]]]:
    """By place, then by job, in the order in which they were written."""
    found: dict[Place, dict[str, list[Result]]] = {}
    for file in files:
        for line in file.read_text().splitlines():
            given = json.loads(line)
            result = Result(**{**given, "place": Place(**given["place"])})
            found.setdefault(result.place, {}).setdefault(result.job, []).append(result)
    return found


def table(jobs: dict[str, list[Result]]) -> list[str]:
    """Markdown: a row for each figure of each job."""
    lines = [
        "| job | figure | mountfs | rclone | pass-through | rclone / mountfs | mountfs / pass-through |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for job, results in jobs.items():
        about = JOBS[job].about
        for _, figure, *cells in rows_of(job, results):
            lines.append(f"| {about} | {figure} | {' | '.join(cells)} |")
            about = ""
    return lines


def routes(jobs: dict[str, list[Result]]) -> list[str]:
    """Markdown: the calls of mountfs by route, of the last turn of each job."""
    lines = ["| job | calls of mountfs |", "|---|---|"]
    for job, results in jobs.items():
        ours = [each for each in results if each.contestant == Mountfs.name and each.calls]
        if ours:
            calls = sorted(ours[-1].calls.items(), key=lambda item: -item[1])
            lines.append(f"| {JOBS[job].about} | {', '.join(f'{count} {route}' for route, count in calls)} |")
    return lines


def plot(place: Place, jobs: dict[str, list[Result]], file: Path) -> None:
    """One bar for each contestant, job and time, on a logarithmic scale."""
    shown = [job for job, results in jobs.items() if "seconds" in results[0].figures]
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 0.9 + 0.5 * len(shown)), sharey=True)
    for axis, (name, title) in zip(axes, TIMES.items(), strict=True):
        for offset, who in enumerate(COLOURS):
            medians = [_median(jobs[job], who, name) for job in shown]
            places = [row + 0.25 * (offset - 1) for row in range(len(shown))]
            axis.barh(places, [each or 0 for each in medians], 0.23, color=COLOURS[who], label=who)
        axis.set_xscale("log")
        axis.set_title(f"seconds {title}", fontsize=10)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(shown)), [JOBS[job].about for job in shown], fontsize=8)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="upper left")
    figure.suptitle(in_words(place), fontsize=11)
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)


def _median(results: Sequence[Result], who: str, figure: str) -> float | None:
    values = [each.figures[figure] for each in results if each.contestant == who and figure in each.figures]
    return statistics.median(values) if values else None


def in_words(place: Place) -> str:
    link = f", a link of {place.link_mb_s:g} MB/s" if place.link_mb_s else ""
    part = f", {place.part:g} of each job" if place.part != 1.0 else ""
    return f"{place.service.capitalize()}, {place.latency_ms:g} ms a call{link}, state on {place.disk}{part}"


def file_name(place: Place) -> str:
    part = f"-{place.part:g}" if place.part != 1.0 else ""
    return f"{place.service}-{place.latency_ms:g}ms-{place.link_mb_s:g}mbs-{place.disk}{part}.svg"


def turns_in_words(jobs: dict[str, list[Result]]) -> str:
    counts = {max(each.turn for each in results) + 1 for results in jobs.values()}
    low, high = min(counts), max(counts)
    return f"{low} turns" if low == high else f"{low} to {high} turns"


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--into", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(results: tuple[Path, ...], into: Path) -> None:
    """Writes the tables of RESULTS into BENCHMARKS.md of a folder, and plots beside it."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mountfs"  # the same results make the same file
    page, plots = into / "BENCHMARKS.md", into / "benchmarks"
    plots.mkdir(exist_ok=True)
    head, _, rest = page.read_text().partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise click.ClickException(f"{page} lacks the marks {BEGIN} and {END}")
    lines = [BEGIN, ""]
    for place, jobs in read_results(results).items():
        plot(place, jobs, plots / file_name(place))
        lines += [f"### {in_words(place)}", "", f"Medians of {turns_in_words(jobs)}.", ""]
        lines += [f"![seconds of each job]({plots.name}/{file_name(place)})", ""]
        lines += [*table(jobs), "", *routes(jobs), ""]
    page.write_text("\n".join([head.rstrip(), "", *lines, END, "", tail.strip(), ""]).rstrip() + "\n")


if __name__ == "__main__":
    main()
