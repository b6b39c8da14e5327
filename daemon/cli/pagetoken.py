"""The token in the address of a mount's page: made once, and kept for scrapers of its metrics."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from daemon.failure import Failure
from daemon.places.durable import write_whole

FILE = "page.token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")


def page_token(state_dir: Path) -> str:
    """The token in *state_dir*, which is this user's alone; made if there is none. Failure."""
    path = state_dir / FILE
    try:
        found = path.read_text().strip()
        if _TOKEN.fullmatch(found):
            return found
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: cannot be read: {error}") from None
    made = secrets.token_urlsafe(24)
    try:
        write_whole(path, f"{made}\n")
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
    return made
