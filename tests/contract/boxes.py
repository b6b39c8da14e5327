"""Box's client on the stand-in with small parts, for the tests of what only Box does."""

from __future__ import annotations

from typing import Any

from cloudsandbox.box import BoxSandbox, BoxSwitches
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.http import HttpSettings
from mountfs.clock import SystemClock
from tests.contract.far import OneToken
from tests.waiting import DEADLINE_S

PART = 1000
BODY = bytes(range(250)) * 10
SWITCHES = BoxSwitches(
    min_session_bytes=0, part_size_bytes=PART, refuse_forwarded_token=True, record_exchanges=True
)
UNLIMITED = {"uploads_per_minute": 10**6, "calls_per_minute": 10**6}


def connect(sandbox: BoxSandbox, **settings: Any) -> BoxBackend:
    """The account of *sandbox*; nothing waits for a rate unless *settings* say so."""
    return BoxBackend(
        BoxSettings(sandbox.api_url, sandbox.upload_url, **{**UNLIMITED, **settings}),
        OneToken("sandbox"),
        SystemClock(),
        HttpSettings(read_timeout_s=DEADLINE_S),
    )


def statuses(sandbox: BoxSandbox, route: str) -> list[int | None]:
    """What was answered on *route*, in order."""
    return [record.status for record in sandbox.log.records(route)]
