"""An upload session of Box whose own address is gone: the journal outlives hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsandbox.box import BoxSandbox
from mountfs.backends.box.backend import BoxBackend
from mountfs.errors import Offline, SessionLost
from mountfs.model.entry import File
from mountfs.model.order import Part
from tests.contract.boxes import BODY, PART, SWITCHES, connect, statuses
from tests.contract.far import finish, large_order, open_large
from tests.doubles.sources import append_part


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[BoxSandbox]:
    """A Box with parts of 1000 bytes, which gets another port at each start."""
    with BoxSandbox(tmp_path / "box", switches=SWITCHES, token="sandbox") as sandbox:
        yield sandbox


def begun(sandbox: BoxSandbox) -> tuple[str, Part]:
    """A session with its first part."""
    box = connect(sandbox)
    session = open_large(box, "/x", len(BODY), None)
    receipt = append_part(box, session, 0, BODY[:PART], closing=False, size_bytes=len(BODY))
    box.close()
    return session, Part(0, PART, receipt)


def move(sandbox: BoxSandbox) -> BoxBackend:
    """The service listens elsewhere; a new connection to it."""
    sandbox.stop()
    sandbox.start()
    sandbox.log.reset()
    return connect(sandbox)


def test_what_was_sent_before_the_service_moved_is_not_sent_again(lasting: BoxSandbox) -> None:
    session, first = begun(lasting)
    box = move(lasting)
    parts = [first]
    for at in range(PART, len(BODY), PART):
        body = BODY[at : at + PART]
        parts.append(
            Part(at, len(body), append_part(box, session, at, body, closing=False, size_bytes=len(BODY)))
        )
    [file] = finish(box, [large_order(box, "/x", BODY, session, parts)])
    assert isinstance(file, File)
    assert lasting.read("/x") == BODY
    assert statuses(lasting, "sessions/part") == [200, 200]
    assert statuses(lasting, "sessions/create") == []
    box.close()


def test_it_is_ended_where_the_service_is_now(lasting: BoxSandbox) -> None:
    session, _ = begun(lasting)
    box = move(lasting)
    box.abandon(session)
    assert statuses(lasting, "sessions/abort") == [204]
    box.close()


def test_one_that_is_unknown_where_the_service_is_now_is_begun_anew(lasting: BoxSandbox) -> None:
    session, _ = begun(lasting)
    lasting.stop()
    with BoxSandbox(switches=SWITCHES, token="sandbox") as other:
        box = connect(other)
        with pytest.raises(SessionLost):
            append_part(box, session, PART, BODY[PART : 2 * PART], closing=False, size_bytes=len(BODY))
        box.close()
    lasting.start()


def test_while_the_service_is_away_it_is_neither_lost_nor_taken_for_moved(lasting: BoxSandbox) -> None:
    session, _ = begun(lasting)
    box = connect(lasting)
    lasting.stop()
    for _ in range(2):
        with pytest.raises(Offline):
            append_part(box, session, PART, BODY[PART : 2 * PART], closing=False, size_bytes=len(BODY))
    lasting.start()
    box.close()
