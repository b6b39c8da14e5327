"""Text from elsewhere on its way to people: names of files, and messages of a service, hold anything."""

from __future__ import annotations

import os
import shlex


def printable(text: str) -> str:
    """*text* on one line, with everything that does not print as an escape sequence of Python's.

    So no name moves the cursor, turns the direction of writing around (U+202E), begins another line of a log,
    or keeps one from being written because it is no valid text (U+D800).
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def quoted(path: str | os.PathLike[str]) -> str:
    """*path* as a shell wants it, for a command that people are told to run."""
    return shlex.quote(os.fspath(path))
