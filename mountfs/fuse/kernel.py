"""What differs between releases of Linux."""

from __future__ import annotations

import re


def drops_pages(release: str) -> bool:
    """Whether Linux *release* (as `uname -r` tells) drops the pages that a direct write passes by: since 6.6.
    Before that a reader by sendfile(2) or by a private mapping, which have pages also where the handle has
    none, would go on reading zeros behind what was the end."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (6, 6)
