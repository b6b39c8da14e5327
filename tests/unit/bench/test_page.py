"""The figures of BENCHMARKS.md, when some of them are measured anew."""

from __future__ import annotations

from pathlib import Path

from tests.bench.page import Section, read_sections

PAGE = Path(__file__).parents[3] / "docs" / "BENCHMARKS.md"
HERE = "Dropbox, 50 ms a call, state on tmpfs"


def made(turns: tuple[int, int], **seconds: str) -> Section:
    rows = {
        about: [["seconds", took, "", "", "", ""], ["calls", "1", "", "", "", ""]]
        for about, took in seconds.items()
    }
    return Section(HERE, "benchmarks/plot.svg", turns, rows, dict.fromkeys(seconds, "1 files/upload"))


def test_the_page_is_read_as_it_is_written() -> None:
    sections = read_sections(PAGE.read_text().partition("## Figures")[2])
    assert HERE in sections
    text = "\n".join(line for each in sections.values() for line in each.lines())
    assert text in PAGE.read_text()
    assert read_sections(text) == sections


def test_jobs_that_were_not_measured_anew_keep_their_figures() -> None:
    both = made((3, 3), small="1", large="2").updated(made((1, 1), large="5", one="7"))
    assert {about: rows[0][1] for about, rows in both.rows.items()} == {
        "small": "1",
        "large": "5",
        "one": "7",
    }
    assert both.turns == (1, 3)
    assert list(both.calls) == ["small", "large", "one"]
    assert read_sections("\n".join(both.lines())) == {HERE: both}
