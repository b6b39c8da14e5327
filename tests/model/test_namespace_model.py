"""The merged tree against a dictionary: any calls, in any order, with commits and restarts in between."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mountfs.backends.memory import MemoryBackend
from mountfs.errors import (
    AlreadyExists,
    Conflict,
    CrossDevice,
    DirectoryNotEmpty,
    IsADirectory,
    MountfsError,
    NotADirectory,
    NotFound,
)
from mountfs.journal.comeback import come_back
from mountfs.journal.journal import Journal, StaleChange
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.entry import NS_PER_S, File
from mountfs.model.hashing import content_hash
from mountfs.model.names import is_local_only
from mountfs.model.path import ROOT, RemotePath
from mountfs.namespace.edits import Namespace
from mountfs.namespace.settlement import Settlement
from mountfs.namespace.snapshot import Snapshot
from mountfs.namespace.view import View
from mountfs.ports import Done, Order
from tests.fakes.clock import FakeClock

NAMES = st.sampled_from(["a", "b", "B", "~$l"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: RemotePath("".join("/" + n for n in names)))
BODIES = st.binary(max_size=3)
FOLDER = None


class Account:
    """Everything a mount has but the kernel and the bytes on disk."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend()
        self.database = directory / "journal.db"
        self.spool: dict[str, bytes] = {}
        self.open()

    def open(self) -> None:
        self.journal = Journal(self.database, self.clock)
        self.snapshot = Snapshot(self.journal.lock, self.clock, fresh_s=1e9)
        self.view = View(self.journal, self.snapshot, self.backend)
        self.names = Namespace(self.view, self.journal, self.backend.limits.names, self.clock)
        self.settlement = Settlement(self.journal, self.snapshot)

    def put(self, path: RemotePath, body: bytes) -> Change:
        name = f"s{len(self.spool)}"
        self.spool[name] = body
        return self.names.begin_put(path, name)

    def seal(self, change: Change) -> None:
        assert change.spool is not None
        now = self.journal.get(change.id) or change
        self.names.seal(change.id, len(self.spool[change.spool]), now.mtime_ns)

    def body(self, path: RemotePath) -> bytes | None:
        node = self.view.stat(path)
        if node.is_folder:
            return FOLDER
        if node.change is not None:
            return self.spool[node.change.spool or ""]
        assert isinstance(node.entry, File)
        return self.backend.read(node.entry, 0, 100)

    def tree(self, folder: RemotePath = ROOT) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for node in self.view.children(folder):
            assert node.path.key not in found, "a name stands twice"
            found[node.path.key] = self.body(node.path)
            if node.is_folder:
                found |= self.tree(node.path)
        return found

    def remote_tree(self, folder: RemotePath = ROOT) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for entry in self.backend.list_folder(folder):
            if isinstance(entry, File):
                found[entry.path.key] = self.backend.read(entry, 0, 100)
            else:
                found[entry.path.key] = FOLDER
                found |= self.remote_tree(entry.path)
        return found

    # A committer of the simplest kind

    def next_change(self) -> Change | None:
        earlier: list[Change] = []
        for change in self.journal.live():
            if any(is_local_only(path) for path in change.paths):
                continue
            blocked = any(change.overlaps(before) for before in earlier)
            ready = change.state in (ChangeState.SEALED, ChangeState.UPLOADED) and change.base_change is None
            if ready and not blocked:
                return change
            earlier.append(change)
        return None

    def send(self, change: Change) -> Change:
        body = b""
        if change.kind is ChangeKind.PUT and change.state is ChangeState.SEALED:
            body = self.spool[change.spool or ""]
            digest = content_hash(self.backend.limits.hash_kind, body)
            session = self.backend.upload_whole(body)
            change = self.journal.advance(
                change, ChangeEvent.UPLOAD_DONE, session=session, content_hash=digest
            )
        return self.journal.advance(change, ChangeEvent.COMMIT_SENT)

    def apply(self, change: Change) -> Any:
        order = Order(
            kind=change.kind,
            path=change.path,
            source=change.source,
            is_folder=change.is_folder,
            base_revision=change.base_revision,
            size_bytes=change.size_bytes,
            mtime_ns=change.mtime_ns,
            content_hash=change.content_hash or "",
            session=change.session,
        )
        launch = self.backend.submit([order])
        while not isinstance(launch, Done):
            launch = self.backend.poll(launch.job, [order])
        return launch.outcomes[0]

    def finish(self, change_id: int, outcome: Any) -> None:
        change = self.journal.get(change_id)
        assert change is not None
        if isinstance(outcome, Conflict) and change.base_hash is not None:
            there = self.backend.stat(change.path)
            assert isinstance(there, File)
            assert there.content_hash == change.base_hash, f"lost track of the base of {change}"
            again = self.journal.amend(change, base_revision=there.revision)
            outcome = self.apply(again)
        assert not isinstance(outcome, MountfsError), f"{change}: {outcome!r}"
        self.settlement.acknowledge(change, outcome)


class NamespaceMachine(RuleBasedStateMachine):
    """Each rule does one call on the account and on the dictionary, and expects the same of both."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.account = Account(Path(self.directory.name))
        self.model: dict[str, bytes | None] = {}
        self.times_ns: dict[str, int] = {}
        self.open: list[Change] = []
        self.in_flight: list[tuple[int, Any]] = []

    @initialize(tree=st.dictionaries(PATHS, BODIES, max_size=4))
    def begin_with_a_remote_tree(self, tree: dict[RemotePath, bytes]) -> None:
        for path, body in tree.items():
            if any(is_local_only(at) for at in (path, *path.ancestors())):
                continue
            try:
                for folder in reversed([at for at in path.ancestors() if not at.is_root]):
                    if self.kind(folder) == "none":
                        self.mkdir(folder)
                self.account.seal(self.account.put(path, body))
            except (NotFound, NotADirectory, IsADirectory):
                continue
            self.written(path, body)
        self.commit_everything()

    def written(self, path: RemotePath, body: bytes) -> None:
        self.model[path.key] = body
        self.times_ns[path.key] = self.account.clock.wall_ns()

    def kind(self, path: RemotePath) -> str:
        if path.is_root:
            return "folder"
        if path.key not in self.model:
            return "none"
        return "folder" if self.model[path.key] is FOLDER else "file"

    def below(self, path: RemotePath) -> list[str]:
        return [key for key in self.model if key.startswith(path.key + "/")]

    def missing_parent(self, path: RemotePath) -> type[MountfsError] | None:
        for at in reversed(list(path.ancestors())):
            kind = self.kind(at)
            if kind != "folder":
                return NotADirectory if kind == "file" else NotFound
        return None

    @rule(path=PATHS, body=BODIES, closes=st.booleans())
    def put(self, path: RemotePath, body: bytes, closes: bool) -> None:
        expected = self.missing_parent(path) or (IsADirectory if self.kind(path) == "folder" else None)
        if expected is not None:
            with pytest.raises((NotFound, NotADirectory) if expected is not IsADirectory else IsADirectory):
                self.account.put(path, body)
            return
        if self.kind(path) == "file":
            change = self.account.view.stat(path).change
            if change is not None and change.state is ChangeState.OPEN:
                return  # a file system writes on in the file that is open
        self.account.clock.advance(1.0)
        change = self.account.put(path, body)
        self.written(path, body)
        if closes:
            self.account.seal(change)
        else:
            self.open.append(change)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        change = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        live = self.account.journal.get(change.id)
        if live is None or live.state is not ChangeState.OPEN:
            with pytest.raises(StaleChange):
                self.account.seal(change)
        else:
            self.account.seal(change)

    @precondition(lambda self: any(body is not FOLDER for body in self.model.values()))
    @rule(data=st.data(), time_s=st.integers(10**9, 10**9 + 3))
    def touch(self, data: st.DataObject, time_s: int) -> None:
        files = sorted(key for key, body in self.model.items() if body is not FOLDER)
        key = data.draw(st.sampled_from(files))
        self.account.names.set_mtime(RemotePath(key), time_s * NS_PER_S)
        if any(change.kind is ChangeKind.MOVE and change.is_folder for change in self.account.journal.live()):
            self.times_ns.pop(key, None)  # that may lose it
        else:
            self.times_ns[key] = time_s * NS_PER_S

    @rule(path=PATHS)
    def mkdir(self, path: RemotePath) -> None:
        if self.missing_parent(path) is not None or self.kind(path) != "none":
            with pytest.raises((NotFound, NotADirectory, AlreadyExists)):
                self.account.names.mkdir(path)
            return
        self.account.names.mkdir(path)
        self.model[path.key] = FOLDER

    @rule(path=PATHS)
    def unlink(self, path: RemotePath) -> None:
        if self.kind(path) != "file":
            with pytest.raises((NotFound, NotADirectory, IsADirectory)):
                self.account.names.unlink(path)
            return
        self.account.names.unlink(path)
        del self.model[path.key]
        self.times_ns.pop(path.key, None)

    @rule(path=PATHS)
    def rmdir(self, path: RemotePath) -> None:
        if self.kind(path) != "folder" or self.below(path):
            with pytest.raises((NotFound, NotADirectory, DirectoryNotEmpty)):
                self.account.names.rmdir(path)
            return
        self.account.names.rmdir(path)
        del self.model[path.key]

    @rule(source=PATHS, to=PATHS)
    def rename(self, source: RemotePath, to: RemotePath) -> None:
        target = to
        if not self.may_rename(source, target):
            with pytest.raises(MountfsError):
                self.account.names.rename(source, target)
            return
        try:
            self.account.names.rename(source, target)
        except CrossDevice:
            assert is_local_only(source) != is_local_only(target)
            return
        if self.kind(target) == "folder" and source.key != target.key:
            del self.model[target.key]
        if self.kind(source) == "folder":
            # Times that the service does not have stay behind.
            self.times_ns = {
                key: time_ns for key, time_ns in self.times_ns.items() if key not in self.below(source)
            }
        moved = {key: self.model.pop(key) for key in [source.key, *self.below(source)]}
        self.model.update({target.key + key[len(source.key) :]: body for key, body in moved.items()})
        if source.key in self.times_ns:
            self.times_ns[target.key] = self.times_ns.pop(source.key)
        else:
            self.times_ns.pop(target.key, None)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=PATHS)
    def rename_what_is_there(self, data: st.DataObject, to: RemotePath) -> None:
        """Most paths are of nothing; the cases are in what becomes of something."""
        self.rename(RemotePath(data.draw(st.sampled_from(sorted(self.model)))), to)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove_what_is_there(self, data: st.DataObject) -> None:
        path = RemotePath(data.draw(st.sampled_from(sorted(self.model))))
        (self.rmdir if self.kind(path) == "folder" else self.unlink)(path)

    def may_rename(self, source: RemotePath, target: RemotePath) -> bool:
        if self.kind(source) == "none" or self.missing_parent(source) or self.missing_parent(target):
            return False
        if target.is_below(source):
            return False
        if source.key == target.key:
            return True
        kinds = self.kind(source), self.kind(target)
        return (
            kinds[1] == "none"
            or kinds == ("file", "file")
            or (kinds == ("folder", "folder") and not self.below(target))
        )

    @rule(is_applied=st.booleans())
    def send_one(self, is_applied: bool) -> None:
        change = self.account.next_change()
        if change is None:
            return
        change = self.account.send(change)
        self.in_flight.append((change.id, self.account.apply(change) if is_applied else ...))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), name=NAMES, is_sent=st.booleans(), is_applied=st.booleans())
    def rename_what_stands(self, data: st.DataObject, name: str, is_sent: bool, is_applied: bool) -> None:
        """A rename to where it can go. *is_sent*: on its way at once, as all before it is over."""
        if is_sent:
            self.commit_what_is_ready()
        source = RemotePath(data.draw(st.sampled_from(sorted(self.model))))
        folders = [ROOT, *(RemotePath(key) for key, body in sorted(self.model.items()) if body is FOLDER)]
        self.rename(source, data.draw(st.sampled_from(folders)).child(name))
        if is_sent:
            self.send_one(is_applied)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove_what_stands(self, data: st.DataObject) -> None:
        path = RemotePath(data.draw(st.sampled_from(sorted(self.model))))
        (self.rmdir if self.kind(path) == "folder" else self.unlink)(path)

    @rule(path=PATHS, body=BODIES)
    def put_what_is_sent(self, path: RemotePath, body: bytes) -> None:
        """It is on its way at once, as all before it is over."""
        self.commit_what_is_ready()
        self.put(path, body, closes=True)
        self.send_one(is_applied=False)

    @precondition(lambda self: self.in_flight)
    @rule()
    def hear_of_one(self) -> None:
        change_id, outcome = self.in_flight.pop(0)
        if outcome is ...:
            change = self.account.journal.get(change_id)
            assert change is not None
            outcome = self.account.apply(change)
        self.account.finish(change_id, outcome)

    @precondition(lambda self: any(outcome is ... for _, outcome in self.in_flight))
    @rule()
    def put_one_off(self) -> None:
        """The service is busy: what was sent, and not carried out, is to be sent again."""
        at = next(at for at, (_, outcome) in enumerate(self.in_flight) if outcome is ...)
        change_id, _ = self.in_flight.pop(at)
        change = self.account.journal.get(change_id)
        assert change is not None
        with self.account.journal.transaction():
            self.account.journal.advance(change, ChangeEvent.RETRY)
            come_back(self.account.journal, [change.id])

    @rule(data=st.data(), names=st.lists(PATHS, max_size=2))
    def send_one_in_vain(self, data: st.DataObject, names: list[RemotePath]) -> None:
        """It is renamed on its way; then the service turns out to be busy, or to have lost the bytes."""
        change = self.account.next_change()
        if change is None:
            return
        change = self.account.send(change)
        for source, target in pairwise([change.path, *names]):
            self.rename(source, target)
        is_lost = change.kind is ChangeKind.PUT and data.draw(st.booleans())
        with self.account.journal.transaction():
            self.account.journal.advance(change, ChangeEvent.RESEND if is_lost else ChangeEvent.RETRY)
            come_back(self.account.journal, [change.id])

    @rule()
    def forget_what_was_listed(self) -> None:
        self.account.snapshot.forget_all()

    @rule(path=PATHS)
    def forget_one_listing(self, path: RemotePath) -> None:
        """Listings are not all of one age: the cache is bounded, and what others do has one listed anew."""
        self.account.snapshot.invalidate(path)

    @rule()
    def restart(self) -> None:
        self.account.journal.close()
        self.account.open()

    @invariant()
    def shows_what_the_calls_made(self) -> None:
        assert self.account.tree() == self.model
        shown_ns = {key: self.account.view.stat(RemotePath(key)).mtime_ns for key in self.times_ns}
        assert shown_ns == self.times_ns

    def commit_everything(self) -> None:
        while self.open:
            change = self.open.pop()
            try:
                self.account.seal(change)
            except StaleChange:
                continue
        self.commit_what_is_ready()

    def commit_what_is_ready(self) -> None:
        while self.in_flight:
            self.hear_of_one()
        while (change := self.account.next_change()) is not None:
            change = self.account.send(change)
            self.account.finish(change.id, self.account.apply(change))

    def teardown(self) -> None:
        try:
            self.commit_everything()
            self.shows_what_the_calls_made()
            left = [
                c for c in self.account.journal.live() if not any(is_local_only(path) for path in c.paths)
            ]
            assert left == []
            remote = {key: body for key, body in self.model.items() if not is_local_only(RemotePath(key))}
            assert self.account.remote_tree() == remote
        finally:
            self.account.journal.close()
            self.directory.cleanup()


NamespaceMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestNamespace = NamespaceMachine.TestCase
