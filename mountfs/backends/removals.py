"""What both services have in common where they bring back what was removed, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from mountfs.backends.http import HttpClient
from mountfs.errors import Busy, MountfsError, Offline, ServerFault, Throttled
from mountfs.model.entry import NS_PER_S

T = TypeVar("T")

LONGEST_GAP_S = 60
"""``rm -r`` removes a folder's files one by one, and a large folder takes the service a while, too: of one
removal are all files with no longer pause than this between them."""
ATTEMPTS = 5
PAUSE_S = 1.0
"""Before the second attempt, unless the service says how long; doubles with each further one."""


def last_removal(
    dated: Iterable[tuple[int, T]],
    before_ns: int | None = None,
    belongs: Callable[[T], bool] = lambda _: True,
) -> list[T]:
    """What went with the last removal, of all that *belongs* of what was removed at these times (ns): back
    from *before_ns*, or else the latest one, to the first pause that is longer than LONGEST_GAP_S. What was
    removed before that did not stand there any more."""
    found: list[T] = []
    next_ns = before_ns
    for removed_ns, each in sorted(dated, key=lambda pair: pair[0], reverse=True):
        if next_ns is not None and next_ns - removed_ns > LONGEST_GAP_S * NS_PER_S:
            break
        if belongs(each):
            next_ns = removed_ns
            found.append(each)
    return found


def patiently(http: HttpClient, call: Callable[[], T], look: Callable[[], T | None] | None = None) -> T:
    """Again while the service asks to wait; such a call took no effect. *look*: what the call gave, where a
    reply was lost and it took effect all the same; None: it did not, and is made again."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except (Busy, Throttled, Offline, ServerFault) as error:
            is_open = isinstance(error, Offline | ServerFault)
            if (is_open and look is None) or attempt == ATTEMPTS - 1:
                raise
            stated_s = error.retry_after_s
            http.pause(PAUSE_S * 2**attempt if stated_s is None else stated_s)
            if is_open and look is not None and (done := look()) is not None:
                return done
    raise AssertionError("the last attempt returns or raises")


def one_by_one(removed: Sequence[T], bring_back: Callable[[T], bool]) -> list[bool | MountfsError]:
    """By position whether it is back; a failure is the last, and ends it."""
    found: list[bool | MountfsError] = []
    for each in removed:
        try:
            found.append(bring_back(each))
        except MountfsError as error:
            return [*found, error]
    return found
