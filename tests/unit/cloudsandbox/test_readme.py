"""The README against the program: switches and their defaults, options, faults."""

import dataclasses
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cloudsandbox.__main__ import main
from cloudsandbox.box import switches as box
from cloudsandbox.dropbox import switches as dropbox
from cloudsandbox.faults import FaultKind, FaultRule

README = Path(__file__).parents[3] / "cloudsandbox" / "README.md"
ROW = re.compile(r"\| `(\w+)` \| `(.+?)` \| (?:`(.+?)` )?\| (.+) \|")
SERVICES = [
    ("Dropbox", dropbox.DropboxSwitches, dropbox.LIFELIKE),
    ("Box", box.BoxSwitches, box.LIFELIKE),
]


def section(title: str) -> str:
    found = re.search(rf"^#+ {title}$(.*?)(?=^#|\Z)", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(("title", "kind", "lifelike"), SERVICES, ids=["dropbox", "box"])
def test_all_switches_are_listed_with_their_defaults_and_words(
    title: str, kind: type[Any], lifelike: Mapping[str, Any]
) -> None:
    rows = [row for line in section(title).splitlines() if (row := ROW.fullmatch(line)) is not None]
    listed = [(row[1], json.loads(row[2]), json.loads(row[3]) if row[3] else None) for row in rows]
    defaults = dataclasses.asdict(kind())
    assert listed == [(name, value, lifelike.get(name)) for name, value in defaults.items()]
    assert lifelike.keys() <= defaults.keys()
    texts = {row[1]: row[4] for row in rows}
    words = [(name, each) for name, each in get_type_hints(kind).items() if isinstance(each, type)]
    known = [(name, word) for name, each in words if issubclass(each, StrEnum) for word in each]
    assert known
    unsaid = [(name, word) for name, word in known if f"`{word}`" not in texts[name]]
    assert unsaid == []


def test_all_options_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dropbox", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert len(options) >= 8
    assert {option for option in options if f"`{option}" not in section("Options")} == set()


def test_all_faults_are_told_of() -> None:
    text = section("Faults by schedule")
    names = {*FaultKind, *(field.name for field in dataclasses.fields(FaultRule))}
    assert {name for name in names if f"`{name}`" not in text} == set()
