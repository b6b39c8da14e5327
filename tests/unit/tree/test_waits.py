"""Who waits for whom, while waits end."""

from __future__ import annotations

from mountfs.tree.node import Node, Pending
from mountfs.tree.waits import Waits


def pending(node_id: int) -> Node:
    node = Node(node_id, is_folder=True)
    node.pending = Pending(0)
    return node


def blocked_on(node: Node) -> Node | None:
    assert node.pending is not None
    return node.pending.blocked_on


def test_those_whose_wait_is_over_are_taken_up_a_few_at_once() -> None:
    waits, folder, nodes = Waits(), pending(1), [pending(number) for number in range(2, 7)]
    for node in nodes:
        waits.begin(node, folder)
    assert waits.end(folder)
    taken = [list(waits.take_up(2)) for _ in range(3)]
    assert taken == [nodes[:2], nodes[2:4], nodes[4:]]
    assert {blocked_on(node) for node in nodes} == {None}
    assert list(waits.take_up(2)) == []
    assert not waits.has_ended


def test_whoever_waits_for_something_else_by_now_goes_on_waiting() -> None:
    waits, node, first, second = Waits(), pending(1), pending(2), pending(3)
    waits.begin(node, first)
    waits.end(first)
    waits.leave(node)
    waits.begin(node, second)
    assert list(waits.take_up(10)) == []
    assert blocked_on(node) is second
    assert waits.all_on(second) == [node]


def test_whoever_waits_for_nothing_by_now_is_not_taken_up() -> None:
    waits, node, first = Waits(), pending(1), pending(2)
    waits.begin(node, first)
    waits.end(first)
    waits.leave(node)
    assert list(waits.take_up(10)) == []


def test_whoever_waits_for_the_same_again_and_is_taken_up_waits_no_more() -> None:
    waits, node, first = Waits(), pending(1), pending(2)
    waits.begin(node, first)
    waits.end(first)
    waits.leave(node)
    waits.begin(node, first)
    assert list(waits.take_up(10)) == [node]
    assert waits.all_on(first) == []
    assert not waits.end(first)
