"""What was written to the folder that both mounts share, and what must have become of it. Pure.

Versions are told apart by their hash, as the service states it; no two writers ever write the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.soak.trees import copy_of

Histories = Mapping[str, Sequence[str]]
"""Path at the service -> the hashes of all versions of the file, the oldest first."""


@dataclass(slots=True)
class Claim:
    """One version that a writer gave, or tried to give, the file at *path* in *mount*.

    *saw*: the version that it read through the same descriptor before; None where the mount alone knows which
    one was replaced, as with a rename. *is_told*: whether the writer was told that it is safe.
    """

    mount: str
    path: str
    digest: str
    saw: str | None
    is_told: bool = False


def lost(claims: Sequence[Claim], histories: Histories) -> list[str]:
    """Versions that a writer was told are safe, that the service never had, and that no later one of the same
    mount replaced before they were sent. *claims* of a mount are in the order of its calls."""
    arrived = {digest for history in histories.values() for digest in history}
    replaced: set[tuple[str, str]] = set()
    lines = []
    for claim in reversed(claims):
        place = (claim.mount, claim.path)
        if claim.is_told and claim.digest not in arrived and place not in replaced:
            lines.append(f"{claim.path}: lost what {claim.mount} wrote, {claim.digest}")
        if claim.is_told or claim.digest in arrived:
            replaced.add(place)
    return lines


def overwritten_unseen(claims: Sequence[Claim], histories: Histories, empty: str) -> list[str]:
    """Versions that replaced one which their writer had not seen: they should have become conflicted copies.
    *empty*: the hash of no bytes, which many files have."""
    known = {claim.digest: claim for claim in claims}
    lines = []
    for path, history in histories.items():
        for older, newer in pairwise(history):
            if empty not in (older, newer) and newer in known and older not in _seen_by(known[newer], known):
                lines.append(f"{path}: {newer} of {known[newer].mount} replaced {older} unseen")
    return lines


def _seen_by(claim: Claim, known: Mapping[str, Claim]) -> Iterator[str]:
    """What its writer saw, and the versions that its own unsent ones replaced."""
    step: Claim | None = claim
    while step is not None and step.mount == claim.mount:
        if step.saw is None:
            yield from known
            return
        yield step.saw
        step = known.get(step.saw)


def strange(claims: Sequence[Claim], histories: Histories, empty: str) -> list[str]:
    """Versions that nobody wrote, and names that nobody gave."""
    known = {claim.digest for claim in claims} | {empty}
    names = {claim.path for claim in claims}
    lines = [
        f"{path}: nobody wrote {digest}"
        for path, history in histories.items()
        for digest in history
        if digest not in known
    ]
    for path in histories.keys() - names:
        copy = copy_of(path)
        if copy is None or copy.kind != "conflicted" or copy.original not in names:
            lines.append(f"{path}: nobody gave this name")
    return lines


def committed_twice(histories: Histories, empty: str) -> list[str]:
    """Versions that one file has twice in a row."""
    return [
        f"{path}: {newer} was committed twice in a row"
        for path, history in histories.items()
        for older, newer in pairwise(history)
        if older == newer != empty
    ]


def in_two_files(histories: Histories, empty: str) -> list[str]:
    """Versions that more than one file has: copies of what had arrived already."""
    found: dict[str, list[str]] = {}
    for path, history in sorted(histories.items()):
        for digest in set(history) - {empty}:
            found.setdefault(digest, []).append(path)
    return [f"{digest} is a version of {', '.join(paths)}" for digest, paths in found.items() if paths[1:]]
