"""Names that never leave the machine, look temporary, or are refused."""

from __future__ import annotations

import sys
import unicodedata
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.errors import NameNotAllowed, NameTooLong
from mountfs.model.names import LOCAL_ONLY, WHITE_SPACE, NameRules, is_local_name, looks_temporary
from mountfs.model.path import fold

RULES = NameRules()


@pytest.mark.parametrize(
    "name",
    [
        ".fuse_hidden0000001200000001",
        ".~lock.Report.odt#",
        ".goutputstream-ABC123",
        ".a.txt.swp",
        ".a.txt.swx",
        ".macro.swp",
        ".A.SWP",
        ".Notes.SwX",
        "~$Report.docx",
        ".DS_Store",
        unicodedata.normalize("NFC", ".Ünïcode.swp"),
        unicodedata.normalize("NFD", ".Ünïcode.SWP"),
        unicodedata.normalize("NFD", "~$Übersicht.xlsx"),
    ],
)
def test_what_editors_leave_never_leaves_the_machine(name: str) -> None:
    assert is_local_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "a.swpx",
        "swp",
        ".swap",
        "lock.odt#",
        ".~lock.odt",
        "x~$y",
        "ds_store",
        "a.ds_store",
        "fuse_hidden1",
        "macro.swp",
        "backup.swp",
        "x.swp",
        "x.swx",
        "MACRO.SWP",
        "Backup.Swx",
        unicodedata.normalize("NFC", "Übung.swp"),
        unicodedata.normalize("NFD", "Übung.swp"),
    ],
)
def test_other_names_do(name: str) -> None:
    """Also `macro.swp`: vim hides its swap files, other programs call their documents so."""
    assert not is_local_name(name)


@given(st.text("a.~$#swpx_lock\u0308", min_size=1, max_size=12))
def test_the_quick_answer_is_that_of_the_patterns(name: str) -> None:
    assert is_local_name(name) == any(fnmatchcase(fold(name), glob) for glob in LOCAL_ONLY)


@pytest.mark.parametrize(
    "name",
    [
        ".a.txt.Xy12Zz",
        "sedYYCw90",
        ".a.txt.swpx",
        "a.tmp",
        "a.part",
        "a.crdownload",
        "a~",
        "tmpabc",
        "index.lock",
        "a.temp",
    ],
)
def test_what_is_about_to_be_renamed_looks_temporary(name: str) -> None:
    assert looks_temporary(name)


@pytest.mark.parametrize(
    "name", ["a.txt", ".bashrc", "a", "photo.jpeg", "party", "lock", "sediment.txt", "sedate"]
)
def test_what_is_there_to_stay_does_not(name: str) -> None:
    assert not looks_temporary(name)


@pytest.mark.parametrize("name", ["a", "ä.txt", ".hidden", " leading", "x" * 255, "a\nb", "...", "a:b"])
def test_plain_names_are_taken(name: str) -> None:
    RULES.check(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "trailing ", "a\t", "bad\udc80"])
def test_names_no_service_takes_are_refused(name: str) -> None:
    with pytest.raises(NameNotAllowed):
        RULES.check(name)


def test_the_length_is_counted_in_characters() -> None:
    RULES.check("ä" * 255)
    with pytest.raises(NameTooLong, match="256 characters, the service takes 255"):
        RULES.check("x" * 256)


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (NameRules(forbidden_chars=frozenset("?*")), "what?"),
        (NameRules(forbidden_names=frozenset({"con"})), "CON"),
        (NameRules(forbidden_patterns=("*.lnk",)), "A.LNK"),
        (NameRules(forbidden_first=frozenset(" ")), " a"),
    ],
)
def test_each_rule_refuses_what_it_names(rules: NameRules, name: str) -> None:
    RULES.check(name)
    with pytest.raises(NameNotAllowed):
        rules.check(name)


def test_a_service_may_take_a_trailing_space() -> None:
    NameRules(forbidden_last=frozenset()).check("a ")


def test_all_white_space_is_known() -> None:
    assert {char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()} == WHITE_SPACE
