"""``FleetServer`` on Redis; the only module that knows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from daemon.config.fleet import LEASE_S
from daemon.fleet import scripts
from daemon.fleet.ports import WAITS_S, FleetView, Granted, Member, Queued, Waiter
from mountfs.errors import InvalidArgument, Offline, Unreachable
from mountfs.model.allowance import (
    AHEAD_S,
    GROWS_EVERY_S,
    GROWTH,
    MARGIN_S,
    OBJECTION_KEPT_S,
    WINDOW_S,
    Allowance,
)

TIMEOUT_S = 2.0
"""To connect, and for a reply. Its own part of it takes a server less than a millisecond."""


class RedisServer:
    """One account on one server. Keys begin with ``mountfs:{KEY}:``: one node of a cluster has them all."""

    def __init__(
        self,
        url: str,
        account_key: str,
        *,
        username: str | None = None,
        password: str | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        """*url*: ``redis://HOST:PORT/DB`` or ``rediss://``. Nothing is sent yet."""
        self.lease_s = lease_s
        self._where = url
        self._client: Any = redis.Redis.from_url(
            url,
            username=username,
            password=password,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # What failed is asked again by who asked, after a pause. One retry takes up a connection that the
            # server has closed meanwhile; every script may run twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
            decode_responses=True,
        )
        prefix = f"mountfs:{{{account_key}}}:"
        self._keys = [prefix + name for name in scripts.KEYS]
        self._rate_key = f"{prefix}rate"
        self._left_key = f"{prefix}left:"
        texts = (scripts.ENTER, scripts.RENEW, scripts.LEAVE, scripts.REPORT, scripts.LOOK)
        self._enter, self._renew, self._leave, self._report, self._look = map(
            self._client.register_script, texts
        )
        self._take = self._client.register_script(scripts.TAKE)
        self._refused = self._client.register_script(scripts.REFUSED)

    def enter(self, me: Member) -> Granted | Queued:
        is_granted, number, told = self._ask(self._enter, me.id, me.name, self.lease_s, WAITS_S, me.calls)
        return Granted(int(number), str(told)) if int(is_granted) else Queued(int(number), str(told))

    def renew(self, me: Member, token: int, job: str, *, is_live: bool = True) -> bool:
        told = (me.id, me.name, self.lease_s, me.calls, token, job, int(is_live))
        return bool(int(self._ask(self._renew, *told)))

    def leave(self, me: Member, token: int) -> None:
        self._ask(self._leave, me.id, me.name, me.calls, token)

    def report(self, me: Member) -> None:
        self._ask(self._report, me.id, me.name, me.calls)

    def look(self) -> FleetView:
        holder, held_s, waiting, calls = self._ask(self._look)
        waiters = tuple(Waiter(str(name), float(waited_s)) for name, waited_s in _pairs(waiting))
        counts: Counter[str] = Counter()
        for name, count in _pairs(calls):
            counts[str(name)] += int(count)
        return FleetView(str(holder), float(held_s), waiters, tuple(sorted(counts.items())))

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        counted = [each for each in wanted if each.is_counted]
        if not counted:
            return 0.0
        keys = [self._rate_key, *(self._left_key + each.name for each in counted)]
        rule = [WINDOW_S + MARGIN_S, GROWTH, GROWS_EVERY_S, OBJECTION_KEPT_S, AHEAD_S]
        kinds = [(each.name, each.per_minute, each.at_once, each.most) for each in counted]
        with self._foreign_errors():
            return float(self._take(keys=keys, args=[*rule, *(value for kind in kinds for value in kind)]))

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float) -> None:
        kinds = [value for each in refused if each.is_counted for value in (each.name, each.per_minute)]
        with self._foreign_errors():
            self._refused(keys=[self._rate_key], args=[retry_after_s, *kinds])

    def close(self) -> None:
        self._client.close()

    def _ask(self, script: Any, *arguments: object) -> Any:
        with self._foreign_errors():
            return script(keys=self._keys, args=list(arguments))

    @contextmanager
    def _foreign_errors(self) -> Iterator[None]:
        """What redis-py raises, in our words."""
        try:
            yield
        except redis.exceptions.TimeoutError as error:
            raise Offline(f"{self._where} does not answer in time") from error
        except (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError) as error:
            raise Unreachable(f"{self._where} refuses the password: {error}") from error
        except redis.exceptions.ConnectionError as error:
            raise Unreachable(f"{self._where} cannot be reached: {error}") from error
        except redis.exceptions.RedisError as error:
            raise Offline(f"{self._where} answers with an error: {error}") from error
        except (ValueError, TypeError, OSError) as error:
            raise InvalidArgument(f"{self._where} answers what no Redis does: {error}") from error


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
