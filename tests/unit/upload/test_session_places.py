"""Where a session is bound to a path and a base, it begins only when nothing can change them any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import Busy, Offline
from mountfs.model.settling import SETTLE_S, TEMPORARY_SETTLE_S
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.upload.bodies import SMALL_LIMITS, body_of, uploader_steps

LIMITS = replace(SIDE_BY_SIDE_LIMITS, chunk_bytes=16, session_min_bytes=32)
BODY, NEWER = body_of(100), body_of(120, 7)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, limits=LIMITS)
    yield made
    made.close()


def opened(world: World) -> int:
    return world.memory.calls().get("open_session", 0)


def test_it_waits_until_the_name_has_settled(world: World) -> None:
    world.put("/f", BODY)
    uploader_steps(world, 5)
    assert opened(world) == 0
    due_s = world.core.uploader.step(world.clock.now_s())
    assert due_s == pytest.approx(world.clock.now_s() + SETTLE_S)
    world.advance(SETTLE_S)
    uploader_steps(world, 1)
    assert opened(world) == 1


def test_a_name_that_looks_temporary_settles_for_longer_and_is_sent_once_under_its_real_one(
    world: World,
) -> None:
    world.put("/.film.aB3xYz", BODY)
    world.advance(TEMPORARY_SETTLE_S - 0.1)
    uploader_steps(world, 5)
    world.rename("/.film.aB3xYz", "/film")
    world.settle()
    assert world.account.files() == {"/film": BODY}
    assert (opened(world), world.memory.calls()["append"]) == (1, 7)


def test_it_does_not_wait_while_somebody_waits_for_it(world: World) -> None:
    world.core.urgency.hurry()
    world.put("/f", BODY)
    uploader_steps(world, 1)
    assert opened(world) == 1


def test_where_sessions_have_no_places_nothing_waits(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SMALL_LIMITS)
    world.put("/f", BODY)
    uploader_steps(world, 1)
    assert opened(world) == 1
    world.close()


def test_a_file_that_is_renamed_while_it_is_sent_begins_anew_at_once(world: World) -> None:
    world.put("/f", BODY)
    world.advance(1.0)
    uploader_steps(world, 3)
    sent = world.memory.calls()["append"]
    assert 0 < sent < 7
    world.rename("/f", "/g")
    world.settle()
    assert world.account.files() == {"/g": BODY}
    assert world.memory.calls()["append"] == sent + 7
    assert world.account.sessions == {}


def test_a_later_version_waits_for_the_fate_of_the_one_that_is_being_committed(world: World) -> None:
    world.account.job_polls = 5
    world.put("/f", b"small")
    world.upload_all()
    world.advance(1.0)
    world.commit_steps(1)
    assert world.word("/f") == "committing"
    world.put("/f", NEWER)
    world.advance(1.0)
    uploader_steps(world, 5)
    assert opened(world) == 0
    world.settle()
    assert world.account.files() == {"/f": NEWER}
    assert (opened(world), world.notices()) == (1, [])


def test_a_file_in_a_new_folder_waits_for_the_folder(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", BODY)
    world.advance(1.0)
    uploader_steps(world, 5)
    assert opened(world) == 0
    world.settle()
    assert world.account.files() == {"/d/f": BODY}


def test_a_new_folder_that_is_renamed_takes_its_files_along_unsent(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", BODY)
    uploader_steps(world, 5)
    world.rename("/d", "/e")
    world.settle()
    assert world.account.files() == {"/e/f": BODY}
    assert world.account.folders() == {"/e"}
    assert opened(world) == 1


def test_a_file_in_a_folder_that_is_being_renamed_waits_for_the_rename(world: World) -> None:
    world.account.mkdir("/d")
    world.put("/d/old", b"old")
    world.settle()
    world.rename("/d", "/e")
    world.put("/e/f", BODY)
    world.advance(1.0)
    uploader_steps(world, 5)
    assert opened(world) == 0
    world.settle()
    assert world.account.files() == {"/e/old": b"old", "/e/f": BODY}
    assert world.account.folders() == {"/e"}


def test_a_file_where_a_file_is_being_made_a_folder_waits_for_that(world: World) -> None:
    world.put("/f", b"file")
    world.settle()
    world.fs.unlink("/f")
    world.mkdir("/f")
    world.put("/f/big", BODY)
    world.advance(1.0)
    uploader_steps(world, 5)
    assert opened(world) == 0
    world.settle()
    assert world.account.files() == {"/f/big": BODY}
    assert world.notices() == []


def test_it_waits_while_what_comes_before_it_is_put_off_and_the_end_of_that_is_noticed(world: World) -> None:
    woken: list[None] = []
    world.core.uploader.wake = lambda: woken.append(None)
    world.account.mkdir("/d")
    world.rename("/d", "/e")
    world.put("/e/f", BODY)
    world.advance(1.0)
    uploader_steps(world, 5)
    assert opened(world) == 0
    woken.clear()
    world.backend.refuse("/e", Busy("locked"))
    world.commit_steps(1)
    assert woken == []
    world.advance(60.0)
    world.commit_steps(3)  # the rename takes effect, and the plan comes to what waited for it
    assert world.word("/e") == "clean"
    assert woken
    uploader_steps(world, 1)
    assert opened(world) == 1
    world.settle()
    assert world.account.files() == {"/e/f": BODY}


def test_a_session_of_a_former_process_is_taken_up_without_waiting(world: World) -> None:
    world.put("/f", BODY)
    world.advance(1.0)
    uploader_steps(world, 3)
    sent = world.memory.calls()["append"]
    world.restart()
    world.settle()
    assert world.account.files() == {"/f": BODY}
    assert (opened(world), world.memory.calls()["append"]) == (1, 7)
    assert sent < 7
    assert world.pending() == []


def test_a_session_for_another_place_is_given_up_with_its_parts(world: World) -> None:
    """`rm f; mv g f`, when all of g is up: f gets a new version, for which the session of g is none."""
    world.put("/f", b"old")
    world.settle()
    world.put("/g", NEWER)
    world.advance(1.0)
    uploader_steps(world, 12)
    parts, content = world.core.tree.store.parts, world.state("/g").content
    assert content is not None
    assert world.word("/g") == "uploaded"
    assert len(parts.of(content.id)) == 8
    world.fs.unlink("/f")
    world.rename("/g", "/f")
    world.backend.fail("submit", Offline("no answer"))
    world.advance(1.0)
    world.commit_steps(2)
    taken_over = world.state("/f").content
    assert taken_over is not None
    assert (taken_over.id, taken_over.session, parts.of(content.id)) == (content.id, None, ())
    world.settle()
    assert world.account.files() == {"/f": NEWER}
    assert world.account.sessions == {}
