"""Tags of new files, which are a request of their own: the file is made whatever comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.box import newfiles
from mountfs.backends.box.backend import BoxBackend
from mountfs.model.entry import File
from mountfs.ports import Done
from tests.contract.boxes import SWITCHES, connect
from tests.contract.far import copy_order, put_file
from tests.fakes.boxschema import assert_conforms

TAGS = ("scanned", "desk")
UPDATE = "PUT files/:id"


@dataclass
class Tagged:
    """A stand-in, and the account as it is connected to with tags and without."""

    sandbox: BoxSandbox
    backend: BoxBackend
    plain: BoxBackend

    def tags(self, file: File) -> list[str]:
        api = self.plain._api
        return list(api.object("GET files/:id", api.api_url(f"files/{file.id}", fields="tags"))["tags"])

    def calls(self) -> int:
        return self.backend.calls().get(UPDATE, 0)


@pytest.fixture(scope="module")
def far() -> Iterator[BoxSandbox]:
    with BoxSandbox(switches=SWITCHES, token="sandbox") as sandbox:
        yield sandbox
        assert_conforms(sandbox.exchanges())


@pytest.fixture
def box(far: BoxSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tagged]:
    monkeypatch.setattr(newfiles, "_PAUSE_S", 0.0)
    made = Tagged(far, connect(far, tags=TAGS, small_file_bytes=1000), connect(far, small_file_bytes=1000))
    yield made
    far.set_faults([])
    for backend in (made.backend, made.plain):
        backend.close()


@pytest.mark.parametrize("length", [10, 3000], ids=["in one request", "in a session"])
def test_a_new_file_is_tagged_by_one_more_request_and_a_new_version_is_not(box: Tagged, length: int) -> None:
    file = put_file(box.backend, f"/new{length}", bytes(length))
    assert box.tags(file) == list(TAGS)
    assert box.calls() == 1
    newer = put_file(box.backend, f"/new{length}", bytes(length + 1), file.revision)
    assert (newer.id, box.calls()) == (file.id, 1)


def test_the_revision_is_that_of_the_tagged_file(box: Tagged) -> None:
    """Otherwise the next version is refused at first, and costs two requests more."""
    file = put_file(box.backend, "/revised", b"1")
    before = sum(box.backend.calls().values())
    put_file(box.backend, "/revised", b"2", file.revision)
    assert sum(box.backend.calls().values()) == before + 1


def test_a_copy_is_a_new_file(box: Tagged) -> None:
    source = put_file(box.plain, "/source", b"1")
    outcome = box.backend.submit([copy_order(source, "/copy")])
    assert isinstance(outcome, Done)
    (copy,) = outcome.outcomes
    assert isinstance(copy, File)
    assert (box.tags(copy), box.tags(source)) == (list(TAGS), [])


def test_without_tags_nothing_more_is_asked(box: Tagged) -> None:
    file = put_file(box.plain, "/plain", b"1")
    assert box.tags(file) == []
    assert UPDATE not in box.plain.calls()


@pytest.mark.parametrize("action", [FaultKind.REPLY, FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_a_failure_is_tried_again(box: Tagged, action: FaultKind) -> None:
    box.sandbox.set_faults([FaultRule(route="files/update", action=action, count=1)])
    file = put_file(box.backend, f"/again-{action}", b"1")
    assert box.tags(file) == list(TAGS)
    assert put_file(box.backend, f"/again-{action}", b"2", file.revision).id == file.id


@pytest.mark.parametrize(("status", "calls"), [(503, 3), (403, 1)])
def test_what_is_not_tagged_is_made_all_the_same_and_told(
    box: Tagged, caplog: pytest.LogCaptureFixture, status: int, calls: int
) -> None:
    said = {"code": "forbidden"}
    refusal = FaultRule(route="files/update", action=FaultKind.REPLY, status=status, body=said, count=9)
    box.sandbox.set_faults([refusal])
    file = put_file(box.backend, f"/bare{status}", b"1")
    assert (box.tags(file), box.calls()) == ([], calls)
    assert [message for message in caplog.messages if "has no tags" in message]


def test_what_somebody_else_changed_meanwhile_is_left_alone(box: Tagged) -> None:
    refusal = FaultRule(route="files/update", action=FaultKind.REPLY, status=412, body="{}", count=1)
    box.sandbox.set_faults([refusal])
    file = put_file(box.backend, "/theirs", b"1")
    assert (box.tags(file), box.calls()) == ([], 1)
