"""docs/ARCHITECTURE.md and CONTRIBUTING.md name modules that exist, and the tables of modules name all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mountfs.backends.box.limits import BOX_LIMITS

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("mountfs", "daemon", "cloudsandbox", "tests")


def _text(document: str) -> str:
    return (REPOSITORY / document).read_text("utf-8")


@pytest.mark.parametrize("document", ["docs/ARCHITECTURE.md", "docs/DECISIONS.md", "CONTRIBUTING.md"])
def test_each_module_that_is_named_exists(document: str) -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)\b", _text(document)))
    there = [
        f"/{path.relative_to(REPOSITORY)}" for top in PACKAGES for path in (REPOSITORY / top).rglob("*.py")
    ]
    assert named
    assert [
        path for path in named - {"setup.py"} if not any(each.endswith(f"/{path}") for each in there)
    ] == []


@pytest.mark.parametrize("package", ["tree", "transport"])
def test_the_table_of_a_package_names_each_module(package: str) -> None:
    _, _, below = _text("docs/ARCHITECTURE.md").partition(f"| module of `{package}` |")
    rows = re.findall(r"^\|([^|]*)\|", below.partition("\n\n")[0], re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    there = {path.stem for path in (REPOSITORY / "mountfs" / package).glob("*.py")}
    assert named == there - {"__init__"}


def test_the_drawing_of_the_threads_has_as_many_commit_workers_as_box_gets() -> None:
    assert f"commit workers (1, or {BOX_LIMITS.batches_at_once} on Box)" in _text("docs/ARCHITECTURE.md")
