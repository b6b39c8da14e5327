"""Giving up what is pending of a path: the service's version shows again, what it never had is gone.

a file with bytes of ours              shows the revision of the service again
a new file or folder                   is gone
`mv a b`, not sent yet                 is called a again, once what has that name by now is given up
`rm a`, not sent yet                   is shown again
what an order on its way is about      stays as it is: its outcome is not known
`rmdir d`, given up, may still arrive    stays as it is: it would take what is put into d
what somebody has open for writing     stays as it is: closing it would bring it back
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mountfs.model.path import fold
from mountfs.tree.bases import is_below
from mountfs.tree.childrows import held, load_children, unread_about
from mountfs.tree.chunks import chunks
from mountfs.tree.copynames import CopyNames
from mountfs.tree.listings import Listings
from mountfs.tree.node import FORGOTTEN, Node, above, has_moved, path_of, remote_id
from mountfs.tree.reversal import moved_back, shown_again
from mountfs.tree.showing import show
from mountfs.tree.tree import Tree
from mountfs.tree.word import Word, keeper_of, word_of

GIVEN_UP_AT_ONCE = 100
"""Nodes in one hold of the lock: 10 ms."""

UNDER_WAY = "it is just being sent; try again when that has ended"
HOLDS = "it belongs together with something that is just being sent, or open for writing"
HAS_NAME = "something else has its name by now"
TAKEN = "its old name was given to something else; give that up as well, or rename it"
OPEN = "it is open for writing; close it first"


@dataclass(slots=True)
class GivenUp:
    """What was, or would be, given up: how many files and folders, the bytes of ours in them, and some paths;
    and what was left as it is, with the reason."""

    count: int = 0
    size_bytes: int = 0
    paths: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    under_way: dict[Node, None] = field(default_factory=dict)
    """Of those that were left the ones that are just being sent, or were given up and may still arrive."""


def pending_within(tree: Tree, top: Node) -> dict[Node, int]:
    """Everything that is not clean, or was refused, at or below *top*, with the number of folders it is down
    from *top*; what was removed there, too. Not what its name keeps on this machine. Any thread; without the
    lock, which is taken for a part at a time."""
    with tree.lock:
        nodes = list({**tree.dirty, **tree.refused}.values())
    found: dict[Node, int] = {}
    for part in chunks(nodes, GIVEN_UP_AT_ONCE):
        with tree.lock:
            for node in part:
                is_ours = node.pending is not None or node.state.refusal is not None
                depth = _depth_below(node, top) if is_ours and keeper_of(node) is None else None
                if depth is not None:
                    found[node] = depth
    return found


def _is_removed(node: Node) -> bool:
    """Whether *node* was removed here, and the service still has it."""
    return node.state.parent is None and node.state.base is not None and not node.state.is_forgotten


def _depth_below(node: Node, top: Node) -> int | None:
    """How many folders *node* is down from *top*; None: it is not below it."""
    return next((depth for depth, each in enumerate(above(node)) if each is top), None)


class Discard:
    """Gives up what is pending, the deepest first. Any thread, without the lock."""

    def __init__(self, tree: Tree, listings: Listings, copies: CopyNames) -> None:
        self._tree = tree
        self._listings = listings
        self._copies = copies

    def run(self, top: Node, *, is_trial: bool) -> GivenUp:
        """Everything at or below *top*. *is_trial*: only tells what would be given up."""
        tree, told = self._tree, GivenUp()
        depths = pending_within(tree, top)
        # Names are free before what was removed under them is shown again.
        nodes = sorted(depths, key=lambda node: (-depths[node], node.state.parent is None))
        if is_trial:
            self._all(nodes, told, depths)
            return told
        waiting = self._all(nodes, told)
        while waiting:
            rest = self._all(waiting, told)
            if len(rest) == len(waiting):
                rest = self._step_aside(rest, told)
            waiting = rest
        return told

    def removals(self, top: Node) -> list[Node]:
        """What was removed at or below *top*, and the service still has, the deepest first."""
        depths = pending_within(self._tree, top)
        removed: list[Node] = []
        for part in chunks(depths):
            with self._tree.lock:
                removed += filter(_is_removed, part)
        return sorted(removed, key=lambda node: -depths[node])

    def take_back(self, removed: Sequence[Node]) -> GivenUp:
        """Shows *removed*, which ``removals`` gave, again. What has a name that something else has by now is
        left as it is."""
        told, waiting = GivenUp(), list(removed)
        while waiting:
            rest = self._all(waiting, told, may=self._has_its_name)
            if len(rest) == len(waiting):
                for part in chunks(rest):
                    with self._tree.lock:
                        told.left += [(path_of(node), HOLDS) for node in part]
                break
            waiting = rest
        return told

    def is_on_its_way(self, node: Node) -> bool:
        """Whether the removal of *node*, which ``removals`` gave, may take effect whatever is done here: it
        is being sent, or was given up and may still arrive."""
        is_sent = node.state.flight is not None
        return is_sent or (_is_removed(node) and self._tree.late.may_remove(remote_id(node)))

    def _has_its_name(self, node: Node, told: GivenUp) -> bool:
        """Whether nothing else is called as *node* was, which was removed. Inside a transaction."""
        folder, base = node.state.base_parent, node.state.base
        if not _is_removed(node) or folder is None or base is None:
            return False  # it landed, or was shown again, meanwhile
        if self._tree.late.may_remove(remote_id(node)):
            told.left.append((path_of(node), UNDER_WAY))
            told.under_way[node] = None
            return False
        load_children(self._tree, folder)
        is_free = self._tree.child(folder, fold(base.name)) is None
        if not is_free:
            told.left.append((path_of(node), HAS_NAME))
        return is_free

    def _all(
        self,
        nodes: list[Node],
        told: GivenUp,
        trial: Collection[Node] = (),
        may: Callable[[Node, GivenUp], bool] = lambda _node, _told: True,
    ) -> list[Node]:
        """Gives up those of *nodes* that *may* be, and each that waits for another one of them after that;
        returns those that wait for something else. *trial*: nothing is given up, but noted what would be if
        all of these were."""
        tree, todo = self._tree, deque(nodes)
        due: set[Node] = set(nodes)
        after: defaultdict[Node, list[Node]] = defaultdict(list)
        """Of each node those that were found to wait for it, which then are looked at again."""
        stuck: list[Node] = []
        while todo:
            doubtful: set[Node] = set()
            part = [todo.popleft() for _ in range(min(len(todo), GIVEN_UP_AT_ONCE))]
            with held(tree, self._needed_for(part)), tree.transaction():
                for node in part:
                    if not may(node, told):
                        continue
                    holder = self._holder(node)
                    if holder is not None and trial and holder not in trial:
                        told.left.append((path_of(node), TAKEN))
                    elif (holder is not None and not trial) or self._one(
                        node, told, doubtful, is_trial=bool(trial)
                    ):
                        before = holder or self._first_within(node)
                        (after[before] if before in due else stuck).append(node)
                        continue
                    due.discard(node)
                    todo.extend(after.pop(node, ()))
                for folder in doubtful:
                    if not folder.state.is_forgotten or folder is tree.root:
                        self._listings.doubt(folder)
        return [*stuck, *(node for waiting in after.values() for node in waiting)]

    def _needed_for(self, nodes: list[Node]) -> list[Node]:
        """The folders that it takes to give up *nodes*, and that are not in memory."""
        found: dict[int, Node] = {}
        with self._tree.lock:
            for node in nodes:
                state = node.state
                if state.base is not None and (state.parent is None or has_moved(state)):
                    found.update((folder.id, folder) for folder in unread_about(node))
                elif state.base is None and node.folder is not None and node.folder.children is None:
                    found[node.id] = node
        return list(found.values())

    def _holder(self, node: Node) -> Node | None:
        """The node that has the old name of a renamed *node* by now."""
        state = node.state
        if (
            state.base is None
            or state.base_parent is None
            or state.flight is not None
            or not has_moved(state)
        ):
            return None
        load_children(self._tree, state.base_parent)
        there = self._tree.child(state.base_parent, fold(state.base.name))
        return None if there is node else there

    def _step_aside(self, waiting: list[Node], told: GivenUp) -> list[Node]:
        """In each circle of nodes that wait for each other's names one gets another name for a moment. Nodes
        that wait for something outside of the circles are left as they are."""
        awaited: dict[Node, set[Node]] = {}
        for part in chunks(waiting, GIVEN_UP_AT_ONCE):
            with self._tree.lock:
                awaited.update((node, self._awaited(node)) for node in part)
        left = _led_outside(awaited)
        for part in chunks(left, GIVEN_UP_AT_ONCE):
            with self._tree.lock:
                for node in part:
                    told.left.append((path_of(node), TAKEN if self._holder(node) is not None else HOLDS))
        for node in left:
            del awaited[node]
        for part in chunks(_one_of_each_circle(awaited), GIVEN_UP_AT_ONCE):
            with self._tree.transaction():
                for node in part:
                    if self._holder(node) is not None:
                        self._tree.change((node, moved_back(self._tree, self._copies, node, node.state)))
        return list(awaited)

    def _awaited(self, node: Node) -> set[Node]:
        """What keeps *node* from being given up: the node that has its old name, or those that are in it."""
        holder = self._holder(node)
        if holder is not None:
            return {holder}
        if node.state.base is None and node.folder is not None:
            return set((node.folder.children or {}).values())
        return {self._tree.root}

    @staticmethod
    def _first_within(node: Node) -> Node | None:
        """Of a new folder one of those that keep it from being given up; None: they are not known, or it is
        no such folder."""
        if node.state.base is not None or node.folder is None:
            return None
        return next(iter((node.folder.children or {}).values()), None)

    def _one(self, node: Node, told: GivenUp, doubtful: set[Node], *, is_trial: bool) -> bool:
        """Gives up one node; True: only after others. *doubtful*: the folders that are to be listed again
        because of it are added."""
        state, word = node.state, word_of(node)
        if state.is_forgotten or (word is None and state.refusal is None):
            return False
        path = path_of(node)
        # A late removal takes what is put into a folder meanwhile, and no file that was changed meanwhile.
        if state.flight is not None or (node.folder is not None and self.is_on_its_way(node)):
            told.left.append((path, UNDER_WAY))
            told.under_way[node] = None
            return False
        if state.draft is not None or word is Word.OPEN:
            told.left.append((path, OPEN))
            return False
        size_bytes = state.content.size_bytes if state.content is not None else 0
        if not is_trial and not self._give_up(node, doubtful):
            return True
        told.count += 1
        told.size_bytes += size_bytes
        told.paths.append(path)
        return False

    def _give_up(self, node: Node, doubtful: set[Node]) -> bool:
        tree, state = self._tree, node.state
        if state.base is None:
            if node.folder is not None:
                load_children(tree, node)
                if node.folder.children:
                    return False  # something in it is left as it is
            after = FORGOTTEN
        else:
            mtime_ns = state.mtime_ns if node.folder is not None else None
            after = replace(state, content=None, mtime_ns=mtime_ns, refusal=None)
            is_elsewhere = has_moved(state) or state.parent is None
            if is_elsewhere and not (state.base_parent and show(tree, state.base_parent, is_told=False)):
                return False  # `mv d/f g; rmdir d`, and g is given up: d is shown again
            if has_moved(state) and state.base_parent and is_below(state.base_parent, node):
                return False  # `mv d/sub x; mv d x/d`, and x is given up: d comes first
            if state.parent is None:
                after = shown_again(tree, after, None)
            elif has_moved(state):
                after = moved_back(tree, self._copies, node, after)
        tree.note_error(node, None)
        tree.change((node, after))
        doubtful.update(folder for folder in (state.parent, state.base_parent) if folder is not None)
        return True


def _led_outside(awaited: Mapping[Node, set[Node]]) -> list[Node]:
    """Those that wait for something that is not among them, be it by way of others."""
    waiting_for: defaultdict[Node, list[Node]] = defaultdict(list)
    for node, others in awaited.items():
        for other in others:
            waiting_for[other].append(node)
    todo = deque(other for other in waiting_for if other not in awaited)
    found: dict[Node, None] = {}
    while todo:
        for node in waiting_for[todo.popleft()]:
            if node not in found:
                found[node] = None
                todo.append(node)
    return list(found)


def _one_of_each_circle(awaited: Mapping[Node, set[Node]]) -> list[Node]:
    """Each of *awaited* waits for others of them, so that each way leads into a circle. Of each circle one
    that waits for its name, not for what is in it."""
    way_of: dict[Node, Node] = {}
    """By each node that was passed, the one from which the way began."""
    found = []
    for start in awaited:
        node, way = start, []
        while node not in way_of and awaited[node]:
            way_of[node] = start
            way.append(node)
            node = next(iter(awaited[node]))
        if way_of.get(node) is start:
            circle = way[way.index(node) :]
            found.append(next((each for each in circle if has_moved(each.state)), node))
    return found
