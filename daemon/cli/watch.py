"""``mountfs status --watch``: the whole screen, twice a second, until somebody has seen enough."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from threading import Event

from rich.console import Group, RenderableType
from rich.live import Live
from rich.rule import Rule

from daemon.cli.bars import text
from daemon.cli.context import Context
from daemon.cli.overview import Overview, render_overview
from daemon.control.health import EXIT_CODES
from daemon.failure import BadSettings

REFRESH_S = 0.5
ENDS = (b"q", b"Q", b"\x1b", b"")
"""The last: nobody can press a key any more."""


def watch_on(context: Context, look: Callable[[], Overview]) -> int:
    """Shows what *look* finds again and again; the exit code of what was seen last. BadSettings without a
    terminal."""
    console = context.out
    if not console.file.isatty():  # what FORCE_COLOR says is another thing
        raise BadSettings("--watch needs a terminal; without one use --json, and ask again")
    if console.is_dumb_terminal:
        raise BadSettings(
            "--watch needs a terminal whose cursor moves, and TERM says that this one's does not"
        )
    found = look()
    with keys() as pressed, Live(screen(found), console=console, screen=True, auto_refresh=False) as live:
        try:
            while not pressed(REFRESH_S):
                found = look()
                live.update(screen(found), refresh=True)
        except KeyboardInterrupt:
            pass
    return EXIT_CODES[found.health]


def screen(found: Overview) -> RenderableType:
    """One picture: how all is, when that was, and each mount."""
    style = {"well": "green", "trouble": "yellow", "down": "red"}[found.health]
    title = text(f"mountfs: {found.health}, {time.strftime('%H:%M:%S')}", f"bold {style}")
    silent = [text(why, "red") for why in found.silent.values()]
    return Group(Rule(title, style=style), render_overview(found), *silent, text("q ends this", "dim"))


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], bool]]:
    """A call that waits so many seconds, and tells whether a key was pressed that ends the watching."""
    if not sys.stdin.isatty():
        yield lambda seconds: Event().wait(seconds)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(seconds: float) -> bool:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        return bool(ready) and os.read(descriptor, 16) in ENDS

    tty.setcbreak(descriptor)
    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
