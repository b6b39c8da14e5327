"""``BROWSER`` of a command under test: goes to the page, presses a button, and goes where it is sent.

Usage: browser.py DECISION URL

It stays open until somebody has written to the FIFO that BROWSER_STAYS names, if it does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.doubles.person import Person


def main() -> None:
    person = Person()
    page = person.goes_all_the_way(sys.argv[2], sys.argv[1])
    person.close()
    if stays := os.environ.get("BROWSER_STAYS"):
        Path(stays).read_bytes()
    sys.exit(0 if page.ok else 1)


if __name__ == "__main__":
    main()
