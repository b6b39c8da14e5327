"""What was removed comes back: a file with its last revision, a folder file by file.

Dropbox has no call that brings back a folder, and states of a removed entry neither its kind nor its time.
``files/list_revisions`` tells both of a file: its last revision, and when it was removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from mountfs.backends import checked
from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.entries import MOST_PATH_CHARS, entry_of, file_of, name_of
from mountfs.backends.dropbox.listing import CONTINUE, LIST, PAGE_ENTRIES, RESTORE, REVISIONS
from mountfs.backends.paging import guarded_pages
from mountfs.backends.removals import Headway, last_removal, patiently
from mountfs.errors import (
    AlreadyExists,
    Conflict,
    IsADirectory,
    MountfsError,
    NotADirectory,
    NotFound,
    ServerFault,
)
from mountfs.model.entry import Entry, File
from mountfs.model.path import RemotePath, fold
from mountfs.model.undeleted import GoesOn, Undeleted

METADATA = "files/get_metadata"
CREATE_FOLDER = "files/create_folder_v2"
READS_AT_ONCE = 8
READS_A_ROUND = 64
WRITES_PER_LOOK = 16
"""A restore replaces what stands at its path, under no condition: only so many are made before it is looked
again whether the paths of the next ones are free."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that is gone; *path* as it was spelled.

    *revision*: of a file the last one, None of a folder. *removed_ns*: None where the service does not say.
    """

    path: str
    revision: str | None
    removed_ns: int | None = None


def undelete(api: DropboxApi, path: RemotePath, goes_on: GoesOn) -> Undeleted:
    """By path, which has the history of the file that stood there last.

    A folder that stands there gets back what was removed last below it: that is how one is completed whose
    undelete failed in the middle. AlreadyExists: there is nothing like that.
    """
    is_folder = False
    try:
        last = patiently(api.http, partial(_last, api, path.text))
    except IsADirectory:
        last, is_folder = None, True
    except NotFound:
        last = None
    else:
        if last is None:
            raise AlreadyExists(f"a file stands at {path}")
    if last is not None:
        return Undeleted(_restored_file(api, last))
    return _undelete_folder(api, path, Headway(0, goes_on), is_folder=is_folder)


def dated_last_removal(files: Sequence[Removed]) -> list[Removed]:
    """All of *files* where no time is known; where some are known, the others were moved away
    (list_revisions)."""
    dated = [(each.removed_ns, each) for each in files if each.removed_ns is not None]
    return last_removal(dated) if dated else list(files)


def _undelete_folder(api: DropboxApi, path: RemotePath, headway: Headway, *, is_folder: bool) -> Undeleted:
    """*is_folder*: of something else the service may keep nothing but its name."""
    arg = {"path": path.text, "include_deleted": True}
    try:
        standing = api.object(METADATA, arg, is_read=True)
    except NotFound:
        raise NotFound(f"the service keeps nothing of {path}") from None
    stands = standing.get(".tag") != "deleted"
    path = path.parent.child(name_of(standing))
    leaves = _removed_leaves(api, path, headway)
    found = _all_removed_at(api, leaves, headway)
    files = dated_last_removal([each for each in found if each.revision is not None])
    # Nothing tells when an empty folder was removed.
    folders = [each for each in found if each.revision is None]
    if not files and not folders:
        if stands:
            raise AlreadyExists(f"a folder stands at {path}")
        if not is_folder:
            raise NotFound(f"the service keeps nothing of {path}")
        folders = [Removed(path.text, None)]
    headway.total = len(files) + len(folders)
    _bring_back(api, [*files, *folders], headway)
    entry = entry_of(api.object(METADATA, {"path": path.text}, is_read=True))
    return Undeleted(entry, headway.done, headway.left)


def _removed_leaves(api: DropboxApi, path: RemotePath, headway: Headway) -> list[str]:
    """Paths, as they were spelled, of what is gone below *path* and has nothing below it."""
    names: dict[str, str] = {}
    gone: list[str] = []
    above: set[str] = set()
    for metadata in _below(api, path, headway):
        lower = metadata.get("path_lower")
        if not isinstance(lower, str) or not _is_at_or_below(lower, path):
            continue
        with suppress(ServerFault):
            names[lower] = name_of(metadata)
            above.add(lower.rpartition("/")[0])
            if metadata.get(".tag") == "deleted" and fold(lower) != path.key:
                gone.append(lower)
    return [_spelled(lower, names, path) for lower in gone if lower not in above]


def _spelled(lower: str, names: dict[str, str], top: RemotePath) -> str:
    """Only the last component of a path is reliably spelled: each is taken from its own entry."""
    components = lower.split("/")
    depth = len(top.components)
    spelled = top.text
    for end in range(depth + 2, len(components) + 1):
        spelled += "/" + names.get("/".join(components[:end]), components[end - 1])
    return spelled


def _below(api: DropboxApi, path: RemotePath, headway: Headway) -> Iterator[Json]:
    """Entries of a recursive listing, also of what is gone.

    The reference does not tell whether a folder that is gone can be listed. Where it cannot, the folder above
    it can, and has its entries among its own.
    """
    try:
        yield from _pages(api, path.text, headway)
    except (NotFound, NotADirectory):
        yield from _pages(api, path.parent.text, headway)


def _pages(api: DropboxApi, path: str, headway: Headway) -> Iterator[Json]:
    arg = {"path": path, "recursive": True, "include_deleted": True, "limit": PAGE_ENTRIES}
    page = api.object(LIST, arg, is_read=True)
    with guarded_pages(api.http, LIST) as pages:
        while True:
            entries = page.get("entries")
            if not isinstance(entries, list):
                raise ServerFault(f"{LIST}: a page has no entries")
            yield from (each for each in entries if isinstance(each, dict))
            if page.get("has_more") is not True:
                return
            cursor = checked.token(page.get("cursor"), "cursor")
            pages.check(cursor, is_new=bool(entries))
            headway.check()
            page = api.object(CONTINUE, {"cursor": cursor}, is_read=True)


def _is_at_or_below(lower: str, path: RemotePath) -> bool:
    key = fold(lower)
    return len(lower) <= MOST_PATH_CHARS and (key == path.key or key.startswith(path.key + "/"))


def _removed_at(api: DropboxApi, path: str) -> Removed | None:
    """None where something stands again, or where nothing is kept of what stood there."""
    try:
        return patiently(api.http, partial(_last, api, path), lambda: None)
    except IsADirectory:
        return Removed(path, None)
    except NotFound:
        return None


def _last(api: DropboxApi, path: str) -> Removed | None:
    """The last revision of a file that is gone; None while a file stands at *path*.

    IsADirectory: a folder stands there, or stood there last. NotFound: nothing is kept.
    """
    arg = {"path": path, "mode": {".tag": "path"}, "limit": 1}
    page = api.object(REVISIONS, arg, is_read=True)
    if page.get("is_deleted") is not True:
        return None
    entries = page.get("entries")
    if not isinstance(entries, list):
        raise ServerFault(f"{REVISIONS}: a page has no entries")
    if not entries:
        raise NotFound(f"the service keeps nothing of {path}")
    revision = file_of(checked.obj(entries[0], "a revision")).revision
    stated = page.get("server_deleted")
    return Removed(path, revision, None if stated is None else checked.time_ns(stated, "server_deleted"))


def _bring_back(api: DropboxApi, everything: Sequence[Removed], headway: Headway) -> None:
    """One by one: the service refuses calls that write side by side (``too_many_write_operations``), and a
    refusal holds back whatever else the account does. A failure says how many came back before it."""
    try:
        for start in range(0, len(everything), WRITES_PER_LOOK):
            part = everything[start : start + WRITES_PER_LOOK]
            gone = {each.path: each for each in _all_removed_at(api, [each.path for each in part])}
            for path in (each.path for each in part):
                if path in gone:
                    _come_back(api, gone[path])
                headway.count(is_back=path in gone)
    except MountfsError as error:
        raise headway.cut_short(error) from error


def _come_back(api: DropboxApi, removed: Removed) -> None:
    """The folders above come by themselves."""
    if removed.revision is not None:
        _restored_file(api, removed)
        return
    with suppress(Conflict):  # somebody made it meanwhile
        arg = {"path": removed.path, "autorename": False}
        patiently(api.http, partial(api.rpc, CREATE_FOLDER, arg), lambda: None)


def _restored_file(api: DropboxApi, removed: Removed) -> File:
    return patiently(api.http, partial(_restore, api, removed), partial(_standing_file, api, removed.path))


def _restore(api: DropboxApi, removed: Removed) -> File:
    return file_of(checked.obj(api.rpc(RESTORE, {"path": removed.path, "rev": removed.revision}), "a file"))


def _standing_file(api: DropboxApi, path: str) -> File | None:
    """What stands at the path of something that was gone just before."""
    with suppress(NotFound):
        entry: Entry = entry_of(api.object(METADATA, {"path": path}, is_read=True))
        return entry if isinstance(entry, File) else None
    return None


def _all_removed_at(api: DropboxApi, paths: Sequence[str], headway: Headway | None = None) -> list[Removed]:
    found: list[Removed] = []
    with ThreadPoolExecutor(READS_AT_ONCE, "undelete") as pool:
        for start in range(0, len(paths), READS_A_ROUND):
            if headway is not None:
                headway.check()
            part = paths[start : start + READS_A_ROUND]
            found += [each for each in pool.map(partial(_removed_at, api), part) if each is not None]
    return found
