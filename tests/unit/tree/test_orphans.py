"""Upload sessions nobody will commit: they come as their content lets go of them, and stay until they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import Forbidden, Offline
from mountfs.model.order import Order, Part, Put
from mountfs.ports import Done, Launch
from mountfs.tree.node import FORGOTTEN
from mountfs.tree.store import Store
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World
from tests.fakes.accountdisk import AccountDisk, account_in

LARGE = b"0123456789ab"
LIMITS = replace(MEMORY_LIMITS, session_min_bytes=len(LARGE), chunk_bytes=4)


class Boom(Exception):
    """Raised inside a transaction."""


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AccountDisk]:
    with account_in(tmp_path / "account") as account:
        yield account


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Of whose files some are large; nothing is ended until it settles."""
    world = World(tmp_path, limits=LIMITS)
    yield world
    world.close()


def orphans(world: World) -> list[str]:
    return world.core.tree.store.orphans.all()


def watched(world: World) -> list[str]:
    """The sessions that are ended from here on, as that happens."""
    ended: list[str] = []
    abandon = world.memory.abandon

    def noting(session: str) -> None:
        ended.append(session)
        abandon(session)

    world.memory.abandon = noting  # type: ignore[method-assign]
    return ended


def remove(world: World) -> None:
    world.fs.unlink("/a")


def write_anew(world: World) -> None:
    world.put("/a", b"newer")


def replace_by_another(world: World) -> None:
    world.put("/b", b"newer")
    world.rename("/b", "/a")


@pytest.mark.parametrize("body", [b"small", LARGE])
@pytest.mark.parametrize("let_go", [remove, write_anew, replace_by_another])
def test_a_session_whose_bytes_are_nobodys_any_more_is_to_be_ended(
    world: World, let_go: Callable[[World], None], body: bytes
) -> None:
    world.put("/a", body)
    world.upload_all()
    [session] = world.account.sessions
    let_go(world)
    assert orphans(world) == [session]
    world.settle()
    assert world.account.sessions == {}
    assert orphans(world) == []


def test_one_of_a_large_file_that_was_sent_in_part_is_too(world: World) -> None:
    world.put("/a", LARGE)
    now_s = world.clock.now_s()
    for _ in range(2):
        world.core.uploader.step(now_s)
    [session] = world.account.sessions
    world.fs.unlink("/a")
    assert orphans(world) == [session]
    assert all(world.core.tree.store.parts.of(each) == () for each in range(100))


def test_one_whose_bytes_were_written_over_is_too(world: World) -> None:
    handle = world.begin("/a", LARGE)
    world.upload_all()
    [session] = world.account.sessions
    world.fs.write(handle, 0, b"X")
    assert orphans(world) == [session]


def test_one_of_a_version_that_was_refused_when_a_newer_one_was_there_already_is_too(world: World) -> None:
    world.put("/a", b"first")
    world.upload_all()
    [session] = world.account.sessions
    submit, ended = world.backend.submit, watched(world)

    def refuse(orders: Sequence[Order]) -> Launch:
        world.backend.submit = submit  # type: ignore[method-assign]
        world.put("/a", b"second")
        return Done((Forbidden("no"),) * len(orders))

    world.backend.submit = refuse  # type: ignore[method-assign]
    world.settle()
    assert world.remote() == {"/a": b"second"}
    assert ended == [session]


def test_one_of_a_version_that_the_service_refuses_is_too(world: World) -> None:
    world.put("/a", b"small")
    world.backend.refuse("/a", Forbidden("no"))
    world.settle()
    assert world.word("/a") == "failed"
    assert world.account.sessions == {}
    world.rename("/a", "/b")
    world.settle()
    assert world.remote() == {"/b": b"small"}


def test_one_of_a_large_file_whose_bytes_the_service_refuses_is_too(world: World) -> None:
    world.put("/a", LARGE)
    world.backend.fail("append", Forbidden("no"), skip=1)
    world.settle()
    assert world.word("/a") == "failed"
    assert world.account.sessions == {}
    world.rename("/a", "/b")
    world.settle()
    assert world.remote() == {"/b": LARGE}


def test_one_that_was_committed_is_not(world: World) -> None:
    world.put("/a", b"small")
    world.put("/b", LARGE)
    ended = watched(world)
    world.settle()
    assert world.remote() == {"/a": b"small", "/b": LARGE}
    assert ended == []


def test_one_that_was_committed_while_its_file_was_removed_or_written_anew_is_not(world: World) -> None:
    world.account.job_polls = 1
    world.put("/a", b"small")
    world.put("/b", LARGE)
    while (world.word("/a"), world.word("/b")) != ("committing", "committing"):
        world.commit_steps(1)
    world.fs.unlink("/a")
    world.put("/b", b"newer")
    ended = watched(world)
    world.settle()
    assert world.remote() == {"/b": b"newer"}
    assert ended == []


def test_one_that_is_still_of_use_is_not(world: World) -> None:
    world.put("/a", b"small")
    world.upload_all()
    [session] = world.account.sessions
    ended = watched(world)
    world.rename("/a", "/b")
    world.backend.fail("submit", Offline("away"), times=2)
    world.settle()
    assert world.remote() == {"/b": b"small"}
    assert [
        order.session for orders in world.account.submits for order in orders if isinstance(order, Put)
    ] == [session]
    assert ended == []


def test_it_comes_with_what_lets_go_of_it_or_not_at_all(account: AccountDisk) -> None:
    node = account.put("a", b"hello", session="s")
    account.tree.store.parts.add(account.content(node).id, Part(0, 4, "r"))
    before = node.state
    with pytest.raises(Boom), account.tree.transaction():
        account.tree.change((node, FORGOTTEN))
        raise Boom
    assert node.state == before
    assert account.tree.store.orphans.all() == []
    assert account.tree.store.parts.of(account.content(node).id) == (Part(0, 4, "r"),)


def test_it_stays_until_it_is_over_whatever_becomes_of_the_process(account: AccountDisk) -> None:
    for session in ("b", "a", "b"):
        account.tree.add_orphan(session)
    account.tree.add_orphan(None)
    account.restart()
    store = account.tree.store
    assert store.orphans.all() == ["b", "a"]
    assert (store.orphans.first(), store.orphans.count()) == ("b", 2)
    store.orphans.put_last("b")
    assert store.orphans.all() == ["a", "b"]
    store.orphans.remove("b")
    assert store.orphans.all() == ["a"]


def test_where_sessions_end_by_themselves_none_is_kept(tmp_path: Path) -> None:
    limits = replace(MEMORY_LIMITS, ends_sessions=False)
    with account_in(tmp_path, limits=limits) as account:
        node = account.put("a", b"hello", session="s")
        account.tree.change((node, FORGOTTEN))
        account.tree.add_orphan("t")
        store: Store = account.tree.store
        assert store.orphans.count() == 0
