"""rename(2) on what is pending, what is on its way, and what is on the far side."""

from __future__ import annotations

from mountfs.errors import CrossDevice, InvalidArgument
from mountfs.journal.comeback import revive
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.entry import File
from mountfs.model.names import is_local_only, is_unlinked
from mountfs.model.path import RemotePath
from mountfs.namespace.chains import Base, Chains
from mountfs.namespace.node import Node
from mountfs.namespace.view import View
from mountfs.ports import Clock


class Renames:
    """The cases of a rename. Pending bytes simply get the new name; what the service has, or is just being
    given, is moved by it. Whatever stood at the target is replaced in one commit where bytes of ours are
    pending, and otherwise goes only right before the move, so that the cloud never has neither."""

    def __init__(self, view: View, journal: Journal, chains: Chains, clock: Clock) -> None:
        self._view = view
        self._journal = journal
        self._chains = chains
        self._clock = clock

    def rename(self, node: Node, source: RemotePath, target: RemotePath, occupant: Node | None) -> None:
        """*node*, shown at *source*, gets the name *target*, where *occupant* stands."""
        if target.is_below(source):
            raise InvalidArgument(f"{source} cannot be moved into itself")
        change = node.change
        if change is not None and change.kind is ChangeKind.PUT and self._chains.is_ours(change):
            with self._journal.transaction():
                self._rename_put(change, source, target, occupant)
            return
        if is_local_only(target) and not is_local_only(source):
            if not is_unlinked(target.name) or node.is_folder:
                raise CrossDevice(f"{target.name} stays on this machine, {source} is on the service's")
            with self._journal.transaction():
                self._chains.remove(node, source)
            self._view.hide(node, target)
            return
        with self._journal.transaction():
            if node.is_folder and source.key != target.key:
                # They are kept by name: whatever is made there next must not find them.
                self._journal.forget_folder_times(source)
                self._journal.forget_folder_times(target)
            if (
                change is not None
                and change.kind is ChangeKind.MKDIR
                and self._rename_new_folder(change, source, target, occupant)
            ):
                return
            self._move(node, source, target, occupant)

    # Bytes of ours

    def _rename_put(self, put: Change, source: RemotePath, target: RemotePath, occupant: Node | None) -> None:
        members = self._chains.chain(put)
        ground = self._chains.ground(members)
        replaced = None if occupant is None else self._chains.base_of(occupant)
        if put.is_whole:
            for older in members[1:]:
                self._chains.drop(older)
            if occupant is not None and occupant.change is not None and self._chains.is_ours(occupant.change):
                for older in self._chains.chain(occupant.change):
                    self._chains.drop(older)
            members = [put]
        elif occupant is not None and occupant.change is not None:
            # Still being written: what it replaces stays until it is whole.
            replaced = Base(change=occupant.change.id)
        if ground and not replaced and not is_local_only(target):
            # What it was to replace takes the new name first and keeps its id and history. A name that
            # only changes its case needs that too: a commit onto it keeps the spelling that stands there.
            self._journal.add(
                ChangeKind.MOVE,
                target,
                ChangeState.UPLOADED,
                source=source,
                base_revision=ground.revision,
                base_change=ground.change,
            )
            replaced = ground
        self._retarget(members, target, replaced or Base())
        if ground and replaced is not ground:
            self._delete(source, ground)

    def _retarget(self, members: list[Change], target: RemotePath, base: Base) -> None:
        """Gives a chain, newest first, its new name; *base* is what its oldest member replaces there."""
        below: Change | None = None
        for member in reversed(members):
            member_base = base if below is None else Base(change=below.id)
            below = self._journal.move_to_end(
                revive(self._journal, member),
                path=target,
                base_revision=member_base.revision,
                base_hash=member_base.content_hash,
                base_change=member_base.change,
                touched_ns=self._clock.wall_ns(),
            )
        assert below is not None
        self._chains.absorb_delete(below)

    def _rename_new_folder(
        self, folder: Change, source: RemotePath, target: RemotePath, occupant: Node | None
    ) -> bool:
        """A folder that was not sent yet, with all in it, gets the new name; whether that was possible."""
        if not folder.is_malleable or folder.path.key != source.key or occupant is not None:
            return False
        inside: list[Change] = []
        around: list[Change] = []
        # What is older was done in another folder of that name, and went away with it.
        for change in self._chains.overlapping(source, after=folder.seq):
            (inside if change.path.is_below(source) else around).append(change)
        if around or any(self._is_fixed(change, source, target) for change in inside):
            return False
        is_refused = folder.state is ChangeState.FAILED
        for change in [folder, *inside]:
            # What is in a folder that was refused may have been refused for its name.
            self._journal.move_to_end(
                revive(self._journal, change) if is_refused else change,
                path=change.path.moved(source, target),
                touched_ns=self._clock.wall_ns(),
            )
        return True

    def _is_fixed(self, change: Change, source: RemotePath, target: RemotePath) -> bool:
        """Whether *change* must keep its place in the order of effect."""
        if not change.is_malleable or change.kind is ChangeKind.DELETE:
            return True
        return change.source is not None and (
            change.source.is_below(source)
            or change.source.overlaps(target)  # what it moves is to be gone before the folder comes there
            or bool(self._chains.overlapping(change.source, after=change.seq))
        )

    # What the service has, or is being given

    def _move(self, node: Node, source: RemotePath, target: RemotePath, occupant: Node | None) -> None:
        if is_local_only(source) and not is_local_only(target):
            raise CrossDevice(f"{source.name} stays on this machine")
        if occupant is not None:
            self._chains.remove(occupant, target)
        item_id = node.entry.id if node.entry is not None else ""
        if node.entry is not None and occupant is None:
            arrival = self._chains.arrival(source, node.entry.path)
            if arrival is not None and not self._chains.overlapping(target, after=arrival.seq):
                if node.entry.path.text == target.text:
                    self._chains.drop(arrival)
                else:
                    self._journal.amend(arrival, path=target, touched_ns=self._clock.wall_ns())
                return
        self._journal.add(
            ChangeKind.MOVE,
            target,
            ChangeState.UPLOADED,
            source=source,
            is_folder=node.is_folder,
            item_id=item_id,
            base_revision=node.entry.revision if isinstance(node.entry, File) else None,
            base_change=node.change.id if node.change is not None and not node.is_folder else None,
        )

    def _delete(self, path: RemotePath, base: Base) -> None:
        self._journal.add(
            ChangeKind.DELETE,
            path,
            ChangeState.UPLOADED,
            base_revision=base.revision,
            base_hash=base.content_hash,
            base_change=base.change,
        )
