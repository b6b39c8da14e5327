"""Orders that find what earlier ones of ours have put at their places."""

from __future__ import annotations

from daemon.commit.arrivals import ARRIVED
from daemon.commit.relisting import relist_lost_parents
from daemon.commit.verdicts import Retry
from mountfs.model.entry import Place
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.tree.node import Flight
from tests.doubles.world import World


def test_a_folder_in_which_many_find_such_a_thing_is_listed_once(world: World) -> None:
    names = [f"f{number}" for number in range(20)]
    for name in names:
        world.account.write(f"/{name}", b"theirs")
    world.names()
    tree = world.core.tree
    flights = [
        Flight(number, OrderKind.MOVE, world.node(f"/{name}"), tree.root, name, Place(RemotePath(f"/{name}")))
        for number, name in enumerate(names)
    ]
    before = world.memory.calls()["list_folder"]
    relist_lost_parents(tree, world.core.listings, flights, [Retry(ARRIVED)] * len(flights))
    assert world.memory.calls()["list_folder"] - before == 1
