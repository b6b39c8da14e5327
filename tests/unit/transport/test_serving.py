"""The side of the network process: in which order the mount is told of limits and outcomes."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from mountfs.transport.codec import dumps
from mountfs.transport.frames import Kind
from mountfs.transport.serving import Serving
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.waiting import until


class Learning:
    """A backend that learns its limits with the first call."""

    root_id = ""
    limits = MEMORY_LIMITS

    def calls(self) -> dict[str, int]:
        self.limits = replace(MEMORY_LIMITS, max_file_bytes=77)
        return {}


class Slow:
    """A channel on which the frame with the limits takes a while."""

    def __init__(self) -> None:
        self.sent: list[Kind] = []
        self.is_sending = threading.Event()
        self.may_go_on = threading.Event()

    def send(self, kind: Kind, _number: int, _payload: bytes) -> None:
        if kind is Kind.STATE:
            self.is_sending.set()
            self.may_go_on.wait(10.0)
        self.sent.append(kind)


class CountedLock:
    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.asked += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_the_mount_knows_the_limits_that_a_call_learned_when_any_call_returns() -> None:
    """Also when another call is just telling of them."""
    channel: Any = Slow()
    backend: Any = Learning()
    serving = Serving(channel, -1, backend, lambda _account: None)
    lock: Any = CountedLock()
    serving._lock = lock
    frame = dumps(("calls", (), {}))
    first, second = [threading.Thread(target=serving._begin, args=(number, frame)) for number in (1, 2)]
    first.start()
    assert channel.is_sending.wait(10.0)
    second.start()
    until(lambda: lock.asked == 2 or channel.sent, "the second call waits, or has ended")
    assert channel.sent == []
    channel.may_go_on.set()
    first.join()
    second.join()
    assert channel.sent == [Kind.STATE, Kind.RESULT, Kind.RESULT]
