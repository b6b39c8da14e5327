"""What the configuration says of commits, as the stand-ins carry it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpSettings
from mountfs.clock import SystemClock
from mountfs.errors import Conflict, MountfsError
from mountfs.model.entry import File
from mountfs.model.path import ROOT
from mountfs.ports import Outcome
from tests.contract.boxes import SWITCHES, connect
from tests.contract.far import OneToken, put, put_file
from tests.fakes.boxschema import assert_conforms

Dropbox = Callable[..., DropboxBackend]
TEMPLATE = (("ptid:unknown", (("customer", "ACME"),)),)


@pytest.fixture
def dropbox() -> Iterator[Dropbox]:
    """Makes connections to one account, each with settings of its own."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(DropboxSandbox(token="sandbox"))
        url = sandbox.base_url

        def connected(**settings: Any) -> DropboxBackend:
            chosen = DropboxSettings(url, url, url, **settings)
            backend = DropboxBackend(
                chosen, OneToken("sandbox"), SystemClock(), HttpSettings(read_timeout_s=5.0)
            )
            stack.callback(backend.close)
            return backend

        yield connected


def stale(backend: DropboxBackend) -> tuple[str, Outcome]:
    """Theirs replaced what ours was made from: the outcome of ours, which names the older revision."""
    base = put_file(backend, "/f", b"base").revision
    put_file(backend, "/f", b"theirs", base)
    return base, put(backend, "/f", b"ours", base)


def bodies(backend: DropboxBackend) -> dict[str, bytes]:
    return {
        entry.name: backend.read(entry, 0, 100)
        for entry in backend.list_folder(ROOT)
        if isinstance(entry, File)
    }


def test_by_default_what_others_changed_is_not_overwritten(dropbox: Dropbox) -> None:
    backend = dropbox()
    assert isinstance(stale(backend)[1], Conflict)
    assert bodies(backend) == {"f": b"theirs"}


def test_with_overwrite_the_last_to_write_wins(dropbox: Dropbox) -> None:
    backend = dropbox(commit_mode="overwrite")
    assert isinstance(stale(backend)[1], File)
    assert bodies(backend) == {"f": b"ours"}
    put_file(backend, "/f", b"as if it were new")
    assert bodies(backend) == {"f": b"as if it were new"}


def test_with_autorename_the_service_names_the_copy_and_tells_how(dropbox: Dropbox) -> None:
    backend = dropbox(autorename=True)
    _, outcome = stale(backend)
    assert isinstance(outcome, File)
    assert outcome.name != "f"
    assert bodies(backend) == {"f": b"theirs", outcome.name: b"ours"}


def test_with_strict_conflict_the_same_bytes_of_somebody_else_are_one(dropbox: Dropbox) -> None:
    put_file(dropbox(), "/f", b"same")
    assert isinstance(put(dropbox(), "/f", b"same"), File)
    assert isinstance(put(dropbox(strict_conflict=True), "/f", b"same"), Conflict)


def test_without_client_modified_a_file_has_the_time_of_the_service(dropbox: Dropbox) -> None:
    assert put_file(dropbox(), "/mine", b"1").mtime_ns == 1000 * 10**9
    assert put_file(dropbox(client_modified=False), "/theirs", b"1").mtime_ns > 10**18


def test_property_groups_reach_the_service_which_knows_no_such_template(dropbox: Dropbox) -> None:
    outcome = put(dropbox(property_groups=TEMPLATE), "/f", b"1")
    assert isinstance(outcome, MountfsError)
    assert "template_not_found" in str(outcome)


@pytest.mark.parametrize("length", [10, 3000], ids=["in one request", "in a session"])
def test_a_new_file_of_a_box_gets_its_description_once(length: int) -> None:
    with BoxSandbox(switches=SWITCHES, token="sandbox") as sandbox:
        backend = connect(sandbox, description="Scanned at the front desk", small_file_bytes=1000)
        file = put_file(backend, "/f", bytes(length))
        put_file(backend, "/f", bytes(length + 1), file.revision)
        backend.close()
        said = [each for each in sandbox.exchanges() if "Scanned at" in str(each.request_body)]
        assert_conforms(sandbox.exchanges())
    assert len(said) == 1
