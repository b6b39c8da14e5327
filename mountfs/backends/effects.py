"""What the loss of a connection means in the middle of a call that takes several requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mountfs.errors import Offline, Unreachable


@contextmanager
def after_an_effect() -> Iterator[None]:
    """For the requests that follow one which took effect: where they cannot be sent, the call is Offline.

    Unreachable would say that the call as a whole took none. Example: the first of a case-only rename's two
    moves succeeds, and no connection can be made for the second.
    """
    try:
        yield
    except Unreachable as error:
        raise Offline(str(error), error.retry_after_s) from error
