"""What is not clean in the tree of another mount, put into ours: nodes, contents, orders on their way."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from pathlib import Path

from daemon.control.status import plural
from daemon.core import Foundation
from daemon.process.twoviews import is_one, is_same, moved_by_others, with_kept
from daemon.upkeep.pins import take_pins
from mountfs.model.entry import File
from mountfs.model.path import fold
from mountfs.tree.beside import KEPT_AS
from mountfs.tree.childrows import load_children
from mountfs.tree.content import Content
from mountfs.tree.launch import Sent, recall_late
from mountfs.tree.node import ROOT_ID, Flight, Node, State, above, path_of, remote_id
from mountfs.tree.outdated import outdate
from mountfs.tree.overlay import Overlay
from mountfs.tree.refusal import Refusal
from mountfs.tree.remote import is_untouched, lose
from mountfs.tree.showing import show
from mountfs.tree.verbs import can_return
from mountfs.tree.word import is_leaving

LOG = logging.getLogger(__name__)


class Adoption:
    """Inside one transaction of our tree. Where both trees changed something, theirs is set beside ours."""

    def __init__(self, ours: Foundation, theirs: Foundation) -> None:
        self._ours = ours
        self._theirs = theirs
        self._tree = ours.tree
        self._nodes: dict[int, Node] = {ROOT_ID: ours.tree.root}
        """Our nodes by the ids of theirs."""
        self._begun: dict[int, Node] = {}
        """Those of folders that are still to be given their place here."""
        self._removed: list[tuple[Node, Node]] = []
        """Folders that they removed, and ours of them."""
        self._contents: dict[int, Content] = {}
        self.linked: list[Path] = []
        """What came into our spool."""

    def take_all(self) -> None:
        theirs = self._theirs.tree
        for node in list(theirs.dirty.values()):
            if node.id not in self._nodes:
                self._take(node)
        self._remove_folders()
        for sent in self._theirs.stranded:
            self._take_flights(sent)
        for node in list(theirs.refused.values()):
            if node.pending is None:
                self._take_facts(node)
        for row in theirs.store.timed_nodes():
            timed = theirs.node(row.id)
            if timed is not None:
                (self._take if timed.is_special else self._take_facts)(timed)
        for session in theirs.store.orphans.all():
            self._tree.add_orphan(session)
        self._take_late()
        pinned = take_pins(self._tree, theirs, self._known_or_taken)
        if pinned:
            LOG.info("took over %s of another mount", plural(pinned, "pin"))

    def _take_late(self) -> None:
        """Orders that they gave up and that may still take effect."""

        def ours_of(folder_id: int) -> int | None:
            folder = self._theirs.tree.node(folder_id)
            ours = None if folder is None else self._known_or_taken(folder)
            return None if ours is None else ours.id

        self._tree.late.take_over(self._theirs.tree.store, ours_of)
        recall_late(self._tree)

    def _known_or_taken(self, node: Node) -> Node | None:
        """Our node for a clean one of theirs as well; None where our listing does not have it."""
        if node.id not in self._nodes:
            self._take_facts(node)
        return self._nodes.get(node.id)

    def _take_facts(self, node: Node) -> None:
        """Of a clean node of theirs: its time and attributes that are kept here, and the refusal of what was
        tried with it. None of them when the service has other bytes by now, or nothing."""
        state = node.state
        if state.base is None or state.base_parent is None:
            return
        folder = self._take(state.base_parent)
        ours = self._nodes.get(node.id) or self._of_base(node)
        if ours is None:
            if not folder.part.listing.listed_at:
                self._take(node)
            return
        self._nodes[node.id] = ours
        before = ours.state
        if ours.pending is None and is_same(before.base, state.base):
            after = replace(with_kept(before, state), refusal=before.refusal or state.refusal)
            if after != before:
                self._tree.change((ours, after))

    def _take(self, node: Node) -> Node:
        """Our node for one of theirs, which wants what theirs wants; and so of the folders above it."""
        way = [node]
        while way:
            at = way[-1]
            folder = self._missing_above(at)
            if at.id in self._nodes:
                way.pop()
            elif folder is None:
                self._nodes[at.id] = self._taken(at)
            elif folder not in way:
                way.append(folder)
            else:
                # Two folders were turned inside out: each is above the other, here or at the service. The one
                # that is known by where the service has it gets its place here after the other.
                turned = next(each for each in reversed(way) if self._has_known_base(each))
                self._begun[turned.id] = self._of_base(turned) or self._tree.new_node(is_folder=True)
                way[way.index(turned) :] = []
                way.insert(0, turned)
        return self._nodes[node.id]

    def _missing_above(self, node: Node) -> Node | None:
        """A folder above *node* that must be known before it, or taken as well."""
        base_parent, parent = node.state.base_parent, node.state.parent
        if base_parent is not None and self._known(base_parent) is None:
            return base_parent
        return parent if parent is not None and parent.id not in self._nodes else None

    def _has_known_base(self, node: Node) -> bool:
        folder = node.state.base_parent
        return folder is not None and self._known(folder) is not None and node.id not in self._begun

    def _known(self, node: Node) -> Node | None:
        """Our node of one of theirs, whether it has its place already or not."""
        return self._nodes.get(node.id) or self._begun.get(node.id)

    def _taken(self, node: Node) -> Node:
        """Takes *node* of theirs; all above it is known."""
        state = replace(node.state, draft=None, flight=None)
        is_wanted = node.pending is not None or node.state.refusal is not None or node.is_special
        parent = None
        if state.parent is not None:
            parent = self._standing(state.parent) if is_wanted else self._nodes[state.parent.id]
        base_parent = None if state.base_parent is None else self._known(state.base_parent)
        ours = self._begun.get(node.id) or self._counterpart(node, parent)
        if ours is not None and not is_wanted:
            return ours
        if ours is not None and node.folder is not None and state.parent is None:
            self._removed.append((node, ours))
            return ours
        content = self._content(state.content) if state.content is not None else None
        has_place = ours is not None or base_parent is None or self._is_free(base_parent, state)
        if not has_place or (ours is not None and ours.pending is not None):
            if ours is not None and node.folder is not None:
                return ours
            ours, base_parent, state = None, None, replace(state, base=None, base_parent=None)
            content = replace(content, over=None) if content is not None else None
        if ours is not None and node.folder is not None and state.base is None:
            return self._made_by_others(ours, state)
        if ours is not None and is_one(ours.state.base, state.base):
            base_parent = ours.state.base_parent
            parent, state = moved_by_others(ours.state, parent, state)
        if ours is None:
            if state.parent is None and state.base is None:
                return self._tree.root  # nothing of theirs is left to be done
            if state.base is None and content is None and not (node.is_folder or node.is_special):
                return self._tree.root
            parent = self._shown(parent, state.parent)
            ours = self._tree.new_node(is_folder=node.folder is not None)
        name = state.name if parent is None else self._free_name(parent, ours, state.name)
        after = replace(state.at(parent, name), base_parent=base_parent, content=content)
        if is_wanted or not has_place:
            self._tree.touch(ours)
        self._tree.change((ours, after))
        if ours.folder is not None and state.base is None:
            self._tree.residents.publish(ours)
        return ours

    def _is_free(self, folder: Node, state: State) -> bool:
        """Whether our tree has nothing where the service has *state* of theirs, in *folder*. What it has is
        of another kind, since somebody replaced one by the other, and gives way where nothing hangs on it.
        Which of both stands there by now, a listing tells."""
        assert state.base is not None
        there = self._tree.base_child(folder, fold(state.base.name))
        if there is None:
            return True
        outdate(self._tree, folder)
        needed = (at for each in (*self._nodes.values(), *self._begun.values()) for at in above(each))
        if is_untouched(self._tree, there) and not any(at is there for at in needed):
            lose(self._tree, there)
            return True
        if state.content is None:
            told = "another mount knew something else here: what it did with that has no effect"
            self._tree.notice(path_of(there), told)
        return False

    def _made_by_others(self, ours: Node, state: State) -> Node:
        """Our folder, which the service has, for one that they were to make: nothing of it is left to be
        done, and what is known to be in it stays."""
        after = with_kept(ours.state, state)
        if after != ours.state:
            self._tree.change((ours, after))
        return ours

    def _remove_folders(self) -> None:
        """Folders that they removed are removed here, but for those with something of ours in them. Where our
        tree knows of something of the service's, nothing tells whether they had not heard of that, or had
        removed it, unheard here: it stays in sight, and the folder goes if the service has nothing in it.
        Inner ones were taken after those above them."""
        for theirs, ours in reversed(self._removed):
            load_children(self._tree, ours)
            children = (ours.part.children or {}).values()
            if any(map(self._keeps_its_folder, children)):
                told = "another mount was to remove it: it stays, for something in it was done here"
                self._tree.notice(path_of(ours), told)
            elif ours.pending is None:
                self._tree.touch(ours)
                after = replace(ours.state, parent=None, mtime_ns=None, refusal=theirs.state.refusal)
                if children:
                    refusal = Refusal.left_to_the_service(self._tree.clock.wall_ns())
                    after = replace(ours.state, refusal=refusal)
                self._tree.change((ours, after))

    def _keeps_its_folder(self, child: Node) -> bool:
        return child.is_special or not (is_leaving(child.state) or is_untouched(self._tree, child))

    def _standing(self, folder: Node) -> Node:
        """Our folder for one of theirs, for something of theirs to be in: where it was removed here, it is
        there again, or what has its name by now is it; and so those above it."""
        gone: list[Node] = []
        at: Node | None = folder
        while at is not None and not _is_shown(self._nodes[at.id]):
            gone.append(at)
            at = at.state.parent
        for each in reversed(gone):
            if each.state.parent is not None:
                self._nodes[each.id] = self._again(each, self._nodes[each.state.parent.id])
        return self._nodes[folder.id]

    def _shown(self, ours: Node | None, theirs: Node | None) -> Node | None:
        """*ours*, a folder of *theirs*, in which something of the service's is that was not known here: it is
        not removed here then."""
        if ours is None or theirs is None or _is_shown(ours) or show(self._tree, ours):
            return ours
        return self._standing(theirs)

    def _again(self, folder: Node, parent: Node) -> Node:
        """Our folder for one of theirs that is not shown here any more, in *parent*."""
        name, ours = folder.state.name, self._nodes[folder.id]
        load_children(self._tree, parent)
        there = self._tree.child(parent, fold(name))
        if there is not None and there.is_folder:
            return there
        name = self._free_name(parent, ours, name)
        if not can_return(self._tree, ours):
            ours = self._tree.new_node(is_folder=True)
        self._tree.touch(ours)
        self._tree.change((ours, replace(ours.state, parent=parent, name=name, refusal=None)))
        if ours.state.base is None:
            self._tree.residents.publish(ours)
        return ours

    def _counterpart(self, node: Node, parent: Node | None) -> Node | None:
        """What our tree knows already of what a node of theirs is, which is to be in *parent*."""
        if node.state.base is not None:
            return self._of_base(node)
        if node.folder is None or parent is None:
            return None
        load_children(self._tree, parent)
        there = self._tree.child(parent, fold(node.state.name))
        if there is None or there.folder is None or self._gives_way(there):
            return None
        return there

    def _gives_way(self, there: Node) -> bool:
        """Removes *there*, a folder that they removed and made anew, where that removal was given up and may
        still arrive: it would take what is put into the folder, and so theirs is another one."""
        is_late = self._theirs.tree.late.may_remove(remote_id(there))
        if not is_late or not is_untouched(self._tree, there):
            return False
        self._tree.touch(there)
        self._tree.change((there, replace(there.state, parent=None, mtime_ns=None)))
        return True

    def _of_base(self, node: Node) -> Node | None:
        """What our tree knows already of what the service has as *node*; what that is in is known."""
        base, folder = node.state.base, node.state.base_parent
        assert base is not None
        base_parent = None if folder is None else self._known(folder)
        found = self._tree.by_remote_id(base.id)
        if found is None and base_parent is not None:
            load_children(self._tree, base_parent)
            found = self._tree.base_child(base_parent, fold(base.name))
        if found is None or found.is_folder is not node.is_folder:
            return None
        is_theirs_alone = node.pending is not None and found.pending is None
        if isinstance(base, File) and found.state.base != base and is_theirs_alone:
            return found if found.state.base is None else self._renewed(found, base)
        return found

    def _renewed(self, found: Node, base: File) -> Node:
        """Their revision is what their change was made from: the service tells which is the newer one."""
        known = replace(base, name=found.state.base.name) if found.state.base is not None else base
        self._tree.change((found, found.state.based(found.state.base_parent, known)))
        return found

    def _content(self, theirs: Content) -> Content:
        """Their bytes, in our spool; where a name is none of a spool's, there are none."""
        with contextlib.suppress(FileNotFoundError):
            source = self._theirs.spool.path(theirs.spool)
            target = self._ours.spool.path(theirs.spool)
            if source.exists() and not target.exists():
                os.link(source, target)
                self.linked.append(target)
        overlay = theirs.overlay
        if overlay is not None:
            overlay = Overlay(overlay.file, overlay.missing, overlay.unsynced)
        ours = replace(theirs, id=self._tree.store.next_id(), is_synced=False, overlay=overlay)
        if overlay is not None:
            self._tree.store.gaps.add(ours.id, overlay)
        for part in self._theirs.tree.store.parts.of(theirs.id):
            self._tree.store.parts.add(ours.id, part)
        self._contents[theirs.id] = ours
        return ours

    def _free_name(self, parent: Node, node: Node, name: str) -> str:
        load_children(self._tree, parent)
        there = self._tree.child(parent, fold(name))
        if there is None or there is node:
            return name
        copy = self._ours.copies.name(parent, name, "conflicted")
        self._tree.notice(path_of(there), f"another mount had a version of its own: it {KEPT_AS}{copy}")
        return copy

    def _take_flights(self, sent: Sent) -> None:
        """What they had sent: its outcome is ours to hear."""
        batch = Sent(self._tree.store.next_id(), sent.kind, [], job=sent.job)
        for flights, target in ((sent.flights, batch.flights), (sent.carried, batch.carried)):
            for theirs in flights:
                flight = self._flight(theirs)
                if flight is None:
                    batch.job = None  # the outcomes of the job go by position
                else:
                    target.append(flight)
        if batch.flights or batch.carried:
            self._tree.store.save_flights([*batch.flights, *batch.carried], batch.id)
            self._tree.store.set_job(batch.id, batch.job)
            self._ours.stranded.append(batch)

    def _flight(self, theirs: Flight) -> Flight | None:
        node = self._nodes.get(theirs.node.id)
        if node is None or node.state.flight is not None or node is self._tree.root:
            return None
        content = self._contents.get(theirs.content.id) if theirs.content is not None else None
        if theirs.content is not None and content is None:
            return None
        parent = self._take(theirs.parent) if theirs.parent is not None else None
        flight = replace(
            theirs, id=self._tree.store.next_id(), node=node, parent=parent, content=content, above=[]
        )
        self._tree.change_unsaved(node, replace(node.state, flight=flight))
        return flight


def _is_shown(node: Node) -> bool:
    return node.state.parent is not None or node.id == ROOT_ID
