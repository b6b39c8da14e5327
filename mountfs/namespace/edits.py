"""Every call that changes the tree, as rows of the journal, folded into what is still ours to change."""

from __future__ import annotations

from mountfs.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    IsADirectory,
    NotADirectory,
    NotFound,
    NotPermitted,
)
from mountfs.journal.journal import Journal, StaleChange
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.names import NameRules, is_local_only
from mountfs.model.path import RemotePath
from mountfs.namespace.chains import Chains
from mountfs.namespace.node import Node
from mountfs.namespace.renames import Renames
from mountfs.namespace.times import Times
from mountfs.namespace.view import View
from mountfs.ports import Clock


class Namespace:
    """Mutating calls. Each is one transaction, made under the account's lock after it has looked."""

    def __init__(
        self, view: View, journal: Journal, names: NameRules, clock: Clock, *, carries_times: bool = False
    ) -> None:
        """*carries_times*: whether the service takes the time of a file without its bytes."""
        self._view = view
        self._journal = journal
        self._names = names
        self._clock = clock
        self._chains = Chains(journal, view.overlay)
        self._renames = Renames(view, journal, self._chains, clock)
        self._times = Times(journal, view.overlay, clock, are_carried=carries_times)

    def is_blocked(self, change: Change) -> bool:
        """Whether something earlier is pending on the path of *change*, above it or below it. Under the
        account's lock."""
        return self._chains.is_blocked(change)

    # Files

    def begin_put(self, path: RemotePath, spool: str, *, exclusive: bool = False) -> Change:
        """An OPEN change for new bytes at *path*, kept in the spool file *spool*.

        AlreadyExists if *exclusive* and something is there; NotFound or NotADirectory for the folder it
        would be in; IsADirectory; NameNotAllowed, NameTooLong; NotPermitted for a document without bytes.
        """

        def decide() -> Change:
            node = self._view.find(path)
            if node is None:
                self._check_new(path)
                return self._add_put(path, spool)
            if exclusive:
                raise AlreadyExists(f"{path} exists")
            if node.is_folder:
                raise IsADirectory(f"{path} is a folder")
            if node.change is not None:
                return self._add_put(node.path, spool, base_change=node.change.id)
            assert isinstance(node.entry, File)
            if not node.entry.is_downloadable:
                raise NotPermitted(f"{path} is a document without bytes of its own")
            return self._add_put(
                node.path, spool, base_revision=node.entry.revision, base_hash=node.entry.content_hash
            )

        return self._view.loaded(decide)

    def flush(self, change_id: int, size_bytes: int, mtime_ns: int) -> None:
        """close() was called: from here on a crash publishes the *size_bytes* that were written."""
        with self._journal.lock:
            change = self._open(change_id)
            self._journal.amend(
                change, is_flushed=True, is_synced=False, size_bytes=size_bytes, mtime_ns=mtime_ns
            )

    def unflush(self, change_id: int) -> bool:
        """It is being written to again: a crash finds it torn. Call before the first byte.

        Whether the closed bytes were marked as safe from power loss; then sync the journal before that byte.
        """
        with self._journal.lock:
            change = self._open(change_id)
            if change.is_flushed:
                self._journal.amend(change, is_flushed=False, is_synced=False)
            return change.is_flushed and change.is_synced

    def seal(self, change_id: int, size_bytes: int, mtime_ns: int) -> Change:
        """The last writer is gone: the bytes are whole and may travel. StaleChange if it was removed."""
        with self._journal.transaction():
            change = self._open(change_id)
            sealed = self._journal.advance(
                change,
                ChangeEvent.SEAL,
                size_bytes=size_bytes,
                mtime_ns=mtime_ns,
                is_flushed=False,
                is_synced=change.is_synced and change.is_flushed and change.size_bytes == size_bytes,
                touched_ns=self._clock.wall_ns(),
            )
            self._times.drop(sealed.path)
            return self._chains.absorb(sealed)

    def set_mtime(self, path: RemotePath, mtime_ns: int) -> None:
        """Carried by the commit while one is due; else kept here for as long as the revision lasts, and
        sent by itself where the service takes that."""

        def decide() -> None:
            node = self._view.node(path)
            change = node.change
            with self._journal.transaction():
                if change is not None and change.kind is ChangeKind.PUT:
                    if not self._times.are_sent_after(change):
                        self._journal.amend(change, mtime_ns=mtime_ns)
                elif isinstance(node.entry, File):
                    self._journal.set_time(node.entry.path, node.entry.revision, mtime_ns)
                else:
                    self._journal.set_time(path, "", mtime_ns)
                    return
                self._times.set(node, mtime_ns)

        self._view.loaded(decide)

    def unlink(self, path: RemotePath) -> None:
        """Removes a file. NotFound, IsADirectory."""

        def decide() -> None:
            if self._view.unhide(path) is not None:
                return
            node = self._view.node(path)
            if node.is_folder:
                raise IsADirectory(f"{path} is a folder")
            with self._journal.transaction():
                self._chains.remove(node, path)
                self._chains.forget_refused(path)
                self._times.drop(path)

        self._view.loaded(decide)

    # Folders

    def mkdir(self, path: RemotePath) -> None:
        """Makes a folder. AlreadyExists; as ``begin_put`` for the folder above and the name."""

        def decide() -> None:
            if self._view.find(path) is not None:
                raise AlreadyExists(f"{path} exists")
            self._check_new(path)
            self._journal.add(ChangeKind.MKDIR, path, ChangeState.UPLOADED, is_folder=True)

        self._view.loaded(decide)

    def rmdir(self, path: RemotePath) -> None:
        """Removes an empty folder. NotFound, NotADirectory, DirectoryNotEmpty."""

        def decide() -> None:
            node = self._view.node(path)
            self._check_empty(node, path)
            with self._journal.transaction():
                self._chains.remove(node, path)
                self._chains.forget_refused(path)
                self._journal.forget_folder_times(path)

        self._view.loaded(decide)

    def rename(self, source: RemotePath, target: RemotePath, *, no_replace: bool = False) -> None:
        """As rename(2). NotFound, AlreadyExists if *no_replace*, IsADirectory, NotADirectory,
        DirectoryNotEmpty, InvalidArgument (into itself), names as ``begin_put``; CrossDevice when only a
        copy can do it (something remote to a name that never leaves this machine)."""

        def decide() -> None:
            node = self._view.node(source)
            occupant = None if source.key == target.key else self._view.find(target)
            if occupant is not None and no_replace:
                raise AlreadyExists(f"{target} exists")
            if occupant is None:
                self._check_new(target)
            elif node.is_folder:
                self._check_empty(occupant, target)
            elif occupant.is_folder:
                raise IsADirectory(f"{target} is a folder")
            if source.text != target.text:
                with self._journal.transaction():
                    if occupant is not None:
                        self._times.drop(target)
                    self._renames.rename(node, source, target, occupant)
                    self._chains.forget_refused(source)
                    self._times.follow(source, target)

        self._view.loaded(decide)

    # Inside

    def _add_put(
        self,
        path: RemotePath,
        spool: str,
        *,
        base_revision: str | None = None,
        base_hash: str | None = None,
        base_change: int | None = None,
    ) -> Change:
        return self._journal.add(
            ChangeKind.PUT,
            path,
            ChangeState.OPEN,
            spool=spool,
            mtime_ns=self._clock.wall_ns(),
            base_revision=base_revision,
            base_hash=base_hash,
            base_change=base_change,
        )

    def _open(self, change_id: int) -> Change:
        change = self._journal.get(change_id)
        if change is None or change.state is not ChangeState.OPEN:
            raise StaleChange(f"change {change_id} is no longer open")
        return change

    def _check_new(self, path: RemotePath) -> None:
        """Whether something new may be made at *path*, where nothing stands."""
        if not is_local_only(path):
            self._names.check(path.name)
        folder = self._view.find(path.parent)
        if folder is None:
            raise NotFound(f"{path.parent} does not exist")
        if not folder.is_folder:
            raise NotADirectory(f"{path.parent} is a file")

    def _check_empty(self, node: Node, path: RemotePath) -> None:
        if not node.is_folder:
            raise NotADirectory(f"{path} is a file")
        if self._view.has_children(path):
            raise DirectoryNotEmpty(f"{path} is not empty")
