"""What libfuse says on standard error is heard, and goes where it would have gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, subprocess
from mountfs.fuse.complaints import Complaints
complaints = Complaints()
complaints.begin()
os.write(2, b"a line of a log\\n")
subprocess.run(["sh", "-c", "echo 'fusermount: mount failed: for a reason' >&2; echo another log >&2"])
complaints.end()
os.write(2, b"after it\\n")
print(complaints.reason())
"""


def test_the_reason_is_told_and_nothing_is_swallowed() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "fusermount: mount failed: for a reason\n", done.stderr
    assert sorted(done.stderr.splitlines()) == [
        "a line of a log",
        "after it",
        "another log",
        "fusermount: mount failed: for a reason",
    ]


def test_a_process_without_standard_error_has_no_reason() -> None:
    program = PROGRAM.replace("import os, sub", "import os; os.close(2)\nimport sub").replace(
        "os.write(2", "bytes("
    )
    program = program.replace("bytes(, ", "bytes(")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "\n")
