"""docs/SEMANTICS.md and the tests name each other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests" / "mounted" / "semantics"


def _promised() -> dict[str, set[str]]:
    """Tag -> the tests that its section names."""
    text = (REPOSITORY / "docs" / "SEMANTICS.md").read_text()
    sections = re.findall(r"^## (S-[A-Z]+)\b(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return {tag: set(re.findall(r"`(test_\w+)`", section)) for tag, section in sections}


def _tested() -> set[str]:
    """Every test function of the semantics."""
    return {
        node.name
        for path in TESTS.glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_each_promise_names_its_tests() -> None:
    for tag, names in _promised().items():
        prefix = f"test_{tag.lower().replace('-', '_')}_"
        assert names, f"{tag} names no test"
        assert [name for name in names if not name.startswith(prefix)] == []


def test_each_test_that_is_named_exists_and_each_that_exists_is_named() -> None:
    assert set().union(*_promised().values()) == _tested()


def test_every_test_that_a_document_names_exists() -> None:
    there = {
        name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    documents = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    named = {name for path in documents for name in re.findall(r"`(test_\w+)`", path.read_text())}
    assert named - there == set()


def test_of_what_other_mounts_get_wrong_each_has_its_promise_and_its_tests() -> None:
    text = (REPOSITORY / "docs" / "SEMANTICS.md").read_text()
    (section,) = re.findall(r"^## What other mounts get wrong(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    _, _, *rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$|^\|---.*$", section, re.MULTILINE)
    assert rows
    for fault, promises, tests in rows:
        tags = re.findall(r"S-[A-Z]+", promises)
        assert set(tags) <= _promised().keys() and (tags or "#" in promises), fault
        assert re.findall(r"`(test_\w+)`", tests), fault


def _runs_on(test: ast.FunctionDef, module: ast.Module) -> set[str] | None:
    """The services that a test is kept to, by a mark of its own or of its module; None: every one."""
    marks = [*test.decorator_list, *(each.value for each in module.body if isinstance(each, ast.Assign))]
    for mark in marks:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.only_on":
            return {ast.literal_eval(service) for service in mark.args}
    return None


def test_what_is_said_of_box_names_tests_that_run_on_box() -> None:
    text = (REPOSITORY / "docs" / "SEMANTICS.md").read_text()
    (section,) = re.findall(r"^## Box in particular(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    on_box: set[str] = set()
    for path in TESTS.parent.rglob("test_*.py"):
        module = ast.parse(path.read_text())
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and "box" in (_runs_on(node, module) or {"box"}):
                on_box.add(node.name)
    named = set(re.findall(r"`(test_\w+)`", section))
    assert named
    assert named - on_box == set()
