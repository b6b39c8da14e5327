"""The ``mountfs`` program. Loads by itself as little as can be."""

from __future__ import annotations

import signal


def main() -> None:
    """The entry point. Ctrl-C while the rest is loaded ends the process as it ends any other program, instead
    of with a traceback of the import that it met."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from daemon.cli import main as run  # noqa: PLC0415

    if is_usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
