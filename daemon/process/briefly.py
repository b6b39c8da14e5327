"""A question that is not waited for longer than some moments."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from mountfs.errors import Offline

T = TypeVar("T")


def briefly(ask: Callable[[], T], seconds: float) -> T:
    """The outcome of *ask*; Offline when it has none within *seconds*.

    The question goes on by itself on a thread of its own, and nobody hears what becomes of it. What it waits
    for must end by itself, as a backend's calls do when the backend is closed.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(ask())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=run, name="ask", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        if outcome.done():
            raise
        raise Offline(f"no answer within {seconds:g} s") from None
