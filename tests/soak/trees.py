"""Trees by their content: how two of them differ, and what a call that failed may leave of one. Pure but for
the walk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

Tree = dict[str, bytes]
"""Path below a folder -> the bytes of a file. The path of a folder ends with a slash, and has no bytes."""

_COPY = re.compile(r"^(?P<stem>.+) \((?P<kind>conflicted|recovered) copy [^()]*\)(?P<extension>\.[^./]*)?$")
_COMPARED_BYTES = 512


@dataclass(frozen=True, slots=True)
class Copy:
    """A file beside another: *kind* is conflicted or recovered, *original* the path of the other one."""

    kind: str
    original: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What a call changes: *tops*, files or folders with all that is in them. *scratch*: patterns of paths
    that it makes and removes again. *unlinks*: whether it removes a file before it writes it anew."""

    tops: frozenset[str]
    scratch: tuple[str, ...] = ()
    unlinks: bool = False

    def has(self, path: str) -> bool:
        return self.may_litter(path) or any(f"{path.rstrip('/')}/".startswith(f"{top}/") for top in self.tops)

    def may_litter(self, path: str) -> bool:
        return any(fnmatchcase(path.rstrip("/"), pattern) for pattern in self.scratch)


def tree_below(folder: Path) -> Tree:
    """All that is in *folder*. OSError when any of it cannot be read."""

    def fail(error: OSError) -> None:
        raise error

    found: Tree = {}
    for above, folders, files in os.walk(folder, onerror=fail):
        here = Path(above).relative_to(folder)
        found |= {f"{here / name}/": b"" for name in folders}
        found |= {str(here / name): (Path(above) / name).read_bytes() for name in files}
    return found


def differences(wanted: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """A line for each path that is not in both, or not the same in both."""
    lines = [f"{path} is missing" for path in wanted.keys() - found.keys()]
    lines += [f"{path} should not be there" for path in found.keys() - wanted.keys()]
    lines += [f"{path} differs" for path in wanted.keys() & found.keys() if wanted[path] != found[path]]
    return sorted(lines)


def unexplained(before: Tree, after: Tree, found: Tree, reach: Reach, *, may_be_torn: bool) -> list[str]:
    """What a call that was to make *after* of *before*, and failed, cannot have left: a line for each path.

    *may_be_torn*: whether its writes failed, so that it closed files that it had written in part. A mount
    that dies shows the version from before, and keeps what was being written as a recovered copy.
    """
    paths = sorted(before.keys() | after.keys() | found.keys())
    lines = [line for path in paths for line in _about(path, before, after, found, reach, may_be_torn)]
    kept = set(before.values()) & set(after.values())
    nowhere = kept - set(found.values())
    lines += [f"{path} is nowhere" for path in paths if before.get(path) in nowhere and reach.has(path)]
    return lines


def _about(
    path: str, before: Tree, after: Tree, found: Tree, reach: Reach, may_be_torn: bool
) -> Iterator[str]:
    copy = copy_of(path)
    is_recovered = copy is not None and copy.kind == "recovered" and reach.has(copy.original)
    subject = copy.original if copy is not None and is_recovered else path
    was, wanted, stands = before.get(subject), after.get(subject), found.get(path)
    if not reach.has(subject):
        if stands != was:
            yield f"{path}, which the call did not concern, is {_short(stands)} instead of {_short(was)}"
    elif stands in (was, wanted) or reach.may_litter(subject):
        return
    elif stands is None:
        if not (reach.unlinks or was in found.values()):
            yield f"{path} is gone: {_short(was)}"
    elif not ((may_be_torn or is_recovered) and is_between(was, wanted, stands)):
        yield f"{path} is {_short(stands)}, neither {_short(was)} nor {_short(wanted)}"


def is_between(was: bytes | None, wanted: bytes | None, stands: bytes) -> bool:
    """Whether each byte is that of one of the two versions at its place."""
    versions = [version for version in (was, wanted) if version is not None]
    for at in range(0, len(stands), _COMPARED_BYTES):
        piece = stands[at : at + _COMPARED_BYTES]
        if any(version[at : at + len(piece)] == piece for version in versions):
            continue
        for offset, byte in enumerate(piece, at):
            if all(version[offset : offset + 1] != bytes([byte]) for version in versions):
                return False
    return True


def copy_of(path: str) -> Copy | None:
    """What the name of a copy tells; None: it is an ordinary name."""
    found = _COPY.match(path)
    return found and Copy(found["kind"], found["stem"] + (found["extension"] or ""))


def _short(body: bytes | None) -> str:
    return "nothing" if body is None else f"{len(body)} bytes beginning with {body[:8].hex() or 'none'}"
