"""Writing a file: the table of modes and conflicts, then the write."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cloudsandbox.dropbox.errors import (
    BadRequest,
    ErrorUnion,
    LookupFailed,
    WriteFailed,
    conflict,
    nested,
    tag,
)
from cloudsandbox.dropbox.names import check_writable, fold, with_suffix
from cloudsandbox.dropbox.records import Content, Entry, timestamp
from cloudsandbox.dropbox.switches import DropboxSwitches, FutureTime
from cloudsandbox.dropbox.tree import Tree

MAX_AUTORENAMES = 10_000


class Verdict(StrEnum):
    """What a commit does."""

    WRITE = "write"
    KEEP = "keep"  # identical bytes: nothing is written, the existing revision is the answer
    CONFLICT_FILE = "file"
    CONFLICT_FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """Where and how to write, as the client said it."""

    path: str
    mode: str = "add"
    update_rev: str | None = None
    autorename: bool = False
    client_modified: str | None = None
    strict_conflict: bool = False
    property_template: str | None = None


def commit_info(argument: dict[str, Any]) -> CommitInfo:
    """CommitInfo from a checked argument."""
    mode, update_rev = argument["mode"]
    groups = argument.get("property_groups") or []
    return CommitInfo(
        argument["path"],
        mode,
        update_rev,
        argument["autorename"],
        argument["client_modified"],
        argument["strict_conflict"],
        groups[0]["template_id"] if groups else None,
    )


def decide(commit: CommitInfo, existing: Entry | None, new: Content, strict_identical: bool) -> Verdict:
    """The verdict of the conflict rules, by mode and what is at the path."""
    if existing is None:
        return Verdict.CONFLICT_FILE if commit.strict_conflict and commit.mode == "update" else Verdict.WRITE
    if existing.revision is None:
        return Verdict.CONFLICT_FOLDER
    if existing.revision.content.content_hash == new.content_hash:
        if not commit.strict_conflict:
            return Verdict.KEEP
        if strict_identical or commit.mode == "add":
            return Verdict.CONFLICT_FILE
    if commit.mode == "overwrite":
        return Verdict.WRITE
    if commit.mode == "update" and existing.revision.rev == commit.update_rev:
        return Verdict.WRITE
    return Verdict.CONFLICT_FILE


class Committer:
    """Writes files into the tree by the service's rules. On the state thread only."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.switches = DropboxSwitches()

    def commit(self, commit: CommitInfo, content: Content, now_s: float) -> Entry:
        """Write *content* as *commit* says. Raises WriteFailed; then nothing is changed."""
        try:
            path = self._tree.resolve(commit.path)
        except LookupFailed:
            raise WriteFailed(tag("malformed_path")) from None
        check_writable(path)
        self._tree.check_ancestors(path)
        existing = self._tree.get(fold(path))
        verdict = decide(commit, existing, content, self.switches.strict_identical_conflicts)
        if verdict in (Verdict.CONFLICT_FILE, Verdict.CONFLICT_FOLDER):
            if not commit.autorename:
                raise conflict(verdict.value)
            path, existing = self.free_name(path, commit.mode), None
        elif verdict is Verdict.KEEP and existing is not None:
            return existing
        self._check_space(content, existing)
        return self._tree.put_file(path, content, self._clamped_time(commit, now_s))

    def free_name(self, path: str, mode: str) -> str:
        """A path beside *path* where nothing is: numbered, or for `update` a conflicted copy."""
        first = self.switches.autorename_first
        for number in range(first, first + MAX_AUTORENAMES):
            if mode != "update":
                suffix = f" ({number})"
            else:
                suffix = " (conflicted copy)" if number == first else f" (conflicted copy {number - first})"
            candidate = with_suffix(path, suffix)
            if self._tree.get(fold(candidate)) is None:
                return candidate
        raise conflict("file")

    def _check_space(self, content: Content, existing: Entry | None) -> None:
        freed = existing.revision.content.size_bytes if existing is not None and existing.revision else 0
        if self._tree.used_bytes - freed + content.size_bytes > self.switches.quota_bytes:
            raise WriteFailed(tag("insufficient_space"))

    def check_time(self, commit: CommitInfo, now_s: float) -> None:
        """Raise BadRequest for a time in the future where the switch says so; before anything is stored."""
        if self.switches.future_client_modified == FutureTime.REFUSE and self._is_future(commit, now_s):
            raise BadRequest(f"client_modified: {commit.client_modified} is in the future")

    def _clamped_time(self, commit: CommitInfo, now_s: float) -> str | None:
        if self.switches.future_client_modified == FutureTime.ACCEPT or not self._is_future(commit, now_s):
            return commit.client_modified
        return timestamp(now_s)

    @staticmethod
    def _is_future(commit: CommitInfo, now_s: float) -> bool:
        # The fixed format orders as text does.
        return commit.client_modified is not None and commit.client_modified > timestamp(now_s)


def properties_failure(commit: CommitInfo) -> ErrorUnion | None:
    """The error for property groups, after the file was written: no template is known here."""
    if commit.property_template is None:
        return None
    return nested("properties_error", nested("template_not_found", commit.property_template))
