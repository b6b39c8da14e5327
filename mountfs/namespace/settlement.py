"""What the service acknowledged becomes part of the known remote tree, in one step with the journal."""

from __future__ import annotations

from dataclasses import replace

from mountfs.journal.comeback import times_after
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeEvent, ChangeKind
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.path import RemotePath
from mountfs.namespace.node import whole_seconds
from mountfs.namespace.snapshot import Snapshot


class Settlement:
    """The committer's way to end a change. Nobody sees a moment in which it is neither pending nor there."""

    def __init__(self, journal: Journal, snapshot: Snapshot) -> None:
        self._journal = journal
        self._snapshot = snapshot

    def acknowledge(self, change: Change, outcome: Entry | None) -> None:
        """COMMITTING -> COMMITTED: *outcome* stands at the change's path; None after a DELETE. What is
        pending on the revision it replaced, is so on the new one.

        The row's base_revision and content_hash become those of the new revision. StaleChange as ``advance``.
        """
        with self._journal.lock, self._journal.transaction():
            now = self._journal.get(change.id) or change
            match now.kind:
                case ChangeKind.PUT:
                    assert isinstance(outcome, File)
                    self._put(now, outcome)
                case ChangeKind.MKDIR:
                    made = outcome if isinstance(outcome, Folder) else Folder(now.path, "")
                    self._snapshot.made(replace(made, path=now.path))
                    self._journal.advance(now, ChangeEvent.ACKNOWLEDGED, job=None, error=None)
                case ChangeKind.DELETE:
                    self._snapshot.remove(now.path)
                    self._journal.forget_time(now.path)
                    self._journal.advance(now, ChangeEvent.ACKNOWLEDGED, job=None, error=None)
                case ChangeKind.MOVE:
                    self._move(now, outcome)
                case ChangeKind.SET_TIME:
                    assert isinstance(outcome, File)
                    self._set_time(now, outcome)

    def invalidate(self, path: RemotePath) -> None:
        """What is known of *path* and around it was wrong."""
        self._snapshot.invalidate(path)

    def _put(self, change: Change, file: File) -> None:
        # The name as we spelled it: a reply is only reliably cased in its last component.
        file = replace(file, path=change.path.parent.child(file.path.name))
        self._journal.advance(
            change,
            ChangeEvent.ACKNOWLEDGED,
            job=None,
            error=None,
            base_revision=file.revision,
            content_hash=file.content_hash,
        )
        self._snapshot.put(file)
        self._made_above(file.path)
        shown_ns = [change.mtime_ns, *(row.mtime_ns for row in times_after(self._journal, change))][-1]
        if whole_seconds(shown_ns) == whole_seconds(file.mtime_ns):
            self._journal.forget_time(file.path)
        else:
            # Identical bytes keep the service's old time, it takes no time from the future, and one that
            # was set meanwhile is still to be sent.
            self._journal.set_time(file.path, file.revision, shown_ns)
        for follower in self._journal.followers(change.id):
            self._journal.amend(
                follower, base_revision=file.revision, base_hash=file.content_hash, base_change=None
            )

    def _made_above(self, path: RemotePath) -> None:
        """A folder that was refused stands there all the same, if a file could be put below it."""
        for folder in self._journal.failed():
            if folder.kind is ChangeKind.MKDIR and path.is_below(folder.path):
                self._journal.advance(folder, ChangeEvent.SUPERSEDED)
                self._snapshot.invalidate(folder.path)

    def _set_time(self, change: Change, file: File) -> None:
        file = replace(file, path=change.path.parent.child(file.path.name))
        self._journal.advance(change, ChangeEvent.ACKNOWLEDGED, job=None, error=None)
        self._snapshot.put(file)
        shown_ns = change.mtime_ns
        for later in self._journal.replacing(change.base_revision) if change.base_revision else []:
            if any(at.key == file.path.key for at in later.paths):
                self._journal.amend(later, base_revision=file.revision)
                if later.kind is ChangeKind.SET_TIME:
                    shown_ns = later.mtime_ns
        if whole_seconds(shown_ns) == whole_seconds(file.mtime_ns):
            self._journal.forget_time(file.path)
        else:
            self._journal.set_time(file.path, file.revision, shown_ns)

    def _move(self, change: Change, outcome: Entry | None) -> None:
        assert change.source is not None
        self._journal.advance(change, ChangeEvent.ACKNOWLEDGED, job=None, error=None)
        if change.is_folder:
            self._carry_along(change, change.source)
        if outcome is None:
            self._snapshot.invalidate(change.source)
            self._snapshot.invalidate(change.path)
            return
        entry = replace(outcome, path=change.path)
        kept = None
        if isinstance(entry, File):
            # Set since it took effect, or before.
            kept = self._journal.time_of(entry.path, entry.revision)
            if kept is None:
                kept = self._journal.time_of(change.source, change.base_revision or entry.revision)
        self._journal.forget_time(change.source)
        if isinstance(entry, File) and kept is not None:
            self._journal.set_time(entry.path, entry.revision, kept)
        self._snapshot.move(change.source, entry)
        if isinstance(entry, File):
            self._follow_revision(change, entry)

    def _carry_along(self, move: Change, source: RemotePath) -> None:
        """What is never sent, or was refused, went with the folder it was shown in."""
        for change in self._journal.live():
            if change.seq >= move.seq:
                continue
            found = {"path": change.path, "source": change.source}
            fields = {
                name: at.moved(source, move.path) for name, at in found.items() if at and at.is_below(source)
            }
            if fields:
                self._journal.amend(change, **fields)

    def _follow_revision(self, move: Change, file: File) -> None:
        """A move may give the file a new revision: what is pending on it, wherever later renames take it, is
        about that one."""
        if move.base_revision is None or move.base_revision == file.revision:
            return
        for follower in self._journal.replacing(move.base_revision):
            self._journal.amend(follower, base_revision=file.revision)
