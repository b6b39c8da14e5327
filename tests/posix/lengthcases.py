"""Names and paths as long as they may be, and longer; programs that run; chains of links."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.posix.cases import MAKERS, Named
from tests.posix.place import Place, outcome

PATH_MAX = 4096
"""With the zero at the end."""
PART = 200

Call = Callable[[Path], object]

CALLS: dict[str, Call] = {
    **MAKERS,
    "stat": lambda path: os.stat(path) and None,
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "chmod": lambda path: os.chmod(path, 0o600),
    "truncate": lambda path: os.truncate(path, 0),
    "utimens": os.utime,
    "rename": lambda path: os.rename(path, "y"),
    "listdir": lambda path: os.listdir(path) and None,
}


def length_cases() -> Iterator[Named]:
    for name, call in CALLS.items():
        for length in (PATH_MAX - 1, PATH_MAX):
            for kind in ("missing", "file", "folder"):

                def case(at: Place, call: Call = call, length: int = length, kind: str = kind) -> object:
                    folder = _deep(length)
                    os.makedirs(folder)
                    path = f"{folder}/{'n' * (length - len(folder) - 1)}"
                    if kind == "file" and length < PATH_MAX:
                        Path(path).write_text("text")
                    if kind == "folder" and length < PATH_MAX:
                        os.mkdir(path)
                    told = outcome(lambda: call(path))  # type: ignore[arg-type]
                    left = sorted(os.listdir(folder)), os.path.lexists("y")
                    return told, left, at.path.is_dir()

                yield f"{name} of {kind} at the end of a path of {length} bytes", case
    for length in (1, 39, 40, 41):

        def chained(at: Place, length: int = length) -> object:
            at.make("0", "file")
            for number in range(length):
                (at / str(number + 1)).symlink_to(str(number))
            return [
                outcome((at / str(length)).read_bytes),
                outcome(lambda: (at / str(length)).chmod(0o600)),
                outcome((at / str(length)).unlink),
            ]

        yield f"a chain of {length} links", chained
    for length in (1, 4094, 4095, 4096):

        def target(at: Place, length: int = length) -> object:
            told = outcome(lambda: (at / "link").symlink_to("t" * length))
            return told, outcome(lambda: len(os.readlink(at / "link"))), at.seen()

        yield f"a link with a target of {length} bytes", target
    yield "a program that runs", _running


def _deep(length: int) -> str:
    """A folder, so that a name of 2 to 255 bytes in it has a path of *length* bytes."""
    parts = (length - 3) // (PART + 1)
    return "/".join(["d" * PART] * (parts if length - parts * (PART + 1) <= 255 else parts + 1))


def _running(at: Place) -> object:
    program = at / "program"
    shutil.copy("/bin/sleep", program)
    program.chmod(0o755)
    with subprocess.Popen([program, "60"]) as running:
        told = [
            outcome(lambda: os.close(os.open(program, os.O_WRONLY))),
            outcome(lambda: os.truncate(program, 0)),
            outcome(lambda: os.close(os.open(program, os.O_RDONLY))),
            outcome(lambda: program.rename(at / "other")),
            outcome((at / "other").unlink),
        ]
        running.kill()
    return told
