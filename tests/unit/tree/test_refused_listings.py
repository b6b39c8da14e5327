"""What the log tells of folders that the service does not list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Forbidden, MountfsError, NotFound, NotSignedIn, Offline
from mountfs.tree.node import ROOT_ID
from mountfs.tree.refusedlistings import MOST_KNOWN, MOST_LINES, PERIOD_S, RefusedListings
from tests.doubles.world import World

NO = Forbidden("not for you")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.account.write("/d/x", b"x")
    made.follow()
    assert made.names() == {"d"}
    yield made
    made.close()


def test_a_folder_that_is_refused_is_told_once_until_it_is_listed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.backend.fail("list_folder", NO, times=3)
    for _ in range(3):
        with pytest.raises(Forbidden):
            world.names("/d")
    told = 'listing-refused path=/d reason="not for you" untold=0'
    assert caplog.messages == [told]
    assert world.names("/d") == {"x"}
    world.theirs("/d/y", b"y")
    world.backend.fail("list_folder", NO)
    with pytest.raises(Forbidden):
        world.names("/d")
    assert caplog.messages == [told] * 2


def test_a_log_that_nobody_reads_on_holds_no_lock(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe as standard error takes no more once it is full."""
    held: list[bool] = []
    lock = world.core.tree.lock
    monkeypatch.setattr(caplog.handler, "emit", lambda _: held.append(lock._is_owned()))  # type: ignore[attr-defined]
    world.backend.fail("list_folder", NO)
    with pytest.raises(Forbidden):
        world.names("/d")
    assert held == [False]


@pytest.mark.parametrize(
    ("folder_id", "error", "lines"),
    [
        (7, NO, 1),
        (7, Offline("away"), 0),
        (7, NotSignedIn("expired"), 0),
        (7, NotFound("gone"), 0),
        (ROOT_ID, NotFound("gone"), 1),
    ],
)
def test_only_a_refusal_is_told(folder_id: int, error: MountfsError, lines: int) -> None:
    told = RefusedListings().refused(folder_id, "/d", error, 0.0)
    assert (told is not None) == lines


def test_many_folders_make_few_lines_and_are_counted() -> None:
    refusals = RefusedListings()
    told = [refusals.refused(10 + number, f"/{number}", NO, 0.5) for number in range(MOST_LINES + 5)]
    assert sum(line is not None for line in told) == MOST_LINES
    late = refusals.refused(10 + MOST_LINES, "/late", NO, 0.5 + PERIOD_S)
    assert str(late) == 'listing-refused path=/late reason="not for you" untold=5'


def test_what_is_known_of_folders_is_bounded() -> None:
    refusals = RefusedListings()
    for number in range(MOST_KNOWN + 5):
        refusals.refused(10 + number, "/d", NO, number * PERIOD_S)
    assert len(refusals._known) == MOST_KNOWN
