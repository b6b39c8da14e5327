"""Folders are listed ahead of programs that walk through a tree, in few calls and at a bounded cost."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.upkeep.follow import LOOK_S
from mountfs.errors import ServerFault
from mountfs.model.entry import File, Folder, Placed
from mountfs.model.path import RemotePath, fold
from mountfs.tree import treewalk, walks
from mountfs.tree.childrows import read_children
from mountfs.tree.node import Node
from mountfs.tree.rows import NodeRow
from mountfs.tree.treewalk import TreeWalk, Unfollowable
from mountfs.tree.walks import ENOUGH, FIRST_AHEAD, FREE_PAGES, GAP_S, KEPT_S, MOST_AHEAD, Walks
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.waiting import DEADLINE_S, until

FOLDERS = 40


def filled(world: World, folders: int = FOLDERS, files: int = 3) -> None:
    for number in range(folders):
        for name in range(files):
            world.account.write(f"/w/d{number:03}/sub/f{name}", f"{number} {name}".encode())
        world.account.write(f"/w/d{number:03}/top", b"x")
    world.follow()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Where trees are listed."""
    made = World(tmp_path, settings={"walkers": 4})
    filled(made)
    yield made
    made.memory.release("list_tree")
    made.close()


@pytest.fixture
def side_by_side(tmp_path: Path) -> Iterator[World]:
    """Where each folder is listed by a call of its own."""
    made = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS, settings={"walkers": 4})
    for number in range(FOLDERS):
        made.account.mkdir(f"/w/d{number:03}")
        made.account.write(f"/w/d{number:03}/f", b"x")
    made.follow()
    yield made
    made.memory.release("list_folder")
    made.close()


def calls(world: World, route: str) -> int:
    return world.memory.calls().get(route, 0)


def listed(world: World, folder: str) -> list[str]:
    number = world.fs.opendir(folder)
    try:
        return [name for name, _, _ in world.fs.readdir(number)]
    finally:
        world.fs.releasedir(number)


def walked(world: World, folder: str = "/w") -> set[str]:
    """All paths below, as find(1) comes by them."""
    found: set[str] = set()
    for name in listed(world, folder):
        path = f"{folder}/{name}"
        found.add(path)
        if world.node(path).is_folder:
            found |= walked(world, path)
    return found


def there(world: World) -> set[str]:
    return {path for path in world.remote() if path.startswith("/w/")}


def test_a_walk_costs_a_few_calls_and_not_one_for_each_folder(world: World) -> None:
    assert walked(world) == there(world)
    assert calls(world, "list_tree") == 1
    # The top, the folder that is walked, what of the first two was opened before the pattern was clear.
    assert calls(world, "list_folder") <= 2 + 2 * (ENOUGH - 1)


def test_what_a_walk_found_is_there_for_the_next_mount_without_the_service(world: World) -> None:
    seen = walked(world)
    world.restart()
    world.memory.is_online = False
    world.follow()
    assert walked(world) == seen


def test_files_of_a_walk_are_read_written_and_removed_as_any_others(world: World) -> None:
    walked(world)
    last = f"/w/d{FOLDERS - 1:03}"
    assert world.get(f"{last}/sub/f1") == f"{FOLDERS - 1} 1".encode()
    world.put(f"{last}/sub/f1", b"ours")
    world.fs.unlink(f"{last}/top")
    world.rename(f"{last}/sub", "/w/moved")
    world.settle()
    assert world.remote()["/w/moved/f1"] == b"ours"
    assert f"{last}/top" not in world.remote()


def test_pages_are_as_many_as_there_are_and_each_is_asked_for_once(world: World) -> None:
    world.memory.page_entries = 50
    assert walked(world) == there(world)
    below = 1 + len(there(world))
    assert calls(world, "list_tree") == -(-below // 50)


def test_who_looks_here_and_there_is_no_walk(world: World) -> None:
    names = listed(world, "/w")
    for at in (30, 0, 20, 10, 38):
        listed(world, f"/w/{names[at]}")
    assert calls(world, "list_tree") == 0


def test_a_long_pause_is_no_walk(world: World) -> None:
    names = listed(world, "/w")
    for name in names[:6]:
        listed(world, f"/w/{name}")
        world.advance(walks.GAP_S + 1)
    assert calls(world, "list_tree") == 0


def test_folders_in_the_order_of_their_names_are_a_walk(world: World) -> None:
    for number in random.Random(4).sample(range(100), 100):
        world.account.write(f"/z/n{number:03}/f", b"x")
    world.follow()
    for name in sorted(listed(world, "/z"))[:5]:
        listed(world, f"/z/{name}")
    assert calls(world, "list_tree") == 1


def test_few_folders_with_much_in_them_are_not_paid_for_by_pages_without_end(world: World) -> None:
    for number in range(4):
        for name in range(60):
            world.account.write(f"/few/d{number}/f{name:03}", b"x")
    world.follow()
    world.memory.page_entries = 2
    seen = walked(world, "/few")
    assert len(seen) == 4 * 61
    assert calls(world, "list_tree") <= FREE_PAGES + 5 + 1
    world.memory.page_entries = 500
    world.account.write("/few/d3/more", b"x")
    world.follow()
    assert "/few/d3/more" in walked(world, "/few")


def test_a_page_that_fails_leaves_folders_to_be_listed_one_by_one(world: World) -> None:
    world.memory.page_entries = 50
    world.backend.fail("list_tree", ServerFault("no"), skip=2)
    assert walked(world) == there(world)
    assert len([row for row in _rows(world) if row.name == "top"]) == FOLDERS


def _rows(world: World) -> list[NodeRow]:
    found: list[NodeRow] = []
    at = [1]
    while at:
        for row in world.core.tree.store.children(at.pop()):
            found.append(row)
            if row.is_folder:
                at.append(row.id)
    return found


def test_who_waits_for_a_silent_service_asks_by_himself(world: World) -> None:
    names = listed(world, "/w")
    for name in names[: ENOUGH - 1]:
        listed(world, f"/w/{name}")
    world.memory.hold("list_tree")
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(listed(world, f"/w/{names[ENOUGH - 1]}")))
    thread.start()
    assert world.memory.wait_until_held("list_tree")
    before = calls(world, "list_folder")
    world.advance(walks.SILENCE_S)
    thread.join(10)
    assert found == [["sub", "top"]]
    assert calls(world, "list_folder") == before + 1


def test_a_folder_that_nobody_walks_to_is_listed_beside_the_walk(world: World) -> None:
    """`cat`, `ls`, and a save, far from where `find` is: they waited for all pages, up to a minute."""
    names = listed(world, "/w")
    for name in names[: ENOUGH - 1]:
        listed(world, f"/w/{name}")
    world.memory.hold("list_tree")
    found: list[set[str]] = []
    walker = threading.Thread(target=lambda: found.append(walked(world)))
    walker.start()
    assert world.memory.wait_until_held("list_tree")
    told: list[object] = []
    far = names[30], names[31], names[32]

    def look() -> None:
        told.append(world.get(f"/w/{far[0]}/sub/f1"))
        told.append(listed(world, f"/w/{far[1]}"))
        world.put(f"/w/{far[2]}/sub/new", b"saved")

    other = threading.Thread(target=look, daemon=True)
    before = calls(world, "list_folder")
    other.start()
    other.join(DEADLINE_S)
    assert not other.is_alive()
    assert told == [f"{far[0].removeprefix('d').lstrip('0')} 1".encode(), ["sub", "top"]]
    assert calls(world, "list_folder") == before + 5
    world.memory.release("list_tree")
    walker.join(DEADLINE_S)
    assert found == [{*there(world), f"/w/{far[2]}/sub/new"}]
    assert calls(world, "list_folder") == before + 5
    assert calls(world, "list_tree") == 1


def test_a_second_program_that_walks_waits_for_the_same_walk(world: World) -> None:
    """Inside of the folders, too. It has none listed one by one that are on the pages to come."""
    names = listed(world, "/w")
    assert world.get(f"/w/{names[ENOUGH]}/top") == b"x"  # so that this one is known before
    for name in names[: ENOUGH - 1]:
        walked(world, f"/w/{name}")
    world.memory.hold("list_tree")
    ahead = world.core.listings.walks
    assert isinstance(ahead, Walks)
    first = threading.Thread(target=listed, args=(world, f"/w/{names[ENOUGH - 1]}"))
    second = threading.Thread(target=walked, args=(world, f"/w/{names[ENOUGH]}"))
    before = calls(world, "list_folder")
    first.start()
    assert world.memory.wait_until_held("list_tree")
    walk = ahead._walk
    assert walk is not None
    second.start()
    until(lambda: walk.waiting == 2, "both wait for the walk")
    world.memory.release("list_tree")
    for each in (first, second):
        each.join(DEADLINE_S)
    assert walked(world) == there(world)
    assert calls(world, "list_folder") == before
    assert calls(world, "list_tree") == 1


def test_a_walk_that_takes_long_is_not_thrown_away_while_pages_come(world: World) -> None:
    world.memory.page_entries = 10
    names = listed(world, "/w")
    inner = world.memory.list_tree
    ahead = world.core.listings.walks
    assert isinstance(ahead, walks.Walks)

    def list_tree(folder_id: str, cursor: str | None) -> object:
        page = inner(folder_id, cursor)
        world.advance(walks.SILENCE_S / 2)
        if ahead._walk is not None:
            ahead._walk.asked_s = world.clock.now_s()  # the program goes on looking
        return page

    world.memory.list_tree = list_tree  # type: ignore[method-assign, assignment]
    for name in names[:ENOUGH]:
        listed(world, f"/w/{name}")
    until(lambda: ahead._walk is None, "the walk has ended")
    assert calls(world, "list_tree") * walks.SILENCE_S / 2 > walks.LONGEST_WAIT_S + walks.GAP_S
    before = calls(world, "list_folder")
    assert walked(world) == there(world)
    assert calls(world, "list_folder") == before


@pytest.mark.parametrize(
    ("now_s", "page_s", "entries", "is_whole", "is_waited_for"),
    [
        (3.0, 3.0, 400, False, True),
        (3.0, 3.0, 401, False, False),  # there is more below than was looked at so far
        (1.0, 1.0, 401, False, True),
        (3.0, 3.0, 401, True, True),
        (3.0 + walks.SILENCE_S, 3.0, 400, True, False),
        (1.0 + walks.LONGEST_WAIT_S, walks.LONGEST_WAIT_S, 400, True, False),
    ],
)
def test_a_walk_is_waited_for_while_it_brings_what_was_foreseen(
    world: World, now_s: float, page_s: float, entries: int, *, is_whole: bool, is_waited_for: bool
) -> None:
    """On a busy machine its pages are late. Who gave up then listed the last folders beside it."""
    deadline_s = walks.SHORTEST_WAIT_S
    walk = walks._Walk(world.core.tree.root, RemotePath("/w"), 0.0, deadline_s, 0.0, page_s, 400.0)
    walk.entries, walk.is_whole = entries, is_whole
    assert (walk.patience_s(now_s) > 0) is is_waited_for


def test_of_folders_beside_each_other_as_much_is_foreseen_as_the_first_have(world: World) -> None:
    for folder in range(20):
        for number in range(10):
            world.account.write(f"/v/d{folder:02}/f{number}", b"x")
    world.follow()
    ahead = world.core.listings.walks
    assert isinstance(ahead, walks.Walks)
    begun: list[walks._Walk | None] = []
    inner = world.memory.list_tree

    def list_tree(folder_id: str, cursor: str | None) -> object:
        begun.append(ahead._walk)
        return inner(folder_id, cursor)

    world.memory.list_tree = list_tree  # type: ignore[method-assign, assignment]
    for name in listed(world, "/v")[:ENOUGH]:
        listed(world, f"/v/{name}")
    assert begun[0] is not None
    assert begun[0].foreseen == walks.FORESEEN * 20 * 10
    assert (begun[0].entries, begun[0].is_whole) == (1 + 20 + 20 * 10, True)


def test_what_changes_during_a_walk_is_seen(world: World) -> None:
    world.memory.page_entries = 30
    names = listed(world, "/w")
    for name in names[: ENOUGH - 1]:
        listed(world, f"/w/{name}")
    changed = iter([10, 20, 39])
    inner = world.memory.list_tree

    def list_tree(folder_id: str, cursor: str | None) -> object:
        page = inner(folder_id, cursor)
        number = next(changed, None)
        if number is not None:
            path = f"/w/d{number:03}"
            world.account.write(f"{path}/new", b"new")
            world.account.remove(f"{path}/top")
            world.account.write(f"{path}/sub/f0", b"longer than before")
            world.advance(LOOK_S)
            world.follow()
        return page

    world.memory.list_tree = list_tree  # type: ignore[method-assign, assignment]
    assert walked(world) == there(world)
    assert world.get("/w/d020/sub/f0") == b"longer than before"


@pytest.mark.parametrize("path", ["/w/d002", "/w"])
def test_what_changes_in_a_folder_that_is_renamed_here_during_a_walk_is_seen(world: World, path: str) -> None:
    """Its new name comes before the page that the walk has reached."""
    world.memory.page_entries = 30
    for name in listed(world, "/w")[: ENOUGH - 1]:
        listed(world, f"/w/{name}")
    renamed = path.rpartition("/")[0] + "/a"
    inner, is_done = world.memory.list_tree, threading.Event()

    def list_tree(folder_id: str, cursor: str | None) -> object:
        page = inner(folder_id, cursor)
        if cursor is not None and not is_done.is_set():
            is_done.set()
            world.rename(path, renamed)
            world.advance(1.0)
            world.commit_steps(2)
            assert world.account.get(path) is None
            world.account.write(f"{renamed}/new" if path != "/w" else "/a/d002/new", b"new")
            world.account.write(f"{renamed}/sub/new" if path != "/w" else "/a/d002/sub/new", b"new")
            world.follow()
        return page

    world.memory.list_tree = list_tree  # type: ignore[method-assign, assignment]
    listed(world, f"/w/d{ENOUGH - 1:03}")
    ahead = world.core.listings.walks
    assert isinstance(ahead, Walks)
    until(lambda: is_done.is_set() and ahead._walk is None, "the walk ends")
    world.follow()
    assert set(world.tree()) == set(world.remote())


def test_a_folder_that_somebody_lists_meanwhile_is_not_filled_twice(world: World) -> None:
    names = listed(world, "/w")
    inner = world.memory.list_tree

    def list_tree(folder_id: str, cursor: str | None) -> object:
        page = inner(folder_id, cursor)
        node = world.core.tree.by_remote_id(_id_at(world, "/w/d030"))
        assert node is not None
        read_children(world.core.tree, node)
        return page

    world.memory.list_tree = list_tree  # type: ignore[method-assign, assignment]
    for name in names[:ENOUGH]:
        listed(world, f"/w/{name}")
    assert walked(world) == there(world)
    names_in = [row.name for row in _rows(world)]
    assert names_in.count("top") == FOLDERS


def _id_at(world: World, path: str) -> str:
    entry = world.account.get(path)
    assert entry is not None
    return entry.id


# Where folders are listed one by one


def test_the_next_folders_are_listed_side_by_side(side_by_side: World) -> None:
    world = side_by_side
    names = listed(world, "/w")
    for name in names[: ENOUGH - 1]:
        listed(world, f"/w/{name}")
    world.memory.hold("list_folder")
    number = world.fs.opendir(f"/w/{names[ENOUGH - 1]}")
    assert world.memory.wait_until_held("list_folder", calls=min(4, FIRST_AHEAD))
    world.memory.release("list_folder")
    world.fs.releasedir(number)


def test_each_folder_is_listed_once_and_none_twice(side_by_side: World) -> None:
    assert walked(side_by_side) == there(side_by_side)
    side_by_side.core.listings.walks.close()
    assert calls(side_by_side, "list_folder") == 2 + FOLDERS


def test_who_stops_has_had_a_bounded_number_listed_in_vain(side_by_side: World) -> None:
    world = side_by_side
    for number in range(FOLDERS, 400):
        world.account.mkdir(f"/w/d{number:03}")
    world.follow()
    before = calls(world, "list_folder")
    for name in listed(world, "/w")[:30]:
        listed(world, f"/w/{name}")
    world.core.listings.walks.close()
    assert calls(world, "list_folder") - before <= 2 + 30 + MOST_AHEAD


@pytest.mark.parametrize(("most_entries", "expected"), [(1, 1), (3, 3), (1000, FIRST_AHEAD)])
def test_of_large_folders_fewer_are_listed_ahead(
    side_by_side: World, monkeypatch: pytest.MonkeyPatch, most_entries: int, expected: int
) -> None:
    monkeypatch.setattr(walks, "MOST_ENTRIES_AHEAD", most_entries)  # each folder has one
    ahead: list[Node] = []
    at_work = side_by_side.core.listings.walks
    assert isinstance(at_work, Walks)
    monkeypatch.setattr(at_work._pool, "submit", lambda _call, folder: ahead.append(folder))
    for name in listed(side_by_side, "/w")[:ENOUGH]:
        listed(side_by_side, f"/w/{name}")
    assert len(ahead) == expected


# Booking pages


class Pages:
    """A listing of a tree as a service may send it: with everything in any order."""

    def __init__(self, world: World, path: str) -> None:
        self.entries: list[Placed] = []
        for each, entry in world.account.tree.walk():
            if each.key == path or each.key.startswith(path + "/"):
                self.entries.append((each.key, each.parent.key, entry))

    def at(self, path: str) -> Placed:
        return next(each for each in self.entries if each[0] == path)


def booked(world: World, pages: list[Placed], heard: set[str] | None = None) -> TreeWalk:
    """Walks /w, which was listed and nothing below it."""
    listed(world, "/w")
    tree = world.core.tree
    with tree.lock:
        walk = TreeWalk(tree, world.node("/w"), tree.store.next_id())
    for at in range(0, len(pages), 20):
        walk.book(pages[at : at + 20])
    walk.finish(heard or set())
    return walk


@pytest.mark.parametrize("seed", range(5))
def test_entries_may_come_before_their_folders(world: World, seed: int) -> None:
    pages = Pages(world, "/w").entries
    random.Random(seed).shuffle(pages)
    booked(world, pages)
    before = calls(world, "list_folder")
    assert walked(world) == there(world)
    assert calls(world, "list_folder") == before


def test_too_many_entries_before_their_folders_are_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treewalk, "MOST_ASIDE", 10)
    with pytest.raises(Unfollowable):
        booked(world, Pages(world, "/w").entries[::-1])


@pytest.mark.parametrize("what", ["gone", "twice", "odd", "elsewhere"])
def test_a_folder_that_is_not_plain_is_listed_by_itself(world: World, what: str) -> None:
    pages = Pages(world, "/w")
    path = "/w/d007/sub/f1"
    match what:
        case "gone":
            pages.entries.append((path, "/w/d007/sub", None))
        case "twice":
            pages.entries.append((path, "/w/d007/sub", File("other", "f1", "0123456789", 5, 0, "hash")))
        case "odd":
            world.memory.odd.add("f1")
            pages.entries.append((path, "/w/d007/sub", world.memory._shown(world.file(path))))
            world.memory.odd.clear()
        case "elsewhere":
            pages.entries.append(("/w/d008/sub/f9", "/w/d008/sub", world.file(path)))
    booked(world, pages.entries)
    before = calls(world, "list_folder")
    assert walked(world) == there(world)
    assert 1 <= calls(world, "list_folder") - before <= 2
    assert [row.name for row in _rows(world)].count("f1") == FOLDERS


def test_a_folder_of_which_news_came_is_listed_again(world: World) -> None:
    booked(world, Pages(world, "/w").entries, {fold("/W/d003/sub")})
    before = calls(world, "list_folder")
    assert walked(world) == there(world)
    assert calls(world, "list_folder") == before + 1


def test_a_walk_that_is_given_up_leaves_no_rows(world: World) -> None:
    listed(world, "/w")
    before = len(_rows(world))
    tree = world.core.tree
    walk = TreeWalk(tree, world.node("/w"), tree.store.next_id())
    walk.book(Pages(world, "/w").entries)
    assert len(_rows(world)) > before
    walk.give_up()
    assert len(_rows(world)) == before


def test_no_more_nodes_are_in_memory_after_a_walk_than_before(world: World) -> None:
    listed(world, "/w")
    before = len(world.core.tree.nodes)
    booked(world, Pages(world, "/w").entries)
    assert len(world.core.tree.nodes) == before


def test_a_new_folder_is_one_that_stays_a_folder(world: World) -> None:
    booked(world, Pages(world, "/w").entries)
    assert isinstance(world.node("/w/d001/sub").state.base, Folder)


# One long folder


def long_folder(world: World, count: int = 40) -> set[str]:
    for number in range(count):
        world.account.write(f"/long/f{number:03}", f"{number}".encode())
    world.account.mkdir("/long/sub")
    world.account.write("/long/sub/deep", b"x")
    world.follow()
    return {"sub", *(f"f{number:03}" for number in range(count))}


@pytest.fixture(params=[7, 2000])
def few_are_many(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On several pages, and on one."""
    monkeypatch.setattr(treewalk, "FEWEST_FILLED", 10)
    world.memory.listing_entries = request.param


@pytest.mark.usefixtures("few_are_many")
def test_a_long_folder_is_listed_by_its_rows(world: World) -> None:
    wanted = long_folder(world)
    listings = calls(world, "list_folder")
    assert set(listed(world, "/long")) == wanted
    assert listed(world, "/long/sub") == ["deep"]
    assert world.get("/long/f007") == b"7"
    world.theirs("/long/f007", b"seven")
    world.theirs("/long/more", b"x")
    assert set(listed(world, "/long")) == wanted | {"more"}
    assert world.get("/long/f007") == b"seven"
    pages = len(wanted) // world.memory.listing_entries
    assert calls(world, "list_folder") - listings <= 6 + 3 * pages
    world.restart()
    world.memory.is_online = False
    world.follow()
    assert set(listed(world, "/long")) == wanted | {"more"}


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("what", ["odd", "moved here", "changed meanwhile"])
def test_a_long_folder_that_is_not_plain_is_right_all_the_same(world: World, what: str) -> None:
    wanted = long_folder(world)
    match what:
        case "odd":
            world.memory.odd.add("f003")
            wanted.remove("f003")
        case "moved here":
            listed(world, "/w/d000")
            world.account.move("/w/d000/top", "/long/top")
            wanted.add("top")
        case "changed meanwhile":
            inner = world.memory.list_folder

            def list_folder(path: object, folder_id: str = "") -> object:
                found = inner(path, folder_id)  # type: ignore[arg-type]
                if "f005" in {entry.name for entry in found}:
                    world.memory.list_folder = inner  # type: ignore[method-assign]
                    world.account.remove("/long/f005")
                    world.account.write("/long/new", b"x")
                    world.advance(LOOK_S)
                    world.follow()
                return found

            world.memory.list_folder = list_folder  # type: ignore[method-assign, assignment]
            wanted = (wanted - {"f005"}) | {"new"}
    listed(world, "/long")  # the call that is answered may have been asked before the change
    assert set(listed(world, "/long")) == wanted
    in_folder = world.node("/long").id
    assert {row.name for row in _rows(world) if row.parent == in_folder} == wanted
    assert len([row for row in _rows(world) if row.parent == in_folder]) == len(wanted)


def test_folders_opened_here_and_there_have_their_folder_sorted_once_in_a_while(
    side_by_side: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them waited for that else: 7 ms in a folder of 20,000."""
    names = sorted(listed(side_by_side, "/w"))
    sorts: list[int] = []
    orders = Walks._orders

    def counted(self: Walks, parent: Node) -> Iterator[list[Node]]:
        sorts.append(parent.id)
        return orders(self, parent)

    monkeypatch.setattr(Walks, "_orders", counted)
    for _ in range(5):
        for name in (names[0], names[20], names[39], names[10], names[30]):
            listed(side_by_side, f"/w/{name}")
    assert len(sorts) <= 2
    sorts.clear()
    side_by_side.advance(GAP_S)
    for name in names:
        listed(side_by_side, f"/w/{name}")
    assert len(sorts) <= 2


def test_a_walk_that_is_over_keeps_no_folders_in_memory(side_by_side: World) -> None:
    runs = side_by_side.core.listings.walks._runs  # type: ignore[attr-defined]
    for name in sorted(listed(side_by_side, "/w"))[:6]:
        listed(side_by_side, f"/w/{name}")
        side_by_side.advance(KEPT_S - 1.0)
        assert runs
    side_by_side.advance(1.0)
    assert not runs
