"""Questions to whoever runs a command: at a terminal, or a script with options and standard input."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from daemon.failure import BadSettings
from daemon.places.answering import check_answers

LONGEST_LINE = 16_384


@dataclass(frozen=True, slots=True)
class Asking:
    """*is_at_terminal*: somebody can answer."""

    is_at_terminal: bool

    def choice(self, what: str, words: list[str], option: str) -> str:
        """One of *words*; only a person is asked. BadSettings."""
        if not self.is_at_terminal:
            raise BadSettings(f"say which {what}: {option} {' or '.join(words)}")
        return str(click.prompt(what.capitalize(), type=click.Choice(words), err=True))

    def text(self, what: str, option: str) -> str:
        """A line that is no secret; only a person is asked. BadSettings."""
        if not self.is_at_terminal:
            raise BadSettings(f"the {what} is missing; give {option}")
        return str(click.prompt(what, err=True)).strip()

    def secret(self, what: str, option: str) -> str:
        """A line that is not shown while it is typed; only a person is asked. BadSettings."""
        if not self.is_at_terminal:
            raise BadSettings(f"the {what} is missing; give {option}")
        return str(click.prompt(f"{what} (not shown)", hide_input=True, err=True)).strip()

    def code(self, what: str) -> str:
        """A line that a person types, or a script writes to standard input. BadSettings."""
        if self.is_at_terminal:
            return str(click.prompt(what, err=True)).strip()
        return line_of(Path("-"), what)


def at_terminal() -> bool:
    """Whether standard input is somebody's."""
    return sys.stdin is not None and sys.stdin.isatty()


def line_of(file: Path, what: str) -> str:
    """The next line of *file*; ``-`` is standard input. BadSettings."""
    try:
        if str(file) == "-":
            line = sys.stdin.readline(LONGEST_LINE)
        else:
            check_answers(file)
            with file.open(encoding="utf-8") as opened:
                line = opened.readline(LONGEST_LINE)
    except OSError as error:
        raise BadSettings(f"{file}: the {what} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{file}: the {what} is no text") from None
    if not line.strip():
        where = "standard input" if str(file) == "-" else file
        raise BadSettings(f"{where}: the {what} is missing: its line is empty")
    return line.strip()
