"""Bytes to send, and what they must have become."""

from __future__ import annotations

from mountfs.model.change import ChangeState
from mountfs.model.hashing import HashKind, content_hash
from tests.fakes.pending import Pipeline


def body_of(size: int, seed: int = 0) -> bytes:
    return bytes((index * 7 + seed) % 251 for index in range(size))


def assert_uploaded(pipeline: Pipeline, path: str, body: bytes) -> None:
    (change,) = (row for row in pipeline.journal.live() if row.path.text == path)
    assert change.state is ChangeState.UPLOADED
    assert change.content_hash == content_hash(HashKind.DROPBOX, body)
    assert change.session is not None
    assert pipeline.account.sessions[change.session].body() == body
