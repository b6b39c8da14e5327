"""Calls that accompany a mount, and must not end it by failing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from mountfs.errors import with_class

LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Guarded:
    """A disk that fails, a missing descriptor or a bug at one moment must not end a mount with changes
    pending. Used by one thread."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        """What failed last, by what was to be done."""

    def call(self, what: str, do: Callable[[], T], otherwise: T) -> T:
        """What *do* returns; *otherwise* where it raises, which is logged once for each run of equal
        failures. *what*: completes the sentence "the mount goes on, but fails"."""
        try:
            result = do()
        except Exception as error:
            failure = with_class(error)
            if failure != self._told.get(what):
                self._told[what] = failure
                LOG.error("the mount goes on, but fails %s", what, exc_info=error)
            return otherwise
        self._told.pop(what, None)
        return result
