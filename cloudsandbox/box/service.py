"""One Box account: its state and its switches."""

import time
from pathlib import Path
from typing import Any

from cloudsandbox.account import Account
from cloudsandbox.box.database import HISTORY_OF_OLD_DATA, ROOT, SCHEMA
from cloudsandbox.box.events import Events
from cloudsandbox.box.items import Items
from cloudsandbox.box.links import Links
from cloudsandbox.box.listing import Listing
from cloudsandbox.box.rates import Rates
from cloudsandbox.box.records import FOLDER, Item
from cloudsandbox.box.sessions import Sessions
from cloudsandbox.box.switches import BoxSwitches
from cloudsandbox.box.tokens import Tokens
from cloudsandbox.box.trash import Trash
from cloudsandbox.box.views import Views
from cloudsandbox.exchanges import Exchanges
from cloudsandbox.requestlog import RequestLog


class BoxAccount(Account):
    """Everything the routes work on."""

    def __init__(self, data: Path, switches: BoxSwitches, log: RequestLog) -> None:
        super().__init__(data, SCHEMA, HISTORY_OF_OLD_DATA)
        self.log = log
        connection = self.state.connection
        self.views = Views(connection)
        self.events = Events(connection, self.views)
        self.items = Items(connection, self.views, self.events, self.history)
        self.trash = Trash(connection, self.items, self.events, self.history)
        self.listing = Listing(connection, self.views)
        self.sessions = Sessions(connection, self.files, self.history)
        self.tokens = Tokens(connection)
        self.links = Links(connection)
        self.rates = Rates()
        self.exchanges = Exchanges()
        self.unready: dict[int, int] = {}  # version -> how many 202 it was answered with
        self.switches = switches
        self.apply(switches)
        self.state.on_rollback = self._recount

    def apply(self, switches: BoxSwitches) -> None:
        """Put switches in force, the rates counted from the start."""
        self.switches = switches
        self.line.apply(switches.up_bytes_per_s, switches.down_bytes_per_s)
        self.history.limit_bytes = switches.history_bytes
        self.views.switches = switches
        self.events.switches = switches
        self.items.switches = switches
        self.sessions.switches = switches
        self.tokens.switches = switches
        self.rates.apply(switches, time.monotonic())
        self.unready.clear()

    async def start(self) -> None:
        """Clear away what has expired."""
        await super().start()
        await self.run(self.sessions.sweep)

    def _recount(self) -> None:
        self.items.recount()
        self.history.recount()

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Path -> kind, id, etag; of files sha1, size, versions, version_id, content_modified_at and _s, too.
        The root is not among them. On the state thread."""
        found: dict[str, dict[str, Any]] = {}
        waiting = [("", ROOT)]
        while waiting:
            path, folder = waiting.pop()
            for item in self.items.children(folder):
                here = f"{path}/{item.name}"
                found[here] = self._described(item)
                if item.kind == FOLDER:
                    waiting.append((here, item.id))
        return dict(sorted(found.items()))

    def _described(self, item: Item) -> dict[str, Any]:
        known = {"kind": item.kind, "id": str(item.id), "etag": str(item.etag)}
        if item.version is None:
            return known
        return {
            **known,
            "sha1": item.version.content.sha1,
            "size": item.version.content.size_bytes,
            "versions": item.version.number,
            "version_id": str(item.version.id),
            "content_modified_at": self.views.time(item.content_modified_s),
            "content_modified_s": item.content_modified_s,
        }

    def sessions_snapshot(self) -> list[dict[str, Any]]:
        """The open upload sessions. On the state thread."""
        return [
            {
                "id": session.id,
                "folder_id": None if session.folder is None else str(session.folder),
                "file_id": None if session.file is None else str(session.file),
                "file_name": session.name,
                "file_size": session.size_bytes,
                "part_size": session.part_size_bytes,
                "parts": [part.offset_bytes for part in parts],
                "received_bytes": sum(part.size_bytes for part in parts),
            }
            for session, parts in self.sessions.open_sessions()
        ]
