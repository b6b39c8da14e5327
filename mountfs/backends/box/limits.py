"""How Box differs from other services, as values."""

from __future__ import annotations

from mountfs.backends.box.settings import SMALL_FILE_BYTES
from mountfs.model.hashing import HashKind
from mountfs.model.names import NameRules
from mountfs.model.order import OrderKind
from mountfs.ports import BackendLimits

MIB = 1024 * 1024
CONTROL_CHARS = frozenset(map(chr, (*range(32), *range(127, 160))))
"""Both blocks of them."""
SPACE = frozenset(" ")

BATCHES_AT_ONCE = 12
"""240 uploads a minute are four a second: with round trips of a second or more, six keep them flowing. Where
the service takes more, 200 small files are there in 1.6 s with twelve, and in 2.6 s with six."""

BOX_LIMITS = BackendLimits(
    hash_kind=HashKind.SHA1,
    # "Non-printable" characters are refused (PUT /folders/:id names those of ASCII), and a space at either
    # end; all other white space is fine, wherever it stands.
    names=NameRules(
        max_chars=255,
        forbidden_chars=frozenset("/\\") | CONTROL_CHARS,
        forbidden_first=SPACE,
        forbidden_last=SPACE,
    ),
    # The largest plan's; the account's own limit takes its place once it is known.
    max_file_bytes=500 * 10**9,
    # There are no batches: every order is a request of its own.
    batch_entries=dict.fromkeys(OrderKind, 1),
    pack_entries=0,
    pack_bytes=0,
    # The session says how long its parts are; this is what it says for files of some 50 MB.
    chunk_bytes=8 * MIB,
    session_min_bytes=SMALL_FILE_BYTES,
    size_known_at_start=True,
    sessions_have_places=True,
    ends_sessions=True,
    parents_implicit=False,
    deletes_recursively=False,
    batches_at_once=BATCHES_AT_ONCE,
)
