"""From what the configuration says of a fleet to the server that it means."""

from __future__ import annotations

from importlib.util import find_spec

from daemon.config.fleet import Fleet
from daemon.failure import BadSettings
from daemon.fleet.ports import FleetServer


def check_library() -> None:
    """BadSettings where the library is missing that a fleet needs."""
    if find_spec("redis") is None:
        raise BadSettings("[fleet] needs a library; run: pip install 'mountfs[fleet]'")


def server_of(fleet: Fleet, account_key: str) -> FleetServer:
    """The server, asked nothing yet. The library is loaded here, and only where a fleet is configured."""
    from daemon.fleet.redisserver import RedisServer  # noqa: PLC0415

    return RedisServer(
        fleet.url, account_key, username=fleet.username, password=fleet.password, lease_s=fleet.lease_s
    )
