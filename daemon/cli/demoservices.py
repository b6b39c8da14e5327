"""The services that the demonstration shows, as values."""

from __future__ import annotations

from dataclasses import dataclass

from mountfs.model.hashing import HashKind


@dataclass(frozen=True, slots=True)
class DemoService:
    """How one service is shown: the tree that is copied."""

    name: str
    title: str
    files: int
    large_mib: int
    hash_kind: HashKind


DROPBOX = DemoService(
    name="dropbox",
    title="Dropbox",
    files=1000,
    large_mib=64,
    hash_kind=HashKind.DROPBOX,
)
BOX = DemoService(
    name="box",
    title="Box",
    # Box has no batches and takes 240 uploads a minute, which the mount keeps to here as well: these 60, and
    # the parts of the large one, leave at once; a thousand would take more than three minutes.
    files=60,
    # Above the 20 MB from which on Box takes a file in parts.
    large_mib=48,
    hash_kind=HashKind.SHA1,
)
SERVICES = {"dropbox": (DROPBOX,), "box": (BOX,), "both": (DROPBOX, BOX)}
"""By the words of the option ``--service``."""
