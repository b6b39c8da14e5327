"""``mountfs`` with an account in memory, that of a `memoryserver`, behind every remote."""

from __future__ import annotations

import copyreg
import http.client
import pickle
import threading
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from daemon.cli import main
from daemon.config.settings import AccountRemote
from daemon.process import assembly
from daemon.process.connection import Connection
from daemon.process.run import MountPlan
from mountfs.errors import MountfsError, Offline, ServerFault, Unreachable
from mountfs.model.order import Order, Put
from mountfs.model.rates import Rates
from mountfs.model.source import Source
from mountfs.ports import Backend, Clock, Launch
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.sources import source_at

CALL_TIMEOUT_S = 60.0
WAIT_S = 0.5
"""How long one call waits for changes; then it looks whether the mount is over."""


copyreg.pickle(Source, lambda source: (source_at, (Path(source.path),)))


class RemoteMemory:
    """``ports.Backend`` on the memory account of another process."""

    limits = MEMORY_LIMITS
    root_id = ""

    def __init__(self, address: str) -> None:
        self._host = urllib.parse.urlsplit(address).netloc
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._is_closed = threading.Event()

    def __getattr__(self, method: str) -> Any:
        return lambda *arguments, **named: self._call(method, *arguments, **named)

    def part_bytes(self, session: str) -> int:
        return self.limits.chunk_bytes

    def submit(self, orders: Sequence[Order]) -> Launch:
        launch: Launch = self._call(f"submit/{orders[0].kind.value}", _without_bodies(orders))
        return launch

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        launch: Launch = self._call(f"poll/{orders[0].kind.value}", job, _without_bodies(orders))
        return launch

    def wait_for_changes(self, cursor: str, timeout_s: float) -> bool:
        for _ in range(max(1, round(timeout_s / WAIT_S))):
            if self._is_closed.is_set():
                raise Offline("the connection is closed")
            if self._call("wait_for_changes", cursor, WAIT_S):
                return True
        return False

    def calls(self) -> dict[str, int]:
        with self._lock:
            return dict(self._calls)

    def outcomes(self) -> dict[str, dict[str, int]]:
        return {route: {"2xx": count} for route, count in self.calls().items()}

    def limit_rates(self, rates: Rates) -> None:
        """Bytes do not travel here."""

    def trouble(self) -> MountfsError | None:
        return None

    def close(self) -> None:
        self._is_closed.set()

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        with self._lock:
            self._calls[method] += 1
        connection = http.client.HTTPConnection(self._host, timeout=CALL_TIMEOUT_S)
        try:
            connection.request("POST", f"/call/{method}", pickle.dumps((arguments, named)))
            response = connection.getresponse()
            body = response.read()
        except ConnectionRefusedError as error:
            raise Unreachable(f"nobody is at the memory account's address: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Offline(f"the memory account does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ServerFault(f"{method}: HTTP {response.status}")
        answer = pickle.loads(body)
        if isinstance(answer, MountfsError):
            raise answer
        return answer


def _without_bodies(orders: Sequence[Order]) -> list[Order]:
    """What can be sent: its bytes are in its session."""
    return [replace(order, body=None) if isinstance(order, Put) else order for order in orders]


def connect(plan: MountPlan, remote: AccountRemote, clock: Clock, process: object) -> Connection:
    return Connection(cast(Backend, RemoteMemory(remote.api_url)))


if __name__ == "__main__":
    assembly.connect = connect  # type: ignore[attr-defined, assignment]
    main()
