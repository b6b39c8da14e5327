"""What must hold once all faults are over: both mounts and the account are one, and nothing is lost, doubled
or left over."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mountfs.model.hashing import content_hash
from tests.mounted.boxprocess import BoxProcess
from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.claims import (
    Claim,
    Histories,
    committed_twice,
    in_two_files,
    lost,
    overwritten_unseen,
    strange,
)
from tests.soak.sharer import FOLDER
from tests.soak.station import Station
from tests.soak.trees import copy_of, differences, tree_below
from tests.waiting import until

SETTLES_WITHIN_S = 400.0
"""A little more than the longest pause between two attempts."""
SEEN_WITHIN_S = 120.0
"""After the longest time for which a folder is not listed again."""

View = dict[str, str]
"""Path -> hash of a file, as the service states it; folders end with a slash and have none."""

Versions = Mapping[str, Sequence[Mapping[str, Any]]]
"""Path at the service -> size and content_hash of each version of the file, the oldest first."""


def settle(stations: Iterable[Station], far_side: SandboxProcess) -> None:
    """Returns when all is sent and both mounts show what the account has. AssertionError if they never do."""
    for station in stations:
        station.mount.wait_committed(SETTLES_WITHIN_S)
    for station in stations:
        missing: list[str] = []

        def is_seen() -> bool:
            nonlocal missing
            try:
                missing = differences(account_view(far_side), mount_view(station, far_side))  # noqa: B023
            except FileNotFoundError as error:  # it is listed, and was moved by the other mount meanwhile
                missing = [str(error)]
            if missing:
                time.sleep(1.0)  # a look reads everything
            return not missing

        try:
            until(is_seen, f"mount {station.name} shows what the account has", SEEN_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: " + "; ".join(missing)) from None


def versions(far_side: SandboxProcess) -> Versions:
    return {path.removeprefix("/"): far_side.versions(path) for path in far_side.files()}


def histories_of(arrived: Versions) -> Histories:
    return {path: [version["content_hash"] for version in history] for path, history in arrived.items()}


def faults(
    stations: list[Station], far_side: SandboxProcess, histories: Histories, claims: list[Claim]
) -> Iterator[str]:
    """A line for each promise that was broken, once all has settled. *histories*: of all files."""
    empty = content_hash(far_side.hash_kind, b"")
    shared: Histories = {
        path: history for path, history in histories.items() if path.startswith(f"{FOLDER}/")
    }
    yield from committed_twice(histories, empty)
    yield from lost(claims, shared)
    yield from overwritten_unseen(claims, shared, empty)
    yield from strange(claims, shared, empty)
    yield from in_two_files(shared, empty)
    for station in stations:
        left = [
            str(path) for path in spool_files(Path(station.mount.options["state_dir"])) if path.stat().st_size
        ]
        if left:
            yield f"mount {station.name}: left in the spool: {left}"
    if isinstance(far_side, BoxProcess):
        # One whose opening was never heard of is in nobody's books.
        yield from (f"left open: {each}" for each in far_side.sessions() if each["parts"])


def conflicts(paths: Iterable[str]) -> int:
    """How many conflicted copies are among them."""
    copies = map(copy_of, paths)
    return sum(copy is not None and copy.kind == "conflicted" for copy in copies)


def account_view(far_side: SandboxProcess) -> View:
    return {
        path.removeprefix("/") + ("/" if entry["kind"] == "folder" else ""): entry.get("content_hash", "")
        for path, entry in far_side.tree().items()
    }


def mount_view(station: Station, far_side: SandboxProcess) -> View:
    """What is read through a mount."""
    return {
        path: "" if path.endswith("/") else content_hash(far_side.hash_kind, body)
        for path, body in tree_below(station.mount.path).items()
    }


def spool_files(state_dir: Path) -> Iterator[Path]:
    return state_dir.glob("accounts/*/slot-*/spool/*")
