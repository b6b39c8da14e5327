"""What was removed comes back: a file with its last revision, a folder file by file.

Dropbox has no call that brings back a folder, and states of a removed entry neither its kind nor its time.
``files/list_revisions`` tells both of a file: its last revision, and when it was removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mountfs.backends import checked
from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.entries import MOST_PATH_CHARS, file_of, name_of
from mountfs.backends.dropbox.listing import CONTINUE, LIST, PAGE_ENTRIES, RESTORE, REVISIONS
from mountfs.backends.paging import guarded_pages
from mountfs.errors import (
    AlreadyExists,
    Busy,
    Conflict,
    IsADirectory,
    MountfsError,
    NotADirectory,
    NotFound,
    Offline,
    ServerFault,
    Throttled,
    Transient,
)
from mountfs.model.entry import NS_PER_S
from mountfs.model.path import RemotePath, fold

T = TypeVar("T")

METADATA = "files/get_metadata"
CREATE_FOLDER = "files/create_folder_v2"
READS_AT_ONCE = 8
WRITES_PER_LOOK = 16
"""A restore replaces what stands at its path, under no condition: only so many are made before it is looked
again whether the paths of the next ones are free."""
ATTEMPTS = 5
PAUSE_S = 1.0
"""Before the second attempt, unless the service says how long; doubles with each further one."""
LONGEST_GAP_S = 60
"""``rm -r`` removes a folder's files one by one, and a large folder takes the service a while, too: of one
removal are all files with no longer pause than this between them."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that is gone; *path* as it was spelled.

    *revision*: of a file the last one, None of a folder. *removed_ns*: None where the service does not say.
    """

    path: str
    revision: str | None
    removed_ns: int | None = None


def undelete(api: DropboxApi, path: RemotePath) -> None:
    """By path, which has the history of the file that stood there last.

    A folder that stands there gets back what was removed last below it: that is how one is completed whose
    undelete failed in the middle. AlreadyExists: there is nothing like that.
    """
    is_folder = False
    try:
        last = _last(api, path.text)
    except IsADirectory:
        last, is_folder = None, True
    except NotFound:
        last = None
    else:
        if last is None:
            raise AlreadyExists(f"a file stands at {path}")
    if last is not None:
        _restore(api, last)
    else:
        _undelete_folder(api, path, is_folder=is_folder)


def last_removal(files: Sequence[Removed]) -> list[Removed]:
    """Those of *files* that went with the last removal: back from the latest one to the first pause that is
    longer than LONGEST_GAP_S. What was removed before that did not stand in the folder any more.

    All of them where no time is known; where some are known, the others were moved away (list_revisions).
    """
    dated = [(each.removed_ns, each) for each in files if each.removed_ns is not None]
    if not dated:
        return list(files)
    dated.sort(key=lambda pair: pair[0], reverse=True)
    found: list[Removed] = []
    next_ns = dated[0][0]
    for removed_ns, each in dated:
        if next_ns - removed_ns > LONGEST_GAP_S * NS_PER_S:
            break
        next_ns = removed_ns
        found.append(each)
    return found


def _undelete_folder(api: DropboxApi, path: RemotePath, *, is_folder: bool) -> None:
    """*is_folder*: of something else the service may keep nothing but its name."""
    arg = {"path": path.text, "include_deleted": True}
    try:
        standing = api.object(METADATA, arg, is_read=True)
    except NotFound:
        raise NotFound(f"the service keeps nothing of {path}") from None
    stands = standing.get(".tag") != "deleted"
    path = path.parent.child(name_of(standing))
    leaves = _removed_leaves(api, path)
    found = _all_removed_at(api, leaves)
    files = last_removal([each for each in found if each.revision is not None])
    # Nothing tells when an empty folder was removed.
    folders = [each for each in found if each.revision is None]
    if not files and not folders:
        if stands:
            raise AlreadyExists(f"a folder stands at {path}")
        if not is_folder:
            raise NotFound(f"the service keeps nothing of {path}")
        folders = [Removed(path.text, None)]
    _bring_back(api, [*files, *folders])


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
        return _patiently(api, partial(_last, api, path))
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


def _bring_back(api: DropboxApi, everything: Sequence[Removed]) -> None:
    """One by one: the service refuses calls that write side by side (``too_many_write_operations``), and a
    refusal holds back whatever else the account does. A failure says how many came back before it."""
    done = 0
    try:
        for start in range(0, len(everything), WRITES_PER_LOOK):
            paths = [each.path for each in everything[start : start + WRITES_PER_LOOK]]
            for each in _all_removed_at(api, paths):
                _patiently(api, partial(_restore, api, each))
                done += 1
    except MountfsError as error:
        came = f"{done} of {len(everything)} files and folders came back"
        told = f"{error}; {came}: undelete it once more for the others"
        if isinstance(error, Offline | ServerFault) and len(everything) > 1:
            # What stands there by now does not tell that all of it came back.
            raise Transient(told, error.retry_after_s) from error
        error.args = (told,)
        raise


def _restore(api: DropboxApi, removed: Removed) -> None:
    """The folders above come by themselves."""
    if removed.revision is not None:
        api.rpc(RESTORE, {"path": removed.path, "rev": removed.revision})
        return
    with suppress(Conflict):  # somebody made it meanwhile
        api.rpc(CREATE_FOLDER, {"path": removed.path, "autorename": False})


def _patiently(api: DropboxApi, call: Callable[[], T]) -> T:
    """Again while the service asks to wait; such a call took no effect."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return call()
        except (Busy, Throttled) as error:
            stated_s = error.retry_after_s
            api.http.pause(PAUSE_S * 2**attempt if stated_s is None else stated_s)
    return call()


def _all_removed_at(api: DropboxApi, paths: Sequence[str]) -> list[Removed]:
    with ThreadPoolExecutor(READS_AT_ONCE, "undelete") as pool:
        futures = [pool.submit(_removed_at, api, each) for each in paths]
        try:
            known = [each.result() for each in futures]
        finally:
            pool.shutdown(cancel_futures=True)
    return [each for each in known if each is not None]
