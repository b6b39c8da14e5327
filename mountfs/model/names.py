"""Which names a service takes, which never leave the machine, and which look temporary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from mountfs.errors import NameNotAllowed, NameTooLong
from mountfs.model.path import fold

LOCAL_ONLY = (".fuse_hidden*", ".~lock.*#", ".goutputstream-*", ".*.swp", ".*.swx", "~$*", ".ds_store")
"""Left by libfuse, LibreOffice, GLib, vim, Microsoft Office and macOS; case-folded glob patterns."""

_LOCAL_ONLY = re.compile("|".join(map(translate, LOCAL_ONLY)))

_UNLINKED = re.compile(r"\.fuse_hidden[0-9a-f]{16}")

_TEMPORARY = re.compile(
    r"\..+\.[A-Za-z0-9]{6}|.*\.(tmp|temp|part|partial|crdownload|lock)|.*\.swpx|.*~|tmp.*|sed[A-Za-z0-9]{6}",
    re.DOTALL,
)
"""rsync's `.name.XXXXXX` and sed's `sedXXXXXX` (mkstemp), vim's probe `.name.swpx`, and what editors,
browsers and git rename away from."""


def is_local_name(name: str) -> bool:
    """Whether *name*, given to something that the service does not have, keeps it on this machine."""
    # Every pattern begins with one of these: most names need no further look.
    return name[:1] in (".", "~") and _LOCAL_ONLY.fullmatch(fold(name)) is not None


def is_unlinked(name: str) -> bool:
    """Whether libfuse gave it this name because it was unlinked while open: it ends with its last handle."""
    return _UNLINKED.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def looks_temporary(name: str) -> bool:
    """Whether a program is likely to rename or remove it in a moment."""
    return _TEMPORARY.fullmatch(name) is not None


WHITE_SPACE = frozenset(
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""As Unicode has it."""

MAX_CHARS = 255
"""Both services take names up to so many characters."""


@dataclass(frozen=True, slots=True)
class NameRules:
    """What a service refuses in one component; see its ``BackendLimits``."""

    max_chars: int = MAX_CHARS
    forbidden_chars: frozenset[str] = frozenset("/\\")
    forbidden_names: frozenset[str] = frozenset()
    """Case-folded."""
    forbidden_patterns: tuple[str, ...] = ()
    """Case-folded globs."""
    forbidden_first: frozenset[str] = frozenset()
    """What a name cannot begin with."""
    forbidden_last: frozenset[str] = WHITE_SPACE
    """What it cannot end with."""

    def check(self, name: str) -> None:
        """Raises NameTooLong or NameNotAllowed, saying which rule *name* breaks."""
        if len(name) > self.max_chars:
            raise NameTooLong(f"name has {len(name)} characters, the service takes {self.max_chars}")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise NameNotAllowed(f"name is not valid UTF-8: {name!a}") from None
        if name in ("", ".", ".."):
            raise NameNotAllowed(f"name is not usable: {name!r}")
        if not self.forbidden_chars.isdisjoint(name):
            bad = min(set(name) & self.forbidden_chars)
            raise NameNotAllowed(f"the service refuses {bad!r} in a name: {name!r}")
        if name[0] in self.forbidden_first or name[-1] in self.forbidden_last:
            raise NameNotAllowed(f"the service refuses a space at the end of a name: {name!a}")
        key = fold(name)
        globs = self.forbidden_patterns
        if key in self.forbidden_names or (globs and any(fnmatchcase(key, glob) for glob in globs)):
            raise NameNotAllowed(f"the service keeps this name for itself: {name!r}")
