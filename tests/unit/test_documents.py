"""The documents have one sentence a line, so that a change of one is a change of one line; some have figures.

``MOUNTFS_WRITE_TABLES=1 pytest -n 0 tests/unit/test_documents.py`` writes them so.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from daemon.cli.checks import SPARE_BYTES
from daemon.places.statedir import MOST_SLOTS
from daemon.process.descriptors import MOST_DESCRIPTORS
from mountfs.backends.dropbox.limits import DROPBOX_LIMITS
from mountfs.model.names import MAX_CHARS
from mountfs.reading.limits import CACHE_BYTES
from mountfs.tree.schema import VERSION
from mountfs.xattrs import MOST_BYTES

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "cloudsandbox/README.md",
    *(f"docs/{path.name}" for path in sorted((REPOSITORY / "docs").glob("*.md"))),
]
ENDS = re.compile(r"[.!?][)*`\"]*$")
BETWEEN = re.compile(r"(?<=[.!?)*`\"])\s+(?=[A-Z*`\[_(\"])")
ITEM = re.compile(r"\s*(?:[*-]|\d+\.) +")
HEAD = re.compile(r"^\s*(?:(?:[*-]|\d+\.) +)?")
KEPT = ("|", "#", "<", "![", "    ", "```")


def _sentences(paragraph: str) -> list[str]:
    found, start = [], 0
    for space in BETWEEN.finditer(paragraph):
        sentence = paragraph[start : space.start()]
        is_open = sentence.count("`") % 2 or sentence.count("(") > sentence.count(")")
        if ENDS.search(sentence) and not is_open:
            found.append(sentence)
            start = space.end()
    return [*found, paragraph[start:]]


def _laid_out(text: str) -> str:
    """The document with one sentence a line: paragraphs and items of lists, no tables and no code."""
    lines: list[str] = []
    is_code, is_going_on = False, False
    for line in text.split("\n"):
        is_code ^= line.startswith("```")
        if is_code or not line.strip() or line.lstrip().startswith(KEPT) or line.startswith("    "):
            lines.append(line)
            is_going_on = False
            continue
        goes_on = is_going_on and not ITEM.match(line) and not ENDS.search(lines[-1])
        whole = f"{lines.pop()} {line.strip()}" if goes_on else line
        said = HEAD.sub("", whole, count=1)
        indent = len(whole) - len(said)
        first, *others = _sentences(said)
        lines += [whole[:indent] + first, *(" " * indent + each for each in others)]
        is_going_on = True
    return "\n".join(lines)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_has_one_sentence_a_line(document: str) -> None:
    path = REPOSITORY / document
    text = path.read_text("utf-8")
    laid_out = _laid_out(text)
    assert laid_out.split() == text.split()
    if "MOUNTFS_WRITE_TABLES" in os.environ:
        path.write_text(laid_out, "utf-8")
    else:
        assert laid_out == text


def test_the_changelog_says_which_version_the_journal_has() -> None:
    assert f"The journal has version {VERSION}:" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    "told",
    [
        f"at most `cache_max_bytes` = {CACHE_BYTES >> 30} GiB of cache",
        f"| {SPARE_BYTES >> 20} MiB should be free",
        f"to at most {MOST_DESCRIPTORS:,} and what",
        f"| {MOST_SLOTS} of one account in one state directory |",
        f"| {DROPBOX_LIMITS.max_file_bytes // 10**9} GB on Dropbox,",
        f"a name of {MAX_CHARS} characters; {MOST_BYTES >> 10} KiB of extended attributes |",
    ],
)
def test_what_a_mount_takes_is_told_in_the_figures_of_the_code(told: str) -> None:
    assert told in (REPOSITORY / "docs" / "OPERATIONS.md").read_text("utf-8")


def test_a_version_has_each_section_of_the_changelog_once() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    for version in text.split("\n## ")[1:]:
        sections = re.findall(r"^### .+", version, re.MULTILINE)
        assert len(sections) == len(set(sections))
