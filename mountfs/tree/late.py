"""New files whose commits were not answered: one may arrive after it was removed here, or got another name.

What arrives is known by its place, its bytes and its time, and goes as it would have gone had the reply come.
Nothing else would tell it from what others made: of a file that the service never had no node is left.
"""

from __future__ import annotations

import json
from contextlib import suppress

from mountfs.model.entry import NS_PER_S, Entry, File
from mountfs.model.order import MAKES_A_FILE
from mountfs.model.path import RemotePath
from mountfs.ports import Clock
from mountfs.tree.node import Flight, Node
from mountfs.tree.place import remote_path
from mountfs.tree.store import Store

FACT = "late_files"
"""The store's fact with these files, as a list in JSON."""
KEPT = 1_000
"""As many as one batch has."""
KEPT_OF_ONE = 10
KEPT_S = 600
"""After so long none is waited for: what comes then was made by somebody else."""

Version = tuple[str, int, int]
"""The hash of its bytes, their number, and its time in seconds."""


class LateFiles:
    """By the folded path at the service that each was sent to. Under the tree's lock; what changes them
    belongs into a transaction that ends with ``save``."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._sent: dict[str, dict[Version, int]] = {}
        """When each was given up, in seconds since 1970; the latest last."""
        self._is_saved = True
        with suppress(ValueError, TypeError):
            for path, digest, size_bytes, time_s, noted_s in json.loads(store.fact(FACT) or "[]"):
                self._keep(str(path), (str(digest), int(size_bytes), int(time_s)), int(noted_s))

    def note(self, flight: Flight) -> None:
        """Nothing was heard of *flight*, and nothing is to be seen of what it makes."""
        content = flight.content
        if flight.kind not in MAKES_A_FILE or flight.over is not None or content is None:
            return
        if content.content_hash is not None:
            time_s = (flight.mtime_ns or 0) // NS_PER_S
            version = (content.content_hash, content.size_bytes, time_s)
            self._keep(flight.place.path.key, version, self._now_s())
            self._is_saved = False

    def forget(self, flight: Flight) -> None:
        """*flight* has made its file: what was sent to that place before finds it taken."""
        if self._sent.pop(flight.place.path.key, None) is not None:
            self._is_saved = False

    def save(self) -> None:
        """Has the store know of what was noted and forgotten."""
        if not self._is_saved:
            rows = [
                (path, *version, noted_s)
                for path, versions in self._sent.items()
                for version, noted_s in versions.items()
            ]
            self._store.set_fact(FACT, json.dumps(rows) if rows else None)
            self._is_saved = True

    def hashes_at(self, path: RemotePath) -> list[str]:
        """The hashes of those that may still arrive at *path*."""
        versions = self._sent.get(path.key, {})
        return [digest for (digest, _, _), noted_s in versions.items() if self._may_arrive(noted_s)]

    def is_one(self, folder: Node, entry: Entry) -> bool:
        """Whether *entry*, which the service turns out to have in *folder*, is one of them."""
        if not self._sent or not isinstance(entry, File) or entry.content_hash is None:
            return False
        versions = self._sent.get(remote_path(folder).child(entry.name).key, {})
        noted_s = versions.get((entry.content_hash, entry.size_bytes, entry.mtime_ns // NS_PER_S))
        return noted_s is not None and self._may_arrive(noted_s)

    def _keep(self, path: str, version: Version, noted_s: int) -> None:
        versions = self._sent.pop(path, {})
        versions.pop(version, None)
        versions[version] = noted_s
        while len(versions) > KEPT_OF_ONE:
            del versions[next(iter(versions))]
        self._sent[path] = versions
        while len(self._sent) > KEPT:
            del self._sent[next(iter(self._sent))]

    def _may_arrive(self, noted_s: int) -> bool:
        return 0 <= self._now_s() - noted_s <= KEPT_S

    def _now_s(self) -> int:
        return self._clock.wall_ns() // NS_PER_S
