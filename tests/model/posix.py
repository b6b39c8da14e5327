"""A file system as POSIX has it, in dictionaries: what the mount is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class ModelNode:
    """A file or folder. ``whole``: the bytes of a file when its last writer closed it, None: that never
    happened. ``flushed``: they were closed by somebody else since, and not written to after that. A crash
    finds the flushed bytes, else the whole ones. ``is_written``: since they were whole."""

    is_folder: bool
    body: bytearray = field(default_factory=bytearray)
    whole: bytes | None = None
    flushed: bytes | None = None
    closes: int = 0
    """How many of its writers have closed it since the last write, a forked child's close among them."""
    is_written: bool = False
    mtime_ns: int | None = None
    """A time that was set, and that nothing has moved since."""
    mode: int | None = None
    """Permissions that were set."""
    target: str | None = None
    """Of a symbolic link."""
    children: dict[str, tuple[str, ModelNode]] = field(default_factory=dict)


@dataclass(eq=False)
class ModelHandle:
    """An open file; ``number`` is the mount's."""

    node: ModelNode
    number: int
    can_write: bool
    path: str
    """By which the kernel has it, as it was spelled."""


class ModelTree:
    """Names are equal when they differ in case alone, and keep the case they were given."""

    def __init__(self) -> None:
        self.root = ModelNode(is_folder=True)
        self.handles: list[ModelHandle] = []

    def find(self, path: str) -> ModelNode | None:
        node = self.root
        for name in _names(path):
            found = node.children.get(name.lower())
            if found is None:
                return None
            node = found[1]
        return node

    def parent(self, path: str) -> ModelNode | None:
        return self.find(path.rpartition("/")[0])

    def kind(self, path: str) -> str:
        node = self.find(path)
        if node is None:
            return "none"
        if node.target is not None:
            return "link"
        return "folder" if node.is_folder else "file"

    def can_make(self, path: str) -> bool:
        """Whether there is a folder for it."""
        parent = self.parent(path)
        return parent is not None and parent.is_folder

    def place(self, path: str, node: ModelNode) -> None:
        parent = self.parent(path)
        assert parent is not None
        name = path.rpartition("/")[2]
        parent.children[name.lower()] = (name, node)
        parent.mtime_ns = None

    def take(self, path: str) -> ModelNode:
        parent = self.parent(path)
        assert parent is not None
        parent.mtime_ns = None
        return parent.children.pop(path.rpartition("/")[2].lower())[1]

    def is_open(self, node: ModelNode) -> bool:
        return any(handle.node is node for handle in self.handles)

    def moved(self, source: str, target: str) -> None:
        """The kernel, which knows spellings, was told of a rename: other spellings lead where they led."""
        below = f"{source}/"
        for handle in self.handles:
            if handle.path == source or handle.path.startswith(below):
                handle.path = target + handle.path[len(source) :]

    def shows_older(self, path: str, node: ModelNode) -> bool:
        """Whether the kernel has another file as *path*, which is open: it tells the times of that one."""
        return any(handle.path == path and handle.node is not node for handle in self.handles)

    def may_rename(self, source: str, target: str) -> bool:
        moving, there = self.find(source), self.find(target)
        if moving is None or not self.can_make(target) or moving is self.root:
            return False
        if self.is_within(target, source):
            return False
        if there is None or there is moving:
            return True
        if moving.is_folder:
            return there.is_folder and not there.children
        return not there.is_folder

    def is_within(self, path: str, folder: str) -> bool:
        """Whether *path* lies below *folder*."""
        names, above = [n.lower() for n in _names(path)], [n.lower() for n in _names(folder)]
        return len(names) > len(above) and names[: len(above)] == above

    def walk(self, node: ModelNode | None = None, at: str = "") -> Iterator[tuple[str, ModelNode]]:
        for name, child in (node or self.root).children.values():
            yield f"{at}/{name}", child
            if child.is_folder:
                yield from self.walk(child, f"{at}/{name}")

    def tree(self) -> dict[str, bytes | None]:
        """Paths with the bytes of files, None for folders; without symbolic links."""
        return {
            path: None if node.is_folder else bytes(node.body)
            for path, node in self.walk()
            if node.target is None
        }

    def links(self) -> dict[str, str]:
        """Paths of symbolic links, with their targets."""
        return {path: node.target for path, node in self.walk() if node.target is not None}

    def wrote(self, node: ModelNode) -> None:
        node.flushed, node.closes, node.mtime_ns, node.is_written = None, 0, None, True

    def flush(self, node: ModelNode) -> None:
        """close(2) of one descriptor, of which a forked child, say, has another one."""
        node.flushed = bytes(node.body)
        node.closes += 1

    def opens(self, node: ModelNode) -> None:
        """It is opened for writing. If all its writers have closed it, nobody can tell a forked child's close
        from the last one: what was closed is a version from here on, and a crash takes nothing of it."""
        writers = sum(handle.node is node for handle in self.handles)
        if writers and node.flushed is not None and node.closes >= writers:
            node.whole, node.flushed, node.is_written = node.flushed, None, False

    def close(self, handle: ModelHandle) -> None:
        """close(2), the last of its descriptor."""
        self.handles.remove(handle)
        node = handle.node
        if any(other.node is node for other in self.handles):
            node.flushed = bytes(node.body)
        else:
            node.whole, node.flushed, node.closes, node.is_written = bytes(node.body), None, 0, False

    def crash(self) -> None:
        """Handles are gone; what was being written is as it was last closed, or was never there. A time that
        was set meanwhile lasts as long as the bytes."""
        opened = [handle.node for handle in self.handles]
        self.handles.clear()
        for node in opened:
            if node.flushed is not None:
                node.whole, node.flushed = node.flushed, None
            elif node.is_written:
                node.mtime_ns = None
            node.is_written = False
            if node.whole is not None:
                node.body = bytearray(node.whole)
        self._drop(self.root, {id(node) for node in opened if node.whole is None})

    def _drop(self, folder: ModelNode, torn: set[int]) -> None:
        for key, (_, child) in list(folder.children.items()):
            if id(child) in torn:
                del folder.children[key]
                folder.mtime_ns = None  # of the kill, if the file had its row already
            elif child.is_folder:
                self._drop(child, torn)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
