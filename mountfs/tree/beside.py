"""Builds the names of conflicted, recovered and incomplete copies. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from mountfs.model.entry import NS_PER_S

NAME_BYTES = 255
"""NAME_MAX of Linux."""

KEPT_AS = "is kept as "
"""In a notice, before the name of a conflicted copy, which ends the notice."""

_MARK = re.compile(r" \((?:conflicted|recovered|incomplete) copy [^()]*\)$")
_ANY_MARK = re.compile(r" \([^()]*(?:conflicted|recovered|incomplete) copy[^()]*\)$")
"""Also as Dropbox itself marks them: ``(Franz's conflicted copy 2026-11-29)``."""
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def name_beside(
    name: str, what: str, host: str, wall_ns: int, most_chars: int, is_taken: Callable[[str], bool]
) -> str:
    """``name (WHAT copy HOST DATE).ext``, numbered from 2 on if it is taken; *what*: conflicted, recovered,
    incomplete.

    A copy of a copy is named after the original. The stem is cut where the name would be too long.
    """
    name = _MARK.sub("", name) or name  # of a copy without an extension: the host in its mark may have dots
    stem, dot, extension = name.rpartition(".")
    # What is that long is no extension, and would leave no room for the mark.
    if not stem or len(extension.encode()) > min(most_chars, NAME_BYTES) // 2:
        stem, dot, extension = name, "", ""
    stem = _MARK.sub("", stem) or stem
    label = _UNFIT.sub("-", host).strip("-") or "here"
    date = datetime.fromtimestamp(wall_ns // NS_PER_S).date().isoformat()
    number = 1
    while True:
        mark = f" ({what} copy {label} {date}{'' if number == 1 else f' {number}'})"
        copy = _cut(stem, f"{mark}{dot}{extension}", most_chars)
        if not is_taken(copy):
            return copy
        number += 1


def is_copy_name(name: str) -> bool:
    """Whether ``name_beside`` may have made it."""
    stem, _, _ = name.rpartition(".")
    return any(_MARK.search(each) for each in (name, stem))


def original_name(copy: str) -> str | None:
    """The name of the file that a copy named *copy* lies beside, as far as it was not cut; None: it is no
    copy's name."""
    stem, dot, extension = copy.rpartition(".")
    if dot and _ANY_MARK.search(stem):
        return f"{_ANY_MARK.sub('', stem)}.{extension}"
    return _ANY_MARK.sub("", copy) if _ANY_MARK.search(copy) else None


def copy_named_in(notice: str) -> str | None:
    """The name of the conflicted copy that a notice tells of; None: it tells of none."""
    _, found, name = notice.partition(KEPT_AS)
    return name if found else None


def _cut(stem: str, tail: str, most_chars: int) -> str:
    """*stem* as far as it fits before *tail*, in characters and in bytes."""
    stem = stem[: max(1, most_chars - len(tail))]
    room_bytes = max(1, NAME_BYTES - len(tail.encode()))
    cut = stem.encode()[:room_bytes].decode(errors="ignore")
    return (cut.rstrip() or cut) + tail
