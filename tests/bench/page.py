"""The figures of BENCHMARKS.md as values: read, replaced job by job, written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

HEADER = (
    "| job | figure | mountfs | rclone | pass-through | rclone / mountfs | mountfs / pass-through |",
    "|---|---|--:|--:|--:|--:|--:|",
)
CALLS_HEADER = ("| job | calls of mountfs |", "|---|---|")
_HEADERS = {*HEADER, *CALLS_HEADER}
_TURNS = re.compile(r"(?:Medians of|From) (\d+)(?: to (\d+))? turns?\.")


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one place. *rows*: by what the job is about, for each figure its name and its cells.
    *calls*: by the same, the calls of mountfs in words. *turns*: the least and the most of a job."""

    title: str
    plot: str
    turns: tuple[int, int]
    rows: Mapping[str, Sequence[Sequence[str]]]
    calls: Mapping[str, str]

    def updated(self, other: Section) -> Section:
        """With the jobs of *other* in place of its own ones."""
        turns = (min(self.turns[0], other.turns[0]), max(self.turns[1], other.turns[1]))
        if self.rows.keys() <= other.rows.keys():
            turns = other.turns
        return Section(
            self.title, other.plot, turns, {**self.rows, **other.rows}, {**self.calls, **other.calls}
        )

    def lines(self) -> Iterable[str]:
        low, high = self.turns
        turns = f"{low} to {high} turns" if low != high else f"{low} turn{'s' if low > 1 else ''}"
        yield from (f"### {self.title}", "", f"{'From' if high == 1 else 'Medians of'} {turns}.", "")
        yield from (f"![seconds of each job]({self.plot})", "", *HEADER)
        for about, rows in self.rows.items():
            for number, cells in enumerate(rows):
                yield f"| {' | '.join(['' if number else about, *cells])} |"
        yield from ("", *CALLS_HEADER)
        for about, calls in self.calls.items():
            yield f"| {about} | {calls} |"
        yield ""


def read_sections(text: str) -> dict[str, Section]:
    """By title, as ``Section.lines`` wrote them."""
    found = (_section(part) for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:])
    return {each.title: each for each in found}


def _section(text: str) -> Section:
    title, *lines = text.splitlines()
    plot, turns, about = "", (1, 1), ""
    rows: dict[str, list[list[str]]] = {}
    calls: dict[str, str] = {}
    for line in lines:
        cells = [each.strip() for each in line.split("|")[1:-1]]
        if told := _TURNS.fullmatch(line):
            turns = (int(told[1]), int(told[2] or told[1]))
        elif line.startswith("!["):
            plot = line.rpartition("(")[2].rstrip(")")
        elif line in _HEADERS or not cells:
            continue
        elif len(cells) == 2:
            calls[cells[0]] = cells[1]
        else:
            about = cells[0] or about
            rows.setdefault(about, []).append(cells[1:])
    return Section(title, plot, turns, rows, calls)
