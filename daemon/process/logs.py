"""Where log lines go: the terminal, the service manager's journal, or a file of a background mount."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

from daemon.printable import printable
from mountfs.model.logevent import LogEvent, pairs

LOG_BYTES = 4 * 1024 * 1024
OLD_LOGS = 2
HANDLER_NAME = "mountfs"


class LineFormatter(logging.Formatter):
    """One line a record. An exception follows it indented, so that no name in that passes for a record."""

    def format(self, record: logging.LogRecord) -> str:
        # A record keeps the exception's text as the first handler had it, which may be another's.
        mine = copy(record)
        mine.exc_text = None
        return super().format(mine)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatStack(stack_info))


class KeyFormatter(LineFormatter):
    """For programs: ``level=info logger=daemon.x event=batch kind=put entries=3``. What is told in words has
    ``msg="..."`` in place of the event."""

    def __init__(self, *, has_time: bool) -> None:
        super().__init__()
        self._has_time = has_time

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        facts: dict[str, object] = {}
        if self._has_time:
            facts["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts |= {"level": record.levelname.lower(), "logger": record.name}
        if isinstance(record.msg, LogEvent):
            facts |= {"event": record.msg.name, **record.msg.facts}
        else:
            facts["msg"] = record.getMessage()
        return printable(" ".join(pairs(facts)))


class JournalFormatter(KeyFormatter):
    """Opens each line with its priority in angle brackets; sd-daemon(3)."""

    _PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in self._PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


class LogFile(RotatingFileHandler):
    """Each line goes to the file that has the name then: another mount of the remote, which writes there too,
    may have begun a new one, and a person or logrotate(8) may have moved the old one away."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._follow()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A disk that takes no line takes no traceback either, which would go to the same file."""

    def _follow(self) -> None:
        before: TextIO | None = self.stream
        if before is None:
            return  # which the next line opens
        try:
            is_there = os.path.samestat(Path(self.baseFilename).stat(), os.fstat(before.fileno()))
        except FileNotFoundError:
            is_there = False
        if is_there:
            before.seek(0, os.SEEK_END)  # where Python 3.13 takes the end to be
            return
        self.stream = self._open()
        before.close()


def _indented(lines: str) -> str:
    return "\n".join(f"    {printable(line)}" for line in lines.split("\n"))


def configure(
    verbosity: int, environ: Mapping[str, str], file: Path | None = None, level: str | None = None
) -> None:
    """Sends the root logger to *file*, the journal or stderr; *verbosity* 0 warns, 1 informs, 2 debugs.
    *level*: a ``LogLevel``, in place of that.

    A service and a background mount inform by default: nobody watches them while it happens.
    """
    handler: logging.Handler
    if file is not None:
        handler = LogFile(file, maxBytes=LOG_BYTES, backupCount=OLD_LOGS, encoding="utf-8")
        handler.setFormatter(KeyFormatter(has_time=True))
    elif is_journal(environ, sys.stderr):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JournalFormatter(has_time=False))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LineFormatter("mountfs: %(message)s"))
    is_unwatched = file is not None or isinstance(handler.formatter, JournalFormatter)
    levels = (logging.INFO if is_unwatched else logging.WARNING, logging.INFO, logging.DEBUG)
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if handler.name == HANDLER_NAME]:
        root.removeHandler(old)
        old.close()
    handler.set_name(HANDLER_NAME)
    root.addHandler(handler)
    set_level(level or logging.getLevelName(levels[min(verbosity, 2)]))


def set_level(level: str) -> None:
    """A ``LogLevel``, from here on."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    is_wanted = root.isEnabledFor(logging.DEBUG)
    for noisy in ("urllib3", "fuse", "asyncio", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.DEBUG if is_wanted else logging.WARNING)


def is_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether *stream* leads to the journal; programs started by a service inherit the variable alone."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
