"""Taking over what another mount of the account left."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from daemon.control.pending import what_changes
from daemon.core import Foundation, Settings, lay
from daemon.process.adoption import adopt, identify
from mountfs.attributes import Caller
from mountfs.errors import Forbidden, Offline
from mountfs.model.path import RemotePath
from mountfs.spool.quota import Quota
from mountfs.tree import order
from mountfs.tree.discard import Discard
from mountfs.tree.strays import set_aside_directory
from mountfs.tree.view import reason_of
from mountfs.tree.word import word_of
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.soundness import faults_of
from tests.doubles.world import HOST, World
from tests.shallow import DEEP, shallow_stack

HOUR_NS = 3600 * 10**9


class Estate:
    """Two mounts of one account: *theirs* ends, and *ours* begins with what it left."""

    def __init__(self, directory: Path, account: MemoryAccount, **settings: Any) -> None:
        self._settings = settings
        self.account = account
        self.directory = directory
        self.theirs = self._world("theirs")
        self.ours = self._world("ours")

    def _world(self, name: str) -> World:
        (self.directory / name).mkdir()
        return World(self.directory / name, self.account, settings=self._settings)

    @property
    def their_directory(self) -> Path:
        return self.theirs.directory

    def take_over(self) -> World:
        """The next process of ours, which takes over what is left of theirs; killed, both of them."""
        self.theirs.close()
        self.ours.places = replace(self.ours.places, is_shared=self._is_theirs_too)
        self.ours.on_laid = self.adopt
        self.ours.restart()
        self.ours.on_laid = lambda _foundation: None
        return self.ours

    def _is_theirs_too(self, name: str) -> bool:
        return (self.theirs.places.spool / name).exists()

    def adopt(self, foundation: Foundation) -> None:
        adopt(foundation, self.lay_theirs(), self.their_directory)

    def lay_theirs(self) -> Foundation:
        theirs = self.theirs
        settings = Settings(boot_id=theirs.boot_id, host=HOST, quota=Quota(reserve_bytes=0))
        return lay(theirs.places, theirs.backend, theirs.clock, theirs.disk, settings)

    def close(self) -> None:
        self.ours.close()


@pytest.fixture(params=["one batch at a time", "several calls side by side"])
def estate(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Estate]:
    limits = MEMORY_LIMITS if request.param == "one batch at a time" else SIDE_BY_SIDE_LIMITS
    made = Estate(tmp_path, MemoryAccount(limits))
    yield made
    made.close()


# What is taken over


def test_everything_that_they_left_is_shown_and_sent(estate: Estate) -> None:
    estate.account.write("/old/removed", b"1")
    estate.account.write("/old/renamed", b"2")
    estate.account.write("/old/changed", b"3")
    theirs = estate.theirs
    theirs.fs.unlink("/old/removed")
    theirs.rename("/old/renamed", "/new name")
    theirs.put("/old/changed", b"changed")
    theirs.mkdir("/empty")
    theirs.mkdir("/made")
    theirs.put("/made/f", b"4")
    expected = theirs.tree()
    assert expected == {
        "/old": None,
        "/old/changed": b"changed",
        "/new name": b"2",
        "/empty": None,
        "/made": None,
        "/made/f": b"4",
    }
    ours = estate.take_over()
    assert ours.tree() == expected
    ours.settle()
    assert ours.remote() == expected
    assert ours.pending() == []
    assert ours.notices() == []


def test_what_is_pending_of_ours_goes_on_beside_it(estate: Estate) -> None:
    estate.ours.put("/ours", b"1")
    estate.theirs.put("/theirs", b"2")
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/ours": b"1", "/theirs": b"2"}


def test_nothing_is_left_where_it_came_from(estate: Estate) -> None:
    estate.theirs.put("/f", b"x")
    estate.take_over()
    left = {path.name for path in estate.their_directory.iterdir()}
    assert not left & {"journal.db", "journal.db-wal", "journal.db-shm", "spool"}


def test_bytes_that_are_at_the_service_already_are_not_sent_again(estate: Estate) -> None:
    estate.theirs.put("/f", b"x" * 100)
    estate.theirs.upload_all()
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/f": b"x" * 100}
    calls = ours.memory.calls()
    assert not {"append_pack", "upload_whole", "append", "open_session"} & calls.keys()


def test_a_rename_over_a_file_that_was_still_to_be_sent_is_still_one_file(estate: Estate) -> None:
    estate.theirs.put("/t", b"1")
    estate.theirs.put("/f", b"2")
    estate.theirs.rename("/t", "/f")
    ours = estate.take_over()
    assert ours.tree() == {"/f": b"1"}
    ours.settle()
    assert ours.remote() == {"/f": b"1"}
    assert ours.revisions_of("/f") == 1


def test_a_save_by_rename_keeps_the_id_and_the_history_of_the_file(estate: Estate) -> None:
    before = estate.account.write("/f", b"old")
    estate.theirs.put("/t", b"new")
    estate.theirs.rename("/t", "/f")
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/f": b"new"}
    assert ours.file("/f").id == before.id


def test_names_that_are_exchanged_are_still_exchanged(estate: Estate) -> None:
    estate.account.write("/a", b"a")
    estate.account.write("/b", b"b")
    estate.theirs.rename("/a", "/x")
    estate.theirs.rename("/b", "/a")
    estate.theirs.rename("/x", "/b")
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/a": b"b", "/b": b"a"}


def test_times_the_service_cannot_keep_are_taken_over(estate: Estate) -> None:
    estate.account.mkdir("/d")
    file = estate.account.write("/f", b"x")
    theirs = estate.theirs
    theirs.settle()
    theirs.touch("/d", 5 * HOUR_NS)
    theirs.touch("/f", 6 * HOUR_NS)
    theirs.settle()
    is_kept = estate.account.get("/f") == file
    ours = estate.take_over()
    assert ours.fs.getattr("/d").mtime_ns == 5 * HOUR_NS
    if is_kept:
        assert ours.fs.getattr("/f").mtime_ns == 6 * HOUR_NS
    ours.settle()
    assert ours.fs.getattr("/d").mtime_ns == 5 * HOUR_NS


def test_a_time_of_theirs_does_not_replace_one_of_ours(estate: Estate) -> None:
    estate.account.mkdir("/d")
    estate.ours.touch("/d", 7 * HOUR_NS)
    estate.theirs.touch("/d", 5 * HOUR_NS)
    ours = estate.take_over()
    assert ours.fs.getattr("/d").mtime_ns == 7 * HOUR_NS


def test_a_time_that_was_kept_of_other_bytes_is_not_taken_over(tmp_path: Path) -> None:
    estate = Estate(tmp_path, MemoryAccount())
    estate.account.write("/f", b"old")
    estate.theirs.put("/f", b"old")
    estate.theirs.touch("/f", 6 * HOUR_NS)
    estate.theirs.settle()
    changed = estate.account.write("/f", b"new", 9 * HOUR_NS)
    assert estate.ours.names() == {"f"}
    ours = estate.take_over()
    assert ours.fs.getattr("/f").mtime_ns == changed.mtime_ns
    estate.close()


def test_upload_sessions_that_are_to_be_ended_are_taken_over(estate: Estate) -> None:
    theirs, ours = estate.theirs, estate.ours
    sessions = [estate.account.start_session(is_large=True) for _ in range(2)]
    ours.core.tree.add_orphan(sessions[0])
    theirs.core.tree.add_orphan(sessions[1])
    theirs.put("/g", b"x" * 100)
    theirs.upload_all()
    ours = estate.take_over()
    assert ours.core.tree.store.orphans.all() == sessions
    ours.settle()
    assert estate.account.sessions == {}
    assert ours.remote() == {"/g": b"x" * 100}


@pytest.mark.parametrize("is_listed_here", [False, True], ids=["unknown here", "listed here"])
def test_folders_that_they_turned_inside_out_are_taken_over(estate: Estate, is_listed_here: bool) -> None:
    """Of two folders each is above the other, here or at the service; and a new one is in between."""
    estate.account.write("/a/b/f", b"1")
    theirs = estate.theirs
    assert theirs.get("/a/b/f") == b"1"
    if is_listed_here:
        assert estate.ours.get("/a/b/f") == b"1"
    theirs.rename("/a/b", "/b")
    theirs.mkdir("/b/new")
    theirs.rename("/a", "/b/new/a")
    theirs.put("/b/new/a/g", b"2")
    expected = theirs.tree()
    assert expected["/b/new/a/g"] == b"2"
    ours = estate.take_over()
    assert ours.tree() == expected
    ours.settle()
    assert ours.remote() == expected
    assert ours.pending() == []


def test_what_lies_deep_is_taken_over(tmp_path: Path) -> None:
    """Deeper than Python calls itself."""
    estate = Estate(tmp_path, MemoryAccount())
    theirs, path, folder = estate.theirs, "", estate.theirs.node("/")
    for _ in range(DEEP):
        path += "/d"
        estate.account.mkdir(path)
    with shallow_stack():
        for _ in range(DEEP):
            (folder,) = theirs.core.view.children(folder)
        theirs.put(f"{path}/f", b"1")
        ours = estate.take_over()
        assert ours.get(f"{path}/f") == b"1"
    estate.close()


# What they had sent


def test_outcomes_of_a_running_job_still_meet_what_was_sent(tmp_path: Path) -> None:
    """They are told by position: one of the two was refused because somebody else had the name."""
    estate = Estate(tmp_path, MemoryAccount())
    theirs = estate.theirs
    for name in "ab":
        estate.account.write(f"/{name}", name.encode())
    theirs.names()
    for name in "ab":
        theirs.rename(f"/{name}", f"/{name}2")
    estate.account.write("/b2", b"somebody else's")
    estate.account.job_polls = 3
    while not theirs.core.committer.current:
        theirs.advance(0.1)
        theirs.core.committer.step(theirs.clock.now_s())
    ours = estate.take_over()
    assert [current.entries for current in ours.core.committer.current] == [2]
    ours.settle()
    files = estate.account.files()
    assert (files["/a2"], files["/b2"]) == (b"a", b"somebody else's")
    assert b"b" in files.values()
    assert sum(_moves(order, "/a") for batch in estate.account.submits for order in batch) == 1
    estate.close()


def _moves(order: Any, source: str) -> bool:
    return getattr(order, "source", None) is not None and order.source.path == RemotePath(source)


def test_what_was_sent_and_took_effect_is_not_sent_again(estate: Estate) -> None:
    theirs = estate.theirs
    theirs.put("/f", b"x")
    theirs.upload_all()
    estate.account.job_polls = 100
    while "/f" not in estate.account.files():
        theirs.advance(0.1)
        theirs.core.committer.step(theirs.clock.now_s())
    estate.account.lose_jobs()
    ours = estate.take_over()
    ours.settle()
    assert ours.pending() == []
    assert ours.revisions_of("/f") == 1
    assert len(estate.account.submits) == 1


# What was refused


def test_what_was_refused_is_still_listed_and_readable(estate: Estate) -> None:
    estate.theirs.backend.refuse("/f", Forbidden("not here"), times=20)
    estate.theirs.put("/f", b"x")
    estate.theirs.settle()
    assert estate.theirs.word("/f") == "failed"
    ours = estate.take_over()
    ours.settle()
    assert ours.word("/f") == "failed"
    assert ours.get("/f") == b"x"
    assert ours.remote() == {}


def test_a_refused_rename_is_still_listed(estate: Estate) -> None:
    estate.account.write("/f", b"x")
    estate.theirs.backend.refuse("/g", Forbidden("not here"), times=20)
    estate.theirs.rename("/f", "/g")
    estate.theirs.settle()
    assert estate.theirs.word("/f") == "failed"
    ours = estate.take_over()
    assert ours.word("/f") == "failed"
    assert [word_of(node) for node in ours.core.tree.refused.values()] == [word_of(ours.node("/f"))]


@pytest.mark.parametrize("now", ["/A", "/d/a"])
@pytest.mark.parametrize("what", ["a folder is renamed", "a file is renamed", "a file is written"])
def test_what_others_moved_before_they_died_stays_where_ours_has_heard_that_it_is(
    estate: Estate, what: str, now: str
) -> None:
    account, ours, theirs = estate.account, estate.ours, estate.theirs
    account.mkdir("/d")
    account.write("/a/f" if what == "a folder is renamed" else "/a", b"1")
    for world in (ours, theirs):
        world.follow()
        world.tree()
    if what == "a file is written":
        theirs.put("/a", b"2")
    else:
        theirs.rename("/a", "/x")
        ours.backend.refuse("/x", Forbidden("not here"), times=20)
    account.move("/a", now)
    ours.follow()
    ours.tree()
    ours = estate.take_over()
    ours.settle()
    inside = "/f" if what == "a folder is renamed" else ""
    assert account.files() == {f"{now}{inside}": b"2" if what == "a file is written" else b"1"}
    assert ours.tree() == ours.remote()
    assert ours.pending() == []
    assert faults_of(ours.core.tree) == []


# Both changed the same


def test_where_both_made_the_same_name_theirs_is_set_beside_ours(estate: Estate) -> None:
    estate.ours.put("/f.txt", b"ours")
    estate.theirs.put("/f.txt", b"theirs")
    ours = estate.take_over()
    ours.settle()
    remote = ours.remote()
    assert remote.pop("/f.txt") == b"ours"
    [(copy, body)] = remote.items()
    assert copy.startswith("/f (conflicted copy ")
    assert body == b"theirs"
    assert [copy[1:] in notice for notice in ours.notices()] == [True]


def test_where_both_changed_the_same_file_theirs_is_set_beside_ours(estate: Estate) -> None:
    estate.account.write("/f.txt", b"old")
    estate.ours.put("/f.txt", b"ours")
    estate.theirs.put("/f.txt", b"theirs")
    ours = estate.take_over()
    ours.settle()
    remote = ours.remote()
    assert remote.pop("/f.txt") == b"ours"
    assert list(remote.values()) == [b"theirs"]


def test_folders_that_both_made_become_one(estate: Estate) -> None:
    estate.ours.mkdir("/d")
    estate.ours.put("/d/a", b"1")
    estate.theirs.mkdir("/d")
    estate.theirs.put("/d/b", b"2")
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/d": None, "/d/a": b"1", "/d/b": b"2"}
    assert ours.notices() == []


def test_a_folder_of_theirs_that_somebody_else_has_made_meanwhile_shows_what_is_in_it(
    estate: Estate,
) -> None:
    estate.theirs.names()
    estate.theirs.mkdir("/d")
    estate.theirs.put("/d/theirs", b"theirs")
    estate.account.write("/d/sub/known", b"known")
    for path in ("/", "/d", "/d/sub"):
        estate.ours.names(path)
    ours = estate.take_over()
    assert ours.names("/d") == {"sub", "theirs"}
    assert ours.get("/d/sub/known") == b"known"
    assert faults_of(ours.core.tree) == []
    ours.settle()
    assert ours.remote() == {"/d": None, "/d/sub": None, "/d/sub/known": b"known", "/d/theirs": b"theirs"}


@pytest.mark.parametrize("what", ["removed", "renamed", "written"])
@pytest.mark.parametrize("is_changed", [True, False])
@pytest.mark.parametrize("is_folder", [True, False])
def test_what_they_knew_as_a_file_and_ours_as_a_folder_comes_to_one(
    estate: Estate, what: str, *, is_folder: bool, is_changed: bool
) -> None:
    """*is_folder*: theirs is one; *is_changed*: ours waits with a change. Which of both the service has by
    now, nobody has heard yet."""

    def others_make(*, is_folder: bool) -> None:
        estate.account.remove("/d/it")
        if is_folder:
            estate.account.mkdir("/d/it")
        else:
            estate.account.write("/d/it", b"theirs")

    others_make(is_folder=not is_folder)
    for world in (estate.ours, estate.theirs):
        world.follow()
    estate.ours.tree()
    if is_changed:
        estate.ours.put("/d/it" if is_folder else "/d/it/new", b"also ours")
    others_make(is_folder=is_folder)
    theirs = estate.theirs
    theirs.tree()
    if what == "renamed":
        theirs.rename("/d/it", "/d/renamed")
    elif what == "written":
        theirs.put("/d/it/new" if is_folder else "/d/it", b"ours")
    elif is_folder:
        theirs.fs.rmdir("/d/it")
    else:
        theirs.fs.unlink("/d/it")
    world = estate.take_over()
    assert faults_of(world.core.tree) == []
    for _ in range(3):
        world.follow()
        world.tree()
        world.settle()
    assert faults_of(world.core.tree) == []
    assert world.tree() == world.remote()
    assert world.pending() == []
    assert what != "written" or b"ours" in world.tree().values()
    assert not is_changed or b"also ours" in world.tree().values()


@pytest.mark.parametrize("is_replaced", [False, True], ids=["free", "a new one has the name"])
def test_a_folder_that_was_removed_here_is_there_again_for_what_they_put_into_it(
    estate: Estate, is_replaced: bool
) -> None:
    estate.account.mkdir("/a")
    estate.account.mkdir("/a/b")
    estate.account.write("/moved", b"moved")
    ours, theirs = estate.ours, estate.theirs
    assert ours.names("/a") == {"b"}
    ours.fs.rmdir("/a/b")
    ours.fs.rmdir("/a")
    if is_replaced:
        ours.mkdir("/other")
        ours.put("/other/g", b"ours")
        ours.rename("/other", "/a")
    theirs.put("/a/b/f", b"theirs")
    theirs.rename("/moved", "/a/b/moved")
    theirs.mkdir("/a/b/new")
    expected = {
        "/a": None,
        "/a/b": None,
        "/a/b/f": b"theirs",
        "/a/b/moved": b"moved",
        "/a/b/new": None,
        **({"/a/g": b"ours"} if is_replaced else {}),
    }
    ours = estate.take_over()
    assert ours.tree() == expected
    ours.settle()
    assert ours.remote() == expected
    assert ours.pending() == []


@pytest.mark.parametrize("is_file", [True, False], ids=["a file", "a folder"])
def test_a_folder_that_they_removed_stays_where_ours_has_something_in_it(
    estate: Estate, is_file: bool
) -> None:
    for path in ("/a/b/c", "/a/b/d", "/e/f"):
        estate.account.mkdir(path)
    estate.account.write("/a/b/theirs", b"1")
    ours, theirs = estate.ours, estate.theirs
    for world in (ours, theirs):
        for path in ("/a/b/c", "/a/b/d", "/e/f"):
            assert world.names(path) == set()
    if is_file:
        ours.put("/a/b/c/ours", b"2")
    else:
        ours.mkdir("/a/b/c/ours")
    theirs.fs.unlink("/a/b/theirs")
    for path in ("/a/b/c", "/a/b/d", "/a/b", "/a", "/e/f", "/e"):
        theirs.fs.rmdir(path)
    expected = {"/a": None, "/a/b": None, "/a/b/c": None, "/a/b/c/ours": b"2" if is_file else None}
    ours = estate.take_over()
    assert ours.tree() == expected
    ours.settle()
    assert ours.remote() == expected
    assert ours.pending() == []


def test_a_folder_that_they_removed_stays_where_ours_knows_of_a_file_that_they_had_not_heard_of(
    estate: Estate,
) -> None:
    estate.account.mkdir("/a/b")
    estate.account.mkdir("/a/c")
    ours, theirs = estate.ours, estate.theirs
    for world in (ours, theirs):
        assert (world.names("/a/b"), world.names("/a/c")) == (set(), set())
    for path in ("/a/b", "/a/c", "/a"):
        theirs.fs.rmdir(path)
    ours.put("/a/b/ours", b"1")
    ours.settle()
    ours = estate.take_over()
    assert faults_of(ours.core.tree) == []
    expected = {"/a": None, "/a/b": None, "/a/b/ours": b"1"}
    assert ours.tree() == expected
    ours.settle()
    assert ours.remote() == ours.tree() == expected
    assert ours.pending() == []
    assert ours.notices() == ["not removed: somebody else changed it meanwhile"] * 2


def emptied(estate: Estate, *folders: str) -> World:
    """Theirs, killed before it has removed *folders*, the inner ones first, of which it has removed the file.
    Ours has not heard that any of these is gone."""
    ours, theirs = estate.ours, estate.theirs
    for folder in folders:
        estate.account.write(f"{folder}/f", b"1")
    for folder in folders:
        for world in (ours, theirs):
            assert "f" in world.names(folder)
        theirs.fs.unlink(f"{folder}/f")
    theirs.settle()
    for folder in folders:
        theirs.fs.rmdir(folder)
    return theirs


def test_folders_that_they_emptied_and_removed_go_where_ours_had_not_heard_of_that(estate: Estate) -> None:
    emptied(estate, "/d/b/c", "/d/b", "/d/e", "/d")
    ours = estate.take_over()
    ours.core.feed.note_follower(is_healthy=False, is_away=True)
    known = {"/d", "/d/f", "/d/b", "/d/b/f", "/d/b/c", "/d/b/c/f", "/d/e", "/d/e/f"}
    assert ours.tree().keys() == known
    assert set(ours.pending()) == {(path, "uploaded") for path in ("/d/e", "/d/b/c", "/d/b", "/d")}
    assert what_changes(ours.node("/d")) == "removed"
    ours.restart()
    ours.settle()
    assert ours.tree() == ours.remote() == {}
    assert ours.notices() == []
    assert faults_of(ours.core.tree) == []


@pytest.mark.parametrize("is_link", [False, True], ids=["a file", "a symbolic link"])
def test_what_is_put_into_a_folder_that_they_removed_stays_in_one_that_is_made_anew(
    estate: Estate, *, is_link: bool
) -> None:
    emptied(estate, "/d")
    ours, removed = estate.take_over(), estate.account.get("/d")
    if is_link:
        ours.fs.symlink("/d/new", "target")
    else:
        ours.put("/d/new", b"2")
    ours.settle()
    ours.follow()
    assert ours.remote() == ({"/d": None} if is_link else {"/d": None, "/d/new": b"2"})
    assert ours.names("/d") == {"new"}
    assert ours.pending() == []
    made = estate.account.get("/d")
    assert removed is not None
    assert made is not None
    assert made.id != removed.id
    assert faults_of(ours.core.tree) == []


@pytest.mark.parametrize("how", ["renamed", "discarded", "removed"])
def test_what_somebody_here_does_with_a_folder_that_they_removed_counts(estate: Estate, how: str) -> None:
    emptied(estate, "/d")
    ours = estate.take_over()
    expected: dict[str, bytes | None] = {"/d": None}
    if how == "renamed":
        ours.rename("/d", "/mine")
        expected = {"/mine": None}
    elif how == "discarded":
        core = ours.core
        Discard(core.tree, core.listings, core.copies).run(ours.node("/d"), is_trial=False)
    else:
        ours.follow()
        assert ours.names("/d") == set()
        ours.fs.rmdir("/d")
        expected = {}
    ours.settle()
    ours.follow()
    assert ours.remote() == ours.tree() == expected
    assert ours.pending() == []


def test_two_folders_that_they_removed_do_not_wait_for_each_other(estate: Estate) -> None:
    """What is moved into such a folder waits for its removal, which waits for what leaves it."""
    emptied(estate, "/d", "/e")
    for folder in ("/d", "/e"):
        estate.account.write(f"{folder}/others", folder.encode())
        estate.ours.follow()
        assert "others" in estate.ours.names(folder)
    ours = estate.take_over()
    ours.rename("/d/others", "/e/x")
    ours.rename("/e/others", "/d/y")
    ours.settle()
    assert ours.remote() == ours.tree() == {"/d": None, "/d/y": b"/e", "/e": None, "/e/x": b"/d"}
    assert ours.pending() == []


def test_a_folder_that_they_removed_and_others_too_is_only_a_new_one_for_what_is_put_into_it(
    estate: Estate,
) -> None:
    emptied(estate, "/d")
    ours = estate.take_over()
    ours.put("/d/new", b"2")
    estate.account.remove("/d")
    ours.follow()
    assert ours.state("/d").base is None
    assert reason_of(ours.node("/d")) == ""
    assert ours.core.tree.refused == {}
    ours.settle()
    assert ours.remote() == ours.tree() == {"/d": None, "/d/new": b"2"}
    assert ours.notices() == []


def steps_of_order(directory: Path, count: int) -> float:
    """How many steps of Python ``order`` takes for each of *count* pairs of folders that they removed."""
    directory.mkdir()
    estate = Estate(directory, MemoryAccount())
    emptied(estate, *(f"/{number}{inner}" for number in range(count) for inner in ("/sub", "")))
    ours, steps = estate.take_over(), 0

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        frame.f_trace_opcodes = frame.f_code.co_filename == order.__file__
        return each if frame.f_trace_opcodes else None

    def each(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal steps
        steps += event == "opcode"
        return each

    ours.restart()  # the ones above come before those in them then
    before = sys.gettrace()
    sys.settrace(enter)
    ours.settle()
    sys.settrace(before)
    assert ours.remote() == {}
    estate.close()
    return steps / count


def test_folders_that_they_removed_take_as_many_steps_each_however_many_there_are(tmp_path: Path) -> None:
    steps_of_order(tmp_path / "first", 1)  # Python 3.12 counts only where a trace of before has asked for it
    few = steps_of_order(tmp_path / "few", 5)
    assert 0 < steps_of_order(tmp_path / "many", 40) < 1.2 * few


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_folder_whose_removal_they_had_sent_is_not_made_again_for_what_they_had_removed(
    estate: Estate, *, took_effect: bool
) -> None:
    theirs = emptied(estate, "/d")
    theirs.backend.fail("submit", Offline("lost"), after=took_effect)
    while not theirs.core.committer.current:
        theirs.advance(0.1)
        theirs.core.committer.step(theirs.clock.now_s())
    assert theirs.remote() == ({} if took_effect else {"/d": None})
    ours = estate.take_over()
    ours.settle()
    ours.follow()
    assert ours.tree() == ours.remote() == {}
    assert ours.pending() == []
    assert faults_of(ours.core.tree) == []


@pytest.mark.parametrize("is_refused", [False, True], ids=["took effect", "refused"])
@pytest.mark.parametrize("is_renamed", [False, True], ids=["filled here", "renamed here"])
def test_a_folder_whose_removal_they_had_sent_keeps_its_place_and_what_ours_has_in_it(
    tmp_path: Path, is_renamed: bool, is_refused: bool
) -> None:
    estate = Estate(tmp_path, MemoryAccount(SIDE_BY_SIDE_LIMITS))
    account, ours, theirs = estate.account, estate.ours, estate.theirs
    for path in ("/a", "/b", "/b/c"):
        account.mkdir(path)
    for world in (ours, theirs):
        assert (world.names(), world.names("/a"), world.names("/b")) == ({"a", "b"}, set(), {"c"})
    theirs.fs.rmdir("/a")
    account.clock, account.job_s = ours.clock, 6.0
    while not theirs.core.committer.current:
        theirs.advance(0.1)
        theirs.core.committer.step(theirs.clock.now_s())
    if is_renamed:
        ours.rename("/a", "/new")
    top = "/new" if is_renamed else "/a"
    ours.rename("/b/c", f"{top}/c")
    ours.fs.rmdir("/b")
    if is_refused:
        account.write("/a/others", b"others'")
    ours = estate.take_over()
    ours.settle()
    ours.names()
    assert ours.pending() == []
    assert faults_of(ours.core.tree) == []
    expected = {top: None, f"{top}/c": None, **({f"{top}/others": b"others'"} if is_refused else {})}
    assert ours.remote() == ours.tree() == expected
    estate.close()


def test_what_they_removed_does_not_bring_a_folder_back_that_was_removed_here(estate: Estate) -> None:
    estate.account.write("/a/f", b"1")
    ours, theirs = estate.ours, estate.theirs
    for world in (ours, theirs):
        assert world.names("/a") == {"f"}
        world.fs.unlink("/a/f")
    ours.fs.rmdir("/a")
    ours = estate.take_over()
    assert ours.tree() == {}
    ours.settle()
    assert ours.remote() == {}
    assert ours.pending() == []


@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_folder_that_was_removed_here_is_there_again_for_what_only_they_know_in_it(
    estate: Estate, *, is_renamed: bool
) -> None:
    """They removed c/b/a; nobody here has seen b, which is there to be shown."""
    ours, theirs = estate.ours, estate.theirs
    estate.account.mkdir("/c")
    assert ours.names() == {"c"}
    assert ours.names("/c") == set()
    estate.account.mkdir("/c/b/a")
    assert theirs.names("/c/b") == {"a"}
    theirs.fs.rmdir("/c/b/a")
    if is_renamed:
        ours.rename("/c", "/C")
    ours.fs.rmdir("/C" if is_renamed else "/c")
    ours = estate.take_over()
    assert faults_of(ours.core.tree) == []
    for _ in range(3):
        ours.settle()
        ours.follow()
    assert ours.tree() == ours.remote() == {"/c": None, "/c/b": None}
    assert ours.pending() == []


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(estate: Estate) -> None:
    estate.account.write("/f.txt", b"old")
    estate.theirs.put("/f.txt", b"theirs")
    estate.account.write("/f.txt", b"somebody else's")
    assert estate.ours.get("/f.txt") == b"somebody else's"
    ours = estate.take_over()
    ours.settle()
    remote = ours.remote()
    assert remote.pop("/f.txt") == b"somebody else's"
    assert list(remote.values()) == [b"theirs"]


# When it is interrupted


def test_what_was_taken_over_already_is_not_taken_over_again(estate: Estate, tmp_path: Path) -> None:
    estate.theirs.put("/f", b"x")
    with estate.theirs.core.tree.transaction():
        identify(estate.theirs.core.tree.store)
    estate.theirs.close()
    shutil.copytree(estate.their_directory, tmp_path / "as it was")
    estate.theirs.start()
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/f": b"x"}
    ours.fs.unlink("/f")
    shutil.rmtree(estate.their_directory)
    shutil.copytree(tmp_path / "as it was", estate.their_directory)
    # As if the process had died before it removed what it had taken over.
    ours.on_laid = estate.adopt
    ours.restart()
    ours.settle()
    assert ours.remote() == {}
    assert ours.tree() == {}


def test_files_that_a_killed_mount_had_linked_before_its_rows_are_taken_over_once(estate: Estate) -> None:
    estate.theirs.mkdir("/d")
    for path in ("/f", "/d/g"):
        estate.theirs.put(path, path.encode())
    estate.theirs.close()
    for file in estate.theirs.places.spool.iterdir():
        os.link(file, estate.ours.places.spool / file.name)
    estate.theirs.start()
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/d": None, "/d/g": b"/d/g", "/f": b"/f"}
    assert {path: ours.revisions_of(path) for path in ("/f", "/d/g")} == {"/f": 1, "/d/g": 1}
    assert ours.notices() == []
    assert ours.core.spool.names() == []
    assert not set_aside_directory(ours.places.spool).exists()


def test_what_cannot_be_taken_over_as_a_whole_stays_where_it_is_as_a_whole(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        estate.theirs.put(f"/{name}", name.encode())
    linked: list[str] = []
    link: Callable[..., None] = os.link

    def fail_second(source: Any, target: Any) -> None:
        linked.append(str(target))
        if len(linked) == 2:
            raise OSError(5, "Input/output error")
        link(source, target)

    monkeypatch.setattr("daemon.process.adoptednodes.os.link", fail_second)

    def try_to_adopt(foundation: Foundation) -> None:
        with pytest.raises(OSError, match="Input/output error"):
            estate.adopt(foundation)

    estate.theirs.close()
    estate.ours.on_laid = try_to_adopt
    estate.ours.restart()
    assert estate.ours.tree() == {}
    assert estate.ours.pending() == []
    assert estate.ours.core.spool.names() == []
    estate.theirs.start()
    assert estate.theirs.tree() == {"/a": b"a", "/b": b"b", "/c": b"c"}
    ours = estate.take_over()
    ours.settle()
    assert ours.remote() == {"/a": b"a", "/b": b"b", "/c": b"c"}
    assert ours.notices() == []


def test_a_row_of_theirs_that_names_a_file_elsewhere_costs_nobody_the_others(estate: Estate) -> None:
    outside = estate.their_directory / "outside"
    outside.write_bytes(b"secret")
    estate.theirs.put("/bad", b"theirs")
    estate.theirs.put("/good", b"good")
    estate.theirs.core.durability.save()
    with sqlite3.connect(estate.theirs.places.store) as db:
        bad = "UPDATE contents SET spool = '../outside' WHERE size_bytes = 6"
        assert db.execute(bad).rowcount == 1
    db.close()
    ours = estate.take_over()
    ours.settle()
    # What no row names says itself whose it is: the label of the spool file.
    copy = "/bad (recovered copy testhost 2023-11-14)"
    assert estate.account.files() == {"/good": b"good", copy: b"theirs"}
    assert outside.read_bytes() == b"secret"
    assert ours.state("/bad").refusal is not None


def test_an_edited_file_that_is_not_filled_is_taken_over_with_its_gaps(tmp_path: Path) -> None:
    estate = Estate(tmp_path, MemoryAccount(), small_bytes=0)
    estate.account.write("/f", b"0123456789")
    number = estate.theirs.open("/f", os.O_WRONLY)
    estate.theirs.fs.write(number, 3, b"abc")
    estate.theirs.close_file(number)
    estate.account.write("/f", b"somebody else's")
    ours = estate.take_over()
    assert b"012abc6789" in ours.tree().values()
    ours.settle()
    assert sorted(estate.account.files().values()) == [b"012abc6789", b"somebody else's"]
    assert ours.core.tree.store.gaps.contents() == []
    estate.close()


def test_modes_and_owners_are_taken_over(estate: Estate) -> None:
    estate.account.write("/clean", b"1")
    theirs, anna = estate.theirs, Caller(1001, 1002)
    theirs.fs.metadata.chmod("/clean", 0o640)
    number = theirs.fs.create("/key", os.O_WRONLY | os.O_CREAT, 0o600, anna).number
    theirs.fs.write(number, 0, b"2")
    theirs.close_file(number)
    theirs.fs.mkdir("/d", 0o700, anna)
    ours = estate.take_over()
    told = {name: ours.fs.getattr(f"/{name}") for name in ("clean", "key", "d")}
    assert {name: stat.S_IMODE(each.mode) for name, each in told.items()} == {
        "clean": 0o640,
        "key": 0o600,
        "d": 0o700,
    }
    assert (told["key"].uid, told["d"].gid) == anna


def test_links_and_fifos_are_taken_over(estate: Estate) -> None:
    theirs = estate.theirs
    theirs.mkdir("/d")
    theirs.fs.symlink("/d/link", "target")
    theirs.fs.mknod("/fifo", stat.S_IFIFO | 0o600)
    ours = estate.take_over()
    assert ours.fs.readlink("/d/link") == "target"
    assert ours.fs.getattr("/fifo").mode == stat.S_IFIFO | 0o600
    ours.settle()
    assert ours.remote() == {"/d": None}
