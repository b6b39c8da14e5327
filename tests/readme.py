"""The commands that README.md tells its readers to run."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
PROGRAMS = ("pip", "make", "mountfs", "mkdir", "cp", "mount", "umount", "sudo")
_BLOCK = re.compile(r"^```$(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_STEP = re.compile(r"^ \d  ")
_EXPLANATION = re.compile(r"\s+#.*|\s{3,}.*")


def commands(text: str) -> list[str]:
    """Each once, in the order of the text: lines of its blocks, and spans in its sentences."""
    found = []
    for block in _BLOCK.findall(text):
        found += [_EXPLANATION.sub("", _STEP.sub("", line)) for line in block.splitlines()]
    found += _SPAN.findall(_BLOCK.sub("", text))
    return list(dict.fromkeys(line for line in found if _is_command(line)))


def _is_command(line: str) -> bool:
    program, space, rest = line.partition(" ")
    return program in PROGRAMS and bool(space) and bool(rest)
