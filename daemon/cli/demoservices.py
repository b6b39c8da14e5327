"""The services that the demonstration shows, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mountfs.model.hashing import HashKind


@dataclass(frozen=True, slots=True)
class DemoService:
    """How one service is shown: the tree, and the addresses of its stand-in.

    *addresses* gives the remote's keys for the stand-in at a base address.
    """

    name: str
    title: str
    files: int
    large_mib: int
    hash_kind: HashKind
    addresses: Callable[[str], Mapping[str, str]]


def _dropbox_addresses(url: str) -> Mapping[str, str]:
    return {"api_url": url, "content_url": url, "notify_url": url}


def _box_addresses(url: str) -> Mapping[str, str]:
    return {"api_url": f"{url}/2.0", "upload_url": f"{url}/api/2.0", "token_url": f"{url}/oauth2/token"}


DROPBOX = DemoService(
    name="dropbox",
    title="Dropbox",
    files=1000,
    large_mib=64,
    hash_kind=HashKind.DROPBOX,
    addresses=_dropbox_addresses,
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
    addresses=_box_addresses,
)
SERVICES = {"dropbox": (DROPBOX,), "box": (BOX,), "both": (DROPBOX, BOX)}
"""By the words of the option ``--service``."""
