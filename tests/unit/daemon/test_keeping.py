"""Copies beside files are listed, with what to do about them, until somebody did it."""

from __future__ import annotations

from daemon.process.keeping import CONFLICTED, RECOVERED, WHAT_TO_DO, copies_kept
from tests.doubles.world import World


def told(world: World) -> list[tuple[str, str, str]]:
    with world.core.tree.lock:
        return [(copy.path, copy.kind, copy.advice) for copy in copies_kept(world.core.tree, str)]


def conflict(world: World) -> str:
    """Somebody else was first; the path of the conflicted copy."""
    world.account.write("/f.txt", b"base")
    world.follow()
    world.names()
    world.put("/f.txt", b"mine")
    world.account.write("/f.txt", b"theirs")
    world.settle()
    (copy,) = (name for name in world.names() if "conflicted copy" in name)
    return f"/{copy}"


def test_a_conflicted_copy_is_listed_with_what_to_do_until_it_is_gone(world: World) -> None:
    copy = conflict(world)
    assert told(world) == [(copy, CONFLICTED, WHAT_TO_DO[CONFLICTED])]
    world.restart()
    assert told(world) == [(copy, CONFLICTED, WHAT_TO_DO[CONFLICTED])]
    world.fs.unlink(copy)
    assert told(world) == []


def test_a_conflicted_copy_that_got_a_name_of_its_own_is_not_listed(world: World) -> None:
    world.rename(conflict(world), "/mine.txt")
    assert told(world) == []


def test_a_recovered_copy_is_listed_with_what_to_do_until_it_is_renamed(world: World) -> None:
    number = world.begin("/f.txt", b"torn")
    world.fs.flush(number)
    world.fs.write(number, 4, b"more")
    world.restart()
    (copy,) = world.names()
    assert told(world) == [(f"/{copy}", RECOVERED, WHAT_TO_DO[RECOVERED])]
    world.rename(f"/{copy}", "/f.txt")
    assert told(world) == []


def test_other_notices_name_no_copy(world: World) -> None:
    world.core.tree.notice("/f", "not renamed: somebody else changed it meanwhile")
    assert told(world) == []
