"""Batches of folder creations, deletes, moves and copies: each entry has its own outcome."""

from collections.abc import Callable
from typing import Any

from cloudsandbox.dropbox.edits import Edits, entangled
from cloudsandbox.dropbox.errors import ErrorUnion, RouteError, nested, tag
from cloudsandbox.dropbox.names import fold
from cloudsandbox.dropbox.records import Entry, bare_metadata, tagged_metadata
from cloudsandbox.dropbox.switches import EntryFailures


class Batches:
    """The work of batch jobs. On the state thread only."""

    def __init__(self, edits: Edits) -> None:
        self._edits = edits
        self.failures = EntryFailures([])

    def create_folders(self, argument: dict[str, Any]) -> dict[str, Any]:
        """Create each folder; a path given twice is created once and answered twice."""
        results: dict[str, dict[str, Any]] = {}
        entries = []
        for path in argument["paths"]:
            if fold(path) not in results:
                results[fold(path)] = self._create_folder(path, argument["autorename"])
            entries.append(results[fold(path)])
        return {"entries": entries}

    def _create_folder(self, path: str, autorename: bool) -> dict[str, Any]:
        try:
            self._planned("files/create_folder_batch", path)
            entry = self._edits.create_folder(path, autorename)
        except RouteError as failure:
            return nested("failure", failure.error)
        return tag("success", metadata=bare_metadata(entry))

    def delete(self, argument: dict[str, Any]) -> dict[str, Any]:
        """Delete each entry."""
        return {"entries": [self._delete(entry) for entry in argument["entries"]]}

    def _delete(self, entry: dict[str, Any]) -> dict[str, Any]:
        try:
            self._planned("files/delete_batch", self._edits.plain(entry["path"]))
            gone = self._edits.delete(entry["path"], entry["parent_rev"])
        except RouteError as failure:
            return nested("failure", failure.error)
        return tag("success", metadata=tagged_metadata(gone))

    def move(self, argument: dict[str, Any]) -> dict[str, Any]:
        """Move each pair."""
        return self._relocate(argument, "files/move_batch_v2", self._edits.move)

    def copy(self, argument: dict[str, Any]) -> dict[str, Any]:
        """Copy each pair."""
        return self._relocate(argument, "files/copy_batch_v2", self._edits.copy)

    def _relocate(
        self, argument: dict[str, Any], route: str, relocate: Callable[[str, str, bool], Entry]
    ) -> dict[str, Any]:
        plain = self._edits.plain
        pairs = [(plain(entry["from_path"]), plain(entry["to_path"])) for entry in argument["entries"]]
        results = []
        for entry, pair, is_entangled in zip(argument["entries"], pairs, entangled(pairs), strict=True):
            try:
                self._planned(route, pair[0] if relocate == self._edits.move else pair[1])
                if is_entangled:
                    raise RouteError(tag("duplicated_or_nested_paths"))
                moved = relocate(entry["from_path"], entry["to_path"], argument["autorename"])
                results.append(nested("success", tagged_metadata(moved)))
            except RouteError as failure:
                results.append(nested("failure", _relocation_failure(failure.error)))
        return {"entries": results}

    def _planned(self, route: str, path: str) -> None:
        planned = self.failures.take(route, path)
        if planned is not None:
            raise RouteError(planned)


def _relocation_failure(error: ErrorUnion) -> ErrorUnion:
    """RelocationBatchErrorEntry: a few members of its own, all else as relocation_error."""
    if error[".tag"] in ("internal_error", "too_many_write_operations"):
        return error
    return nested("relocation_error", error)
