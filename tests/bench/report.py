"""Makes tables and plots of results: ``python -m tests.bench.report RESULTS... --into docs``.

RESULTS are the files that ``tests.bench.peers --json`` wrote. The tables are between two marks in
BENCHMARKS.md in that folder; the plots are beside it, in ``benchmarks/``. A job of which RESULTS have nothing
keeps its figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click
import matplotlib as mpl
from matplotlib import pyplot

from tests.bench.contestants import Mountfs, PassThrough, Rclone
from tests.bench.jobs import JOBS
from tests.bench.page import Section, read_sections
from tests.bench.peers import Place, Result, rows_of

BEGIN, END = "<!-- tables: tests/bench/report.py -->", "<!-- end of tables -->"
COLOURS = {Mountfs.name: "#1f6feb", Rclone.name: "#d1690e", PassThrough.name: "#8c959f"}
PLOTS = "benchmarks"
NOTHING = ("",) * len(COLOURS)
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


def section_of(place: Place, jobs: dict[str, list[Result]]) -> Section:
    counts = {max(each.turn for each in results) + 1 for results in jobs.values()}
    rows = {JOBS[job].about: [row[1:] for row in rows_of(job, results)] for job, results in jobs.items()}
    calls = {JOBS[job].about: calls_of(results) for job, results in jobs.items()}
    return Section(
        in_words(place),
        f"{PLOTS}/{file_name(place)}",
        (min(counts), max(counts)),
        rows,
        {about: told for about, told in calls.items() if told},
    )


def calls_of(results: Iterable[Result]) -> str:
    """The calls of mountfs by route, in its last turn."""
    ours = [each.calls for each in results if each.contestant == Mountfs.name and each.calls]
    calls = sorted(ours[-1].items(), key=lambda item: -item[1]) if ours else []
    return ", ".join(f"{count} {route}" for route, count in calls)


def plot(section: Section, file: Path) -> None:
    """One bar for each contestant, job and time, on a logarithmic scale."""
    medians = {about: {row[0]: row[1:] for row in rows} for about, rows in section.rows.items()}
    shown = [about for about, figures in medians.items() if "seconds" in figures]
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 0.9 + 0.5 * len(shown)), sharey=True)
    for axis, (name, title) in zip(axes, TIMES.items(), strict=True):
        for offset, who in enumerate(COLOURS):
            cells = [medians[about].get(name, NOTHING)[offset] for about in shown]
            places = [row + 0.25 * (offset - 1) for row in range(len(shown))]
            values = [float(each.replace(",", "") or 0) for each in cells]
            axis.barh(places, values, 0.23, color=COLOURS[who], label=who)
        axis.set_xscale("log")
        axis.set_title(f"seconds {title}", fontsize=10)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(shown)), shown, fontsize=8)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="upper left")
    figure.suptitle(section.title, fontsize=11)
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)


def in_words(place: Place) -> str:
    link = f", a link of {place.link_mb_s:g} MB/s" if place.link_mb_s else ""
    part = f", {place.part:g} of each job" if place.part != 1.0 else ""
    way = ", without a proxy" if place.is_direct else ""
    far = f"{place.service.capitalize()}, {place.latency_ms:g} ms a call{link}{way}"
    return f"{far}, state on {place.disk}{part}"


def file_name(place: Place) -> str:
    part = f"-{place.part:g}" if place.part != 1.0 else ""
    way = "-direct" if place.is_direct else ""
    return f"{place.service}-{place.latency_ms:g}ms-{place.link_mb_s:g}mbs-{place.disk}{way}{part}.svg"


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--into", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(results: tuple[Path, ...], into: Path) -> None:
    """Writes the tables of RESULTS into BENCHMARKS.md of a folder, and plots beside it."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mountfs"  # the same results make the same file
    page, plots = into / "BENCHMARKS.md", into / PLOTS
    plots.mkdir(exist_ok=True)
    head, _, rest = page.read_text().partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise click.ClickException(f"{page} lacks the marks {BEGIN} and {END}")
    sections = read_sections(rest[: rest.index(END)])
    for place, jobs in read_results(results).items():
        section = section_of(place, jobs)
        former = sections.get(section.title)
        section = section if former is None else former.updated(section)
        sections[section.title] = section
        plot(section, into / section.plot)
    lines = [BEGIN, "", *(line for each in sections.values() for line in each.lines())]
    page.write_text("\n".join([head.rstrip(), "", *lines, END, "", tail.strip(), ""]).rstrip() + "\n")


if __name__ == "__main__":
    main()
