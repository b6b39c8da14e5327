"""What was removed and is to come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mountfs.model.entry import Entry
from mountfs.model.value import value


@value
class Removed:
    """A file or folder that is gone, and that the service can bring back. *id*: how the service knows it;
    *folder_id*: of the folder that it was in, where that is gone, too. *revision*: the last one of a file,
    where the service has to be told. *removed_ns*: 0 where the service does not say."""

    id: str
    is_folder: bool
    folder_id: str = ""
    revision: str = ""
    removed_ns: int = 0


@dataclass(frozen=True, slots=True)
class Undeleted:
    """*entry* stands at the place; None: it will once *rest* is back. *is_back*: it came back just now.
    *rest*: what else is to come back, those before others that have to be there first."""

    entry: Entry | None
    is_back: bool = True
    rest: Sequence[Removed] = ()
