"""All open files of an account: which one has the bytes of a node, and the handles on each."""

from __future__ import annotations

import os
from collections.abc import Callable

from mountfs.errors import NotFound
from mountfs.files.handle import Handle
from mountfs.files.keys import Key, content_key, revision_key
from mountfs.files.openfile import OpenFile
from mountfs.files.pages import Pages
from mountfs.files.services import Services
from mountfs.files.sizes import Sizes
from mountfs.model.entry import File
from mountfs.model.lent import Lent
from mountfs.model.names import is_unlinked
from mountfs.spool.spoolfile import SpoolFile
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.replaced import check_synced


class OpenFiles:
    """A version of a node is one open file, however many handles it has. Guarded by the account's lock, so
    that a caller learns in one step what a node is and which open file has its bytes."""

    def __init__(
        self,
        services: Services,
        watch: Callable[[Callable[[Node, State, State], None]], None],
        *,
        passes_pages: bool = True,
    ) -> None:
        """*watch*: of the tree, whose outcomes make open files revisions. *passes_pages*: whether what fills
        a file may pass the kernel's pages by (``mountfs.fuse.kernel``)."""
        self._passes_pages = passes_pages
        self.on_left: Callable[[], None] = lambda: None
        """Called when ``finish_left`` has something to do."""
        self._services = services
        self._files: dict[int, list[OpenFile]] = {}
        self._hidden: dict[str, OpenFile] = {}
        """Removed files that are still open, by the name that libfuse has given each. No such name is in the
        tree."""
        self._left: list[OpenFile] = []
        """Files without handles whose last version the store did not take, on a full disk for example."""
        self._pages = Pages()
        self.sizes = Sizes(services.clock)
        watch(self._note)

    def __len__(self) -> int:
        return sum(map(len, self._files.values()))

    def told_size(self, file: OpenFile, path: str | None) -> None:
        """The kernel is being told the size of the open *file*, of which it asks by a handle. libfuse names
        no *path* with it, and the kernel keeps the size for all handles of the path: also for those that are
        opened after somebody else has changed the file."""
        with self._services.lock:
            for each in self._pages.paths_of(file) if path is None else [path]:
                self.sizes.told(each, file.node.id, file.size_bytes)

    def all(self) -> list[OpenFile]:
        """Every open file."""
        with self._services.lock:
            return [file for files in self._files.values() for file in files]

    def is_open(self, path: str) -> bool:
        """Whether a file is open by that path. Any thread, with the lock or without."""
        return self._pages.is_open(path)

    # Looking, under the lock

    def first_of(self, path: str) -> OpenFile | None:
        """What was opened by that path first, of what is open; it may have lost its name to others."""
        return self._pages.first_of(path)

    def writing(self, node: Node) -> OpenFile | None:
        """The open file that writes to *node*: it knows size and time, which the tree learns at the close."""
        files = self._files.get(node.id)
        if not files:
            return None
        draft = node.state.draft
        if draft is None:
            return None
        return next((one for one in files if one.content is not None and one.content.id == draft.id), None)

    def showing(self, node: Node) -> OpenFile | None:
        """The open file with the bytes that *node* has now."""
        files = self._files.get(node.id)
        if not files:
            return None
        state = node.state
        ours = state.draft or state.content
        if ours is not None:
            return next((one for one in files if one.content is not None and one.content.id == ours.id), None)
        base = state.base
        if not isinstance(base, File):
            return None
        return next((one for one in files if one.shows(base)), None)

    def read_as(self, path: str, node: Node) -> OpenFile | None:
        """An open file with an older version, whose pages the kernel has under *path*: of *node*, or of what
        stood there before. stat(2) must tell that one's size. The kernel keeps one size for the inode: a
        smaller one would cut off readers of the older version, a larger one would show them zeros behind its
        end."""
        file = self._pages.file_of(path)
        return None if file is None or file is self.showing(node) else file

    def forget_older(self, path: str, node: Node) -> None:
        """*node* is about to be opened to write, as *path*: from here on stat(2) tells its own size. Were it
        that of an older version (``read_as``), a program would append in a wrong place (SEEK_END)."""
        if self.read_as(path, node) is not None:
            self._pages.forget(path)

    # Opening, under the lock

    def open(
        self, node: Node, path: str, flags: int, *, is_ours: bool = False, may_be_lost: bool = False
    ) -> Handle:
        """A handle on the file *node*, which was opened as *path*; *is_ours*: the kernel knows nothing of it.
        OSError when its spool file cannot be opened. NotSynced, before anything is changed, where a version
        that was closed is to be kept apart, and power loss would take it, but not what it replaces;
        *may_be_lost*: that was seen to as far as possible."""
        file = self.showing(node)
        if file is None:
            file = self._opened(node)
        elif file.is_left and flags & (os.O_ACCMODE | os.O_TRUNC) != os.O_RDONLY:
            # `echo a >f; echo b >>f`: the second may open it before the first is released. A crash in the
            # middle of the second takes what that wrote, and not what was closed.
            if not may_be_lost:
                check_synced(node, node)
            file.seal_if_flushed(is_safe=True)  # syncs nothing: who syncs the journal asks for the lock
        return self._handle(file, path, flags, is_ours=is_ours)

    def created(self, node: Node, path: str, spool_file: SpoolFile, flags: int, *, is_ours: bool) -> Handle:
        """A handle on a new, empty file, whose draft was just begun; *is_ours* as in ``open``."""
        draft = node.state.draft
        assert draft is not None
        file = OpenFile(
            self._services,
            node,
            content=draft,
            spool_file=spool_file,
            is_draft=True,
            on_rekey=self._rekeyed,
        )
        self._belongs_to(file, node)
        self.sizes.replaced(path)
        return self._handle(file, path, flags, is_new=True, is_ours=is_ours)

    def lend(self, handle: Handle, offset: int, length: int) -> Lent | None:
        """An open file that has just these bytes at *offset*, of a revision that *handle* shows. None: they
        are to be read by ``OpenFile``, as of a handle that has no pages: the kernel does not ask again for
        what could not be read there."""
        file = handle.file.file
        if file is None or handle.is_direct or not handle.can_read:
            return None
        handle.file.was_read = True
        return self._services.reader.lend(file, offset, length)

    def release(self, handle: Handle) -> None:
        """A handle is closed. After the last writer the bytes may be sent, after the last handle the file is
        closed. Not under the lock. Raises what the store raises; ``finish_left`` then does the rest."""
        file = handle.file
        with self._services.lock:
            file.writers -= handle.is_writer
            file.closes -= handle.is_writer and file.closes > 0
            file.bypasses -= handle.is_direct and handle.can_write
            file.fillers -= handle.fills
        try:
            self._finish(file)
        except BaseException:
            self.on_left()
            raise

    def finish_left(self) -> None:
        """Has the versions in ``_left`` sent; raises what the store raises."""
        for _ in range(len(self._left)):
            with self._services.lock:
                file = self._left.pop(0)
            self._finish(file)

    def _finish(self, file: OpenFile) -> None:
        try:
            if not file.writers and file.is_writing:
                file.seal_if_idle()
        except BaseException:
            with self._services.lock:
                self._left.append(file)
            raise
        with self._services.lock:
            file.handles -= 1
            is_last = not file.handles
            if is_last:
                self._remove(file)
        if is_last:
            file.close()

    # Names, under the lock

    def renamed(self, node: Node, source: str, target: str) -> None:
        """From here on the kernel has as *target* what it had as *source*."""
        if node.folder is None:
            self._pages.renamed(source, target)
            self.sizes.renamed(source, target)
        else:
            self._pages.renamed_below(source, target)
            self.sizes.renamed_below(source, target)

    def removed(self, node: Node, path: str) -> None:
        """The file *node* was removed, and the kernel has nothing as *path*; by another spelling it may be
        open."""
        self._pages.removed(path)
        for file in self._files_of(node):
            file.hide()

    def hide(self, node: Node, path: str, hidden: str) -> None:
        """The file *node* was removed at *path*, by which something is still open: *node*, or what others
        have replaced by it. libfuse calls that *hidden* (``.fuse_hidden...``) from here on."""
        files = self._files_of(node)
        self._note_hidden(hidden, files[-1] if files else self._pages.first_of(path))
        for each in files:
            each.hide()

    def hide_gone(self, path: str, hidden: str) -> None:
        """As ``hide``, of what is open as *path*, where nothing is any more."""
        self._note_hidden(hidden, self._pages.first_of(path))
        self._pages.renamed(path, hidden)
        self.sizes.renamed(path, hidden)

    def hidden(self, path: str) -> OpenFile | None:
        """The removed file that is still open, and that libfuse calls by *path*. Any thread, with the lock or
        without."""
        name = path.rpartition("/")[2]
        if not is_unlinked(name):
            return None
        with self._services.lock:
            return self._hidden.get(name)

    def open_hidden(self, name: str, path: str, flags: int) -> Handle:
        """One more handle on a removed file, as by /proc/self/fd. NotFound."""
        file = self._hidden.get(name)
        if file is None:
            raise NotFound(f"{name} does not exist")
        return self._handle(file, path, flags)

    def forget_hidden(self, name: str) -> bool:
        """libfuse removes *name*, after the last handle; whether a removed file had that name."""
        return self._hidden.pop(name, None) is not None

    # Inside

    def _note_hidden(self, path: str, file: OpenFile | None) -> None:
        """libfuse calls *file* by *path* from here on; None: what it renamed is not open here."""
        if file is not None:
            self._hidden[path.rpartition("/")[2]] = file

    def _files_of(self, node: Node) -> list[OpenFile]:
        return [file for file in self._files.get(node.id, ()) if file.node is node]

    def _opened(self, node: Node) -> OpenFile:
        state = node.state
        ours = state.draft or state.content
        if ours is not None:
            file = OpenFile(
                self._services,
                node,
                content=ours,
                spool_file=self._services.spool.open(ours.spool),
                is_draft=ours is state.draft,
                on_rekey=self._rekeyed,
            )
        else:
            if not isinstance(state.base, File):
                raise NotFound(f"{path_of(node)} has no bytes")
            file = OpenFile(
                self._services, node, file=state.base, mtime_ns=state.mtime_ns, on_rekey=self._rekeyed
            )
        self._belongs_to(file, node)
        return file

    def _belongs_to(self, file: OpenFile, node: Node) -> None:
        self._files.setdefault(node.id, []).append(file)
        file.nodes.append(node)
        node.pins += 1

    def _remove(self, file: OpenFile) -> None:
        for node in file.nodes:
            files = self._files.get(node.id, [])
            files.remove(file)
            node.pins -= 1
            if not files:
                del self._files[node.id]
        file.nodes.clear()
        self._pages.closed(file)
        for name in [name for name, hidden in self._hidden.items() if hidden is file]:
            del self._hidden[name]

    def _handle(
        self, file: OpenFile, path: str, flags: int, *, is_new: bool = False, is_ours: bool = False
    ) -> Handle:
        access = flags & os.O_ACCMODE
        can_write = access != os.O_RDONLY
        is_writer = can_write or is_new or bool(flags & os.O_TRUNC)
        is_emptied = (is_new or bool(flags & os.O_TRUNC)) and not flags & os.O_APPEND  # a log stays open
        is_alone = self._passes_pages and not is_ours and not file.handles
        is_first = access == os.O_WRONLY and is_emptied and is_alone
        fills = is_first or (can_write and file.is_filled)  # what that one writes passes the pages by, too
        keep_cache, is_direct = self._pages.opened(
            file, path, can_write=can_write, is_filled=fills or file.is_filled, is_ours=is_ours
        )
        file.handles += 1
        file.fillers += fills
        file.writers += is_writer
        return Handle(
            file,
            can_read=access != os.O_WRONLY,
            can_write=can_write,
            is_append=bool(flags & os.O_APPEND),
            is_writer=is_writer,
            keep_cache=keep_cache,
            is_direct=is_direct,
            fills=fills,
        )

    def _rekeyed(self, file: OpenFile, before_key: Key) -> None:
        """*file* shows other bytes than before, which may be those of another node from here on."""
        if file.node not in file.nodes:
            self._belongs_to(file, file.node)
        self._pages.rekeyed(file, before_key)

    def _note(self, node: Node, before: State, after: State) -> None:
        """The tree's listener: a version of ours that became a revision is the same bytes."""
        content = before.content
        base = after.base
        if content is None or before.flight is None or after.flight is not None or not isinstance(base, File):
            return
        sent = before.flight.content
        if sent is None or base is before.base or base.content_hash != sent.content_hash:
            return
        self._pages.became(content_key(sent), revision_key(base.revision))
        for file in self._files.get(node.id, ()):
            file.committed(sent.id, base)
