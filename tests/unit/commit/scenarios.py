"""What several tests of the committer do to a world, and expect of it."""

from __future__ import annotations

from mountfs.model.order import OrderKind
from tests.doubles.world import World


def step_until_running(world: World) -> None:
    while not world.core.committer.current:
        world.commit_steps(1)
    assert "committing" in [word for _, word in world.pending()]


def ready(world: World) -> None:
    """All bytes are up and all names have settled."""
    world.upload_all()
    world.advance(1.0)


def step_in_place(world: World, count: int = 30) -> None:
    """Steps with the clock standing still."""
    for _ in range(count):
        world.core.committer.step(world.clock.now_s())


def sent(world: World) -> list[tuple[OrderKind, str]]:
    """Every order that was submitted, oldest first."""
    return [(order.kind, order.place.path.text) for batch in world.account.submits for order in batch]


def sent_paths(world: World) -> list[str]:
    return [path for _, path in sent(world)]


def calls(world: World) -> dict[str, int]:
    """What was asked of the service besides what the calls of programs look at: folders, and space."""
    counts = world.memory.calls()
    return {route: count for route, count in counts.items() if route not in ("list_folder", "space")}


def check_nothing_is_left(world: World) -> None:
    """All is clean, and the store has nothing that a later start would find to do."""
    store = world.core.tree.store
    assert world.pending() == []
    assert list(store.live_nodes()) == []
    assert list(store.contents()) == []
    assert store.flights() == []
    assert store.orphans.all() == []


def all_kinds(world: World) -> None:
    world.account.write("/moved", b"m")
    world.account.write("/gone", b"g")
    world.account.write("/changed", b"1")
    world.account.mkdir("/folder-gone")
    world.put("/new", b"n")
    world.put("/changed", b"2")
    world.mkdir("/folder")
    world.fs.unlink("/gone")
    world.fs.rmdir("/folder-gone")
    world.rename("/moved", "/there")


def check_all_kinds(world: World) -> None:
    assert world.account.files() == {"/new": b"n", "/changed": b"2", "/there": b"m"}
    assert world.account.folders() == {"/folder"}
    assert world.revisions_of("/new") == 1
    assert world.revisions_of("/changed") == 2
    check_nothing_is_left(world)
    assert world.notices() == []
    assert world.account.overlapping_submits == 0
