"""How Dropbox differs from other services, as values."""

from __future__ import annotations

from mountfs.model.hashing import BLOCK_BYTES, HashKind
from mountfs.model.names import WHITE_SPACE, NameRules
from mountfs.model.order import OrderKind
from mountfs.ports import BackendLimits

MIB = 1024 * 1024

CHUNK_BYTES = 2 * BLOCK_BYTES
"""Appends to a concurrent session must be multiples of 4 MiB. Two blocks halve the round trips of
one; a part is read while it is sent, and never in memory as a whole."""

TRANSPORT_STEPS = (
    "start",
    "start_batch",
    "append",
    "append_v2",
    "append_batch",
    "finish",
    "finish_batch",
    "finish_batch_v2",
)
"""Of upload sessions: what counts as data transport for teams with a monthly limit (API reference)."""

DROPBOX_LIMITS = BackendLimits(
    hash_kind=HashKind.DROPBOX,
    names=NameRules(
        max_chars=255,
        forbidden_chars=frozenset("/\\\x7f"),
        forbidden_names=frozenset(
            {"desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr"}
        ),
        forbidden_last=WHITE_SPACE,
    ),
    max_file_bytes=350 * 10**9,
    batch_entries={
        OrderKind.PUT: 1000,
        OrderKind.DELETE: 1000,
        OrderKind.MOVE: 1000,
        OrderKind.COPY: 1000,
        # 10,000 are allowed; as small a job as the others lets go of the namespace's lock as soon.
        OrderKind.MAKE_FOLDER: 1000,
    },
    # About 13 KB of the request's header; its limit is not stated, so senders halve on refusal.
    pack_entries=100,
    # 150 MiB are allowed. 8 MiB take as long as one chunk, so that a pack never stands in the way of
    # a large file for longer, and a lost reply costs no more.
    pack_bytes=8 * MIB,
    chunk_bytes=CHUNK_BYTES,
    session_min_bytes=CHUNK_BYTES,
    size_known_at_start=False,
    ends_sessions=False,
    parents_implicit=True,
    lists_trees=True,
    transport_routes=frozenset(
        f"files/{route}" for route in ("upload", *(f"upload_session/{step}" for step in TRANSPORT_STEPS))
    ),
)
