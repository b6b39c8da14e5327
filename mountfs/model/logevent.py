"""Something that happened, as a log tells it: a name, and facts as ``key=value``."""

from __future__ import annotations

from collections.abc import Mapping


class LogEvent:
    """What is logged in place of a text: ``LOG.info(LogEvent("batch", kind="put", entries=3))``."""

    __slots__ = ("facts", "name")

    def __init__(self, name: str, **facts: object) -> None:
        self.name = name
        self.facts: Mapping[str, object] = facts

    def __str__(self) -> str:
        """For people: ``batch kind=put entries=3``."""
        return " ".join([self.name, *pairs(self.facts)])


def pairs(facts: Mapping[str, object]) -> list[str]:
    """Each as ``key=value``; in quotes where it would not be read back otherwise."""
    return [f"{key}={_quoted(str(value))}" for key, value in facts.items()]


def _quoted(text: str) -> str:
    if text and not any(char in ' "=\\' or char.isspace() for char in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
