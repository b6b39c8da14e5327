"""Folders that are being loaded, from the store or from the service."""

from __future__ import annotations

import threading

from mountfs.errors import MountfsError


class Load:
    """One load of a folder, and all callers that wait for it."""

    def __init__(self, asked_at: int) -> None:
        self.asked_at = asked_at
        self.ended = threading.Event()
        self.error: MountfsError | None = None
