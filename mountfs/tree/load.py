"""Folders that are being loaded, from the store or from the service."""

from __future__ import annotations

import threading

from mountfs.errors import MountfsError


class Load:
    """One load of a folder, and all callers that wait for it."""

    def __init__(self, asked_at: int) -> None:
        self.asked_at = asked_at
        self.landed: dict[str, int] = {}
        """The places in the folder, by their folded names, at which an order of ours had its outcome since
        this load began, and when."""
        self.ended = threading.Event()
        self.error: MountfsError | None = None

    def is_believed_at(self, key: str) -> bool:
        """Whether what the service was asked for knows of all our outcomes at the folded name *key*."""
        return self.landed.get(key, 0) <= self.asked_at
