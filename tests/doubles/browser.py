"""``BROWSER`` of a command under test: goes to the page, presses a button, and goes where it is sent.

Usage: browser.py DECISION URL
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.doubles.person import Person


def main() -> None:
    person = Person()
    page = person.goes_all_the_way(sys.argv[2], sys.argv[1])
    person.close()
    sys.exit(0 if page.ok else 1)


if __name__ == "__main__":
    main()
