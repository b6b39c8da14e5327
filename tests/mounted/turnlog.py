"""The turns that machines of a fleet took, read off their Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import redis

END = "the log ends here"


@dataclass(frozen=True, slots=True)
class TakenTurn:
    """*asked_s*, *had_s*: by the clock of the Redis. *passed*: turns that others got in between."""

    machine: str
    asked_s: float
    had_s: float
    passed: int

    @property
    def wait_s(self) -> float:
        return self.had_s - self.asked_s


@dataclass(slots=True)
class Turns:
    """What the scripts' own commands tell, one after the other."""

    taken: list[TakenTurn] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Machines that left the queue without a turn, once for each time."""
    _asked: dict[str, tuple[float, int]] = field(default_factory=dict)
    _left: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Out of the queue; the same script may give it the turn next."""

    def hear(self, at_s: float, command: str) -> None:
        """*command*: words of it, with a blank between two."""
        words = command.split(" ")
        verb, kind = words[0], words[1].rpartition(":")[2] if len(words) > 1 else ""
        if (verb, kind) == ("ZADD", "queue"):
            member = words[3]
            self._note_lost(member)
            self._asked.setdefault(member, (at_s, len(self.taken)))
        elif (verb, kind) == ("ZREM", "queue") and words[2] in self._asked:
            self._left[words[2]] = self._asked.pop(words[2])
        elif (verb, kind) == ("HSET", "lease") and words[2] == "member" and "job" in words:
            member = words[3]
            asked_s, before = self._left.pop(member)
            self.taken.append(TakenTurn(_name(member), asked_s, at_s, len(self.taken) - before))

    def end(self) -> None:
        for member in list(self._left):
            self._note_lost(member)

    def of(self, machine: str) -> list[TakenTurn]:
        return [each for each in self.taken if each.machine == machine]

    def _note_lost(self, member: str) -> None:
        if self._left.pop(member, None) is not None:
            self.lost.append(_name(member))


class TurnLog:
    """Hears all that a Redis does until it is closed; ``turns`` is whole from then on."""

    def __init__(self, url: str) -> None:
        self.turns = Turns()
        self._client: Any = redis.Redis.from_url(url, decode_responses=True)
        self._monitor: Any = self._client.monitor()
        self._is_open = False
        self._thread = threading.Thread(target=self._hear, daemon=True)

    def __enter__(self) -> Self:
        self._monitor.__enter__()
        self._is_open = True
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Harmless when it is closed."""
        if self._is_open:
            self._is_open = False
            self._client.echo(END)
            self._thread.join()
            self._monitor.__exit__(None, None, None)
            self._client.close()
            self.turns.end()

    def _hear(self) -> None:
        told: Iterable[dict[str, Any]] = self._monitor.listen()
        for each in told:
            if each["command"].endswith(END):
                return
            if each["client_type"] == "lua":
                self.turns.hear(each["time"], each["command"])


def _name(member: str) -> str:
    return member.partition(":")[0]
