"""What was removed comes back: a file with its last revision, a folder file by file.

Dropbox has no call that brings back a folder, and states of a removed entry neither its kind nor its time.
``files/list_revisions`` tells both of a file: its last revision, and when it was removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from unicodedata import normalize

from mountfs.backends import checked
from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.entries import MOST_PATH_CHARS, entry_of, file_of, name_of
from mountfs.backends.dropbox.listing import CONTINUE, LIST, PAGE_ENTRIES, RESTORE, REVISIONS
from mountfs.backends.paging import guarded_pages
from mountfs.backends.removals import last_removal, one_by_one, patiently
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
from mountfs.model.undeleted import Removed, Undeleted

METADATA = "files/get_metadata"
CREATE_FOLDER = "files/create_folder_v2"
READS_AT_ONCE = 8


def undelete(api: DropboxApi, path: RemotePath, *, is_recent: bool) -> Undeleted:
    """Of what is gone the service may know no other spelling than its own: accents are tried both ways."""
    asked_s = api.http.service_time.now_s() if is_recent else None
    spelled = [path.name, *(normalize(form, path.name) for form in ("NFC", "NFD"))]
    *others, last = dict.fromkeys(spelled)
    for name in others:
        with suppress(NotFound):
            return _undelete(api, path.parent.child(name), asked_s)
    return _undelete(api, path.parent.child(last), asked_s)


def _undelete(api: DropboxApi, path: RemotePath, asked_s: float | None) -> Undeleted:
    """By path, which has the history of the file that stood there last.

    A folder that stands there gets back what was removed last below it: that is how one is completed whose
    undelete failed in the middle. AlreadyExists: there is nothing like that. *asked_s*: of such a folder
    only what was removed just before that moment; what is asked of thousands of files takes minutes.
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
            raise AlreadyExists("a file stands there")
    if last is not None:
        removed, name = last
        if fold(name) == path.name_key:
            removed = replace(removed, id=path.parent.child(name).text)
        return Undeleted(_restored_file(api, removed))
    return _undelete_folder(api, path, asked_s, is_folder=is_folder)


def bring_back(api: DropboxApi, removed: Sequence[Removed]) -> list[bool | MountfsError]:
    """One by one: the service refuses calls that write side by side (``too_many_write_operations``), and a
    refusal holds back whatever else the account does.

    A restore replaces what stands at its path, under no condition: before, it is looked whether the path is
    still free.
    """
    try:
        gone = {each.id for each in _all_removed_at(api, [each.id for each in removed])}
    except MountfsError as error:
        return [error]
    return one_by_one(removed, lambda each: each.id in gone and _come_back(api, each))


def dated_last_removal(files: Sequence[Removed], before_ns: int | None = None) -> list[Removed]:
    """All of *files* where no time is known; where some are known, the others were moved away
    (list_revisions)."""
    dated = [(each.removed_ns, each) for each in files if each.removed_ns]
    return last_removal(dated, before_ns) if dated or before_ns is not None else list(files)


def _undelete_folder(
    api: DropboxApi, path: RemotePath, asked_s: float | None, *, is_folder: bool
) -> Undeleted:
    """*is_folder*: of something else the service may keep nothing but its name."""
    arg = {"path": path.text, "include_deleted": True}
    try:
        standing = api.object(METADATA, arg, is_read=True)
    except NotFound:
        raise NotFound("the service keeps nothing of what was there") from None
    stands = standing.get(".tag") != "deleted"
    path = path.parent.child(name_of(standing))
    found = _all_removed_at(api, _removed_leaves(api, path))
    before_ns = api.http.service_time.at_ns(asked_s) if stands and asked_s is not None else None
    files = dated_last_removal([each for each in found if not each.is_folder], before_ns)
    # Nothing tells when an empty folder was removed.
    folders = [each for each in found if each.is_folder] if files or before_ns is None else []
    if not files and not folders:
        if stands:
            raise AlreadyExists("a folder stands there, and nothing that was in it is to come back")
        if not is_folder:
            raise NotFound("the service keeps nothing of what was there")
        folders = [Removed(path.text, is_folder=True)]
    return Undeleted(entry_of(standing) if stands else None, is_back=False, rest=[*files, *folders])


def _removed_leaves(api: DropboxApi, path: RemotePath) -> list[str]:
    """Paths, as they were spelled, of what is gone below *path* and has nothing below it."""
    names: dict[str, str] = {}
    gone: list[str] = []
    above: set[str] = set()
    for metadata in _below(api, path):
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


def _below(api: DropboxApi, path: RemotePath) -> Iterator[Json]:
    """Entries of a recursive listing, also of what is gone.

    The reference does not tell whether a folder that is gone can be listed. Where it cannot, the folder above
    it can, and has its entries among its own.
    """
    try:
        yield from _pages(api, path.text)
    except (NotFound, NotADirectory):
        yield from _pages(api, path.parent.text)


def _pages(api: DropboxApi, path: str) -> Iterator[Json]:
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
            page = api.object(CONTINUE, {"cursor": cursor}, is_read=True)


def _is_at_or_below(lower: str, path: RemotePath) -> bool:
    key = fold(lower)
    return len(lower) <= MOST_PATH_CHARS and (key == path.key or key.startswith(path.key + "/"))


def _removed_at(api: DropboxApi, path: str) -> Removed | None:
    """None where something stands again, or where nothing is kept of what stood there."""
    try:
        last = patiently(api.http, partial(_last, api, path), lambda: None)
        return None if last is None else last[0]
    except IsADirectory:
        return Removed(path, is_folder=True)
    except NotFound:
        return None


def _last(api: DropboxApi, path: str) -> tuple[Removed, str] | None:
    """The last revision of a file that is gone, and the name it had; None while a file stands at *path*.

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
        raise NotFound("the service keeps nothing of what was there")
    file = file_of(checked.obj(entries[0], "a revision"))
    stated = page.get("server_deleted")
    removed_ns = 0 if stated is None else checked.time_ns(stated, "server_deleted")
    return Removed(path, is_folder=False, revision=file.revision, removed_ns=removed_ns), file.name


def _come_back(api: DropboxApi, removed: Removed) -> bool:
    """The folders above come by themselves."""
    if not removed.is_folder:
        _restored_file(api, removed)
        return True
    with suppress(Conflict):  # somebody made it meanwhile
        arg = {"path": removed.id, "autorename": False}
        patiently(api.http, partial(api.rpc, CREATE_FOLDER, arg), lambda: None)
    return True


def _restored_file(api: DropboxApi, removed: Removed) -> File:
    return patiently(api.http, partial(_restore, api, removed), partial(_standing_file, api, removed.id))


def _restore(api: DropboxApi, removed: Removed) -> File:
    return file_of(checked.obj(api.rpc(RESTORE, {"path": removed.id, "rev": removed.revision}), "a file"))


def _standing_file(api: DropboxApi, path: str) -> File | None:
    """What stands at the path of something that was gone just before."""
    with suppress(NotFound):
        entry: Entry = entry_of(api.object(METADATA, {"path": path}, is_read=True))
        return entry if isinstance(entry, File) else None
    return None


def _all_removed_at(api: DropboxApi, paths: Sequence[str]) -> list[Removed]:
    with ThreadPoolExecutor(READS_AT_ONCE, "undelete") as pool:
        futures = [pool.submit(_removed_at, api, each) for each in paths]
        try:
            known = [each.result() for each in futures]
        finally:
            pool.shutdown(cancel_futures=True)
    return [each for each in known if each is not None]
