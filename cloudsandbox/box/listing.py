"""Pages of a folder: by offset, or by a marker that survives changes in between."""

import base64
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from cloudsandbox.box.database import ROOT
from cloudsandbox.box.errors import Refusal, bad_parameter
from cloudsandbox.box.records import ITEM_QUERY, item_of
from cloudsandbox.box.views import Views

MAX_LIMIT = 1000
MAX_OFFSET = 9999
DEFAULT_LIMIT = 100
_COLUMNS = {
    "name": "i.key",
    "id": "i.id",
    "date": "i.content_modified_s",
    "size": "COALESCE(v.size_bytes, 0)",
}
_RANK = "CASE i.kind WHEN 'folder' THEN 0 ELSE 1 END"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page, as the client asks for it."""

    folder: int | None  # None: the trash
    fields: list[str] | None
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    marker: str | None = None
    uses_marker: bool = False
    sort: str = "name"
    direction: str = "ASC"


def check_wanted(wanted: Wanted, names_sort: bool) -> None:
    """Raise Refusal for limits, offsets and orders the service does not take."""
    if not 0 <= wanted.limit <= MAX_LIMIT:
        raise Refusal(400, "invalid_limit", f"limit must be at most {MAX_LIMIT}")
    if not 0 <= wanted.offset <= MAX_OFFSET:
        raise Refusal(400, "invalid_offset", f"offset must be at most {MAX_OFFSET}")
    if wanted.sort not in _COLUMNS:
        raise bad_parameter("sort", f"Invalid value '{wanted.sort}'")
    if wanted.direction not in ("ASC", "DESC"):
        raise bad_parameter("direction", f"Invalid value '{wanted.direction}'")
    if wanted.uses_marker and names_sort and wanted.folder == ROOT:
        raise bad_parameter("sort", "Marker based pages of the root folder cannot be sorted")
    if wanted.uses_marker and wanted.offset:
        raise bad_parameter("offset", "offset and usemarker exclude each other")


class Listing:
    """Reads pages. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection, views: Views) -> None:
        self._db = connection
        self._views = views

    def page(self, wanted: Wanted) -> dict[str, Any]:
        """The page with its entries."""
        return self._by_marker(wanted) if wanted.uses_marker else self._by_offset(wanted)

    def _by_offset(self, wanted: Wanted) -> dict[str, Any]:
        rows = self._rows(wanted, "", (), f"LIMIT {wanted.limit} OFFSET {wanted.offset}")
        place, values = _place(wanted)
        (total,) = self._db.execute(f"SELECT COUNT(*) FROM item i WHERE {place}", values).fetchone()
        return {
            "total_count": total,
            "limit": wanted.limit,
            "offset": wanted.offset,
            "order": [
                {"by": "type", "direction": "ASC"},
                {"by": wanted.sort, "direction": wanted.direction},
            ],
            "entries": self._entries(wanted, rows),
        }

    def _by_marker(self, wanted: Wanted) -> dict[str, Any]:
        column, sign = _COLUMNS[wanted.sort], ">" if wanted.direction == "ASC" else "<"
        condition = ""
        values: tuple[Any, ...] = ()
        if wanted.marker:
            rank, value, number = _decoded(wanted.marker)
            condition = (
                f" AND ({_RANK} > ? OR ({_RANK} = ? AND ({column} {sign} ? OR"
                f" ({column} = ? AND i.id {sign} ?))))"
            )
            values = (rank, rank, value, value, number)
        rows = self._rows(wanted, condition, values, f"LIMIT {wanted.limit + 1}")
        page = rows[: wanted.limit]
        following = _encoded(page[-1][-2:], page[-1][0]) if page and len(rows) > wanted.limit else None
        return {"limit": wanted.limit, "next_marker": following, "entries": self._entries(wanted, page)}

    def _rows(
        self, wanted: Wanted, condition: str, values: tuple[Any, ...], limits: str
    ) -> list[tuple[Any, ...]]:
        column, direction = _COLUMNS[wanted.sort], wanted.direction
        place, place_values = _place(wanted)
        select = ITEM_QUERY.replace(" FROM item i", f", {_RANK}, {column} FROM item i", 1)
        return self._db.execute(
            f"{select} WHERE {place}{condition}"
            f" ORDER BY {_RANK}, {column} {direction}, i.id {direction} {limits}",
            (*place_values, *values),
        ).fetchall()

    def _entries(self, wanted: Wanted, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
        return [self._views.listed(item_of(row[:-2]), wanted.fields) for row in rows]


def _place(wanted: Wanted) -> tuple[str, tuple[Any, ...]]:
    """Which items the page is of, as a condition and its values."""
    if wanted.folder is None:
        return "i.id IN (SELECT item FROM trash)", ()
    return "i.parent = ? AND i.trashed_s IS NULL", (wanted.folder,)


def _encoded(place: tuple[Any, ...], number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([*place, number]).encode()).decode()


def _decoded(marker: str) -> tuple[int, Any, int]:
    try:
        rank, value, number = json.loads(base64.urlsafe_b64decode(marker.encode()))
    except (ValueError, TypeError) as error:
        raise bad_parameter("marker", "Invalid marker") from error
    if not isinstance(rank, int) or not isinstance(value, int | str) or not isinstance(number, int):
        raise bad_parameter("marker", "Invalid marker")
    return rank, value, number
