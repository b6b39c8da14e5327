"""Which Box, as whom, seen from which folder, and how hard it may be driven."""

from __future__ import annotations

from dataclasses import dataclass

ROOT_FOLDER_ID = "0"
ADAPTIVE = "adaptive"
SMALL_FILE_BYTES = 20_000_000
"""Upload sessions need 20 MB; whether that is 10^6 or 2^20 is not stated (chunked upload guide)."""


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """The defaults are the public service, the user's own root, and the documented rate limits.

    ``as_user`` is the id of the user to act as, ``root_folder_id`` the folder that is the root of all
    paths; files below ``small_file_bytes`` travel in one request. ``upload_rate``: ``adaptive`` tries more
    than ``uploads_per_minute`` and ``calls_per_minute`` until the service objects, ``fixed`` never does.
    ``description`` and ``tags``: of each new file.
    """

    api_url: str = "https://api.box.com/2.0"
    upload_url: str = "https://upload.box.com/api/2.0"
    as_user: str | None = None
    root_folder_id: str = ROOT_FOLDER_ID
    uploads_per_minute: int = 240
    upload_rate: str = ADAPTIVE
    calls_per_minute: int = 1000
    small_file_bytes: int = SMALL_FILE_BYTES
    description: str | None = None
    tags: tuple[str, ...] = ()
