"""Batches that are given up before they took effect: what is told of them, and how they are booked."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from daemon.commit.batchbooks import BOOKED_AT_ONCE
from mountfs.errors import MountfsError, RequestTooBig, ServerFault, Throttled, Unreachable
from mountfs.tree.booking import Books
from mountfs.tree.view import reason_of
from tests.doubles.crew import Crew
from tests.doubles.world import World

COUNT = 2 * BOOKED_AT_ONCE + 50


def remove_folders(world: World) -> None:
    for number in range(COUNT):
        world.account.mkdir(f"/d{number}")
    world.follow()
    world.names()
    for number in range(COUNT):
        world.fs.rmdir(f"/d{number}")


def write_files(world: World) -> None:
    world.mkdir("/d")
    for number in range(COUNT):
        world.put(f"/d/f{number}", b"1")


def write_files_in_folders(world: World) -> None:
    """Each file has its batch make two folders by the way."""
    for number in range(COUNT):
        world.mkdir(f"/d{number}")
        world.mkdir(f"/d{number}/e")
        world.put(f"/d{number}/e/f", b"1")


def in_the_account(world: World) -> int:
    return len(world.account.files()) + len(world.account.folders())


def booked_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many flights each transaction of the store books, from here on."""
    found = [0]
    begin = world.core.tree.store.begin

    def beginning() -> None:
        found.append(0)
        begin()

    def counted(book: Callable[..., None], *args: Any) -> None:
        found[-1] += 1
        book(*args)

    monkeypatch.setattr(world.core.tree.store, "begin", beginning)
    for name in ("acknowledge", "again", "unsent", "give_up_removal"):
        inner = getattr(Books, name)
        monkeypatch.setattr(Books, name, lambda *args, inner=inner: counted(inner, *args))
    return found


def not_answered(world: World) -> None:
    write_files(world)
    world.backend.fail("submit", ServerFault("500"))


def not_reached(world: World) -> None:
    write_files(world)
    world.backend.fail("submit", Unreachable("no route"))


def not_reached_in_folders(world: World) -> None:
    write_files_in_folders(world)
    world.backend.fail("submit", Unreachable("no route"))


def not_listed(world: World) -> None:
    remove_folders(world)
    world.backend.fail("list_folder", ServerFault("500"))


def filled_meanwhile(world: World) -> None:
    remove_folders(world)
    for number in range(COUNT):
        world.account.write(f"/d{number}/theirs", b"1")


@pytest.mark.parametrize(
    "case", [not_answered, not_reached, not_reached_in_folders, not_listed, filled_meanwhile]
)
def test_what_is_given_up_of_a_large_batch_is_booked_in_steps(
    batches: World, monkeypatch: pytest.MonkeyPatch, case: Callable[[World], None]
) -> None:
    case(batches)
    booked = booked_at_once(batches, monkeypatch)
    Crew(batches).work(lambda: not batches.pending() and not batches.core.committer.current)
    assert sum(booked) >= COUNT
    assert max(booked) <= BOOKED_AT_ONCE
    assert batches.core.tree.store.flights() == []


def test_a_batch_of_which_a_part_was_taken_back_is_sent_without_that_part(
    batches: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_folders(batches)
    batches.backend.fail("list_folder", ServerFault("500"))
    taken: list[str] = []
    unsent = Books.unsent

    def breaking(books: Books, flight: Any) -> None:
        taken.append(flight.name)
        if len(taken) == BOOKED_AT_ONCE + 10:
            raise sqlite3.OperationalError("disk I/O error")
        unsent(books, flight)

    monkeypatch.setattr(Books, "unsent", breaking)
    Crew(batches).work(lambda: not batches.pending())
    sent = [[order.place.path.name for order in orders] for orders in batches.account.submits]
    assert sorted(name for names in sent for name in names) == sorted(f"d{n}" for n in range(COUNT))
    assert in_the_account(batches) == 0


@pytest.mark.parametrize(
    ("prepare", "route", "error"),
    [
        (remove_folders, "list_folder", ServerFault("500 no listing")),
        (write_files, "submit", Unreachable("no route")),
        (write_files, "submit", Throttled("slow down")),
        (write_files, "submit", RequestTooBig("too big")),
    ],
    ids=["list_folder", "unreachable", "throttled", "too big"],
)
def test_a_batch_that_is_taken_back_says_why_at_each_of_its_entries_and_in_the_log(
    batches: World,
    prepare: Callable[[World], None],
    route: str,
    error: MountfsError,
    caplog: pytest.LogCaptureFixture,
) -> None:
    prepare(batches)
    batches.backend.fail(route, error, times=2)
    crew = Crew(batches)
    with caplog.at_level(logging.INFO, "mountfs.trouble"):
        crew.work(partial(_has_failed_twice, caplog))
        assert [str(error) in record.message for record in caplog.records] == [True]
        troubled = list(batches.core.tree.troubled.values())
        assert len(troubled) >= COUNT
        assert {reason_of(node) for node in troubled} == {str(error)}
        assert batches.core.committer.last_error == str(error)
        crew.work(lambda: not batches.pending())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert not batches.core.tree.troubled


def _has_failed_twice(caplog: pytest.LogCaptureFixture) -> bool:
    return bool(caplog.records)
