"""Values that a call makes by the dozen, and a start by the hundred thousand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """``dataclass(frozen=True, slots=True)``, but that only the type checker knows that it is frozen.

    Python itself makes a frozen instance of nine fields in 1.6 us, and one that is not in 0.3 us: it sets
    each field by a call. Compared and hashed by its fields.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
