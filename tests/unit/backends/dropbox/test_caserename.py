"""A rename that changes only the case, whatever the service makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.caserename import CaseRenames, aside
from mountfs.clock import SystemClock
from mountfs.errors import Conflict, MountfsError, NotFound, Offline, ServerFault, Unreachable
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.ports import Outcome
from tests.contract.far import finish, move_order
from tests.unit.backends.dropbox.conftest import Connect

ORDER = move_order("/A/readme.txt", "/A/README.txt")


@pytest.fixture
def sandbox() -> Iterator[DropboxSandbox]:
    with DropboxSandbox(token="sandbox") as sandbox:
        sandbox.write("/A/readme.txt", b"text")
        yield sandbox


@pytest.fixture
def backend(sandbox: DropboxSandbox, connect: Connect) -> DropboxBackend:
    return connect(sandbox.base_url, token="sandbox", real_clock=SystemClock())


def rename(backend: DropboxBackend) -> Outcome:
    (outcome,) = finish(backend, [ORDER])
    return outcome


@pytest.mark.parametrize("manner", ["nothing", "rename", "conflict"])
def test_it_works_whatever_the_service_makes_of_it(
    sandbox: DropboxSandbox, backend: DropboxBackend, manner: str
) -> None:
    sandbox.set_switches(case_only_move=manner)
    outcome = rename(backend)
    assert isinstance(outcome, File)
    assert outcome.name == "README.txt"
    assert set(sandbox.tree()) == {"/A", "/A/README.txt"}
    assert sandbox.read("/A/README.txt") == b"text"


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("manner", ["nothing", "conflict"])
@pytest.mark.parametrize("action", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_it_is_finished_by_the_next_try_when_cut_off(
    sandbox: DropboxSandbox, backend: DropboxBackend, nth: int, manner: str, action: FaultKind
) -> None:
    sandbox.set_switches(case_only_move=manner)
    sandbox.set_faults([FaultRule(route="files/move_v2", action=action, nth=nth)])
    assert isinstance(rename(backend), MountfsError)
    assert isinstance(rename(backend), File)
    assert set(sandbox.tree()) == {"/A", "/A/README.txt"}


def test_a_file_that_is_not_there_is_not_found(sandbox: DropboxSandbox, backend: DropboxBackend) -> None:
    sandbox.delete("/A/readme.txt")
    assert isinstance(rename(backend), NotFound)


def test_another_failure_is_left_as_it_is(sandbox: DropboxSandbox, backend: DropboxBackend) -> None:
    sandbox.set_switches(entry_failures=[{"path": "*", "error": "internal_error", "count": 1}])
    assert isinstance(rename(backend), ServerFault)
    assert set(sandbox.tree()) == {"/A", "/A/readme.txt"}


class NobodyThere:
    """The wire after the service went away."""

    def object(self, route: str, arg: object, *, is_read: bool = False) -> object:
        raise Unreachable("nobody there")


def test_when_it_is_cut_off_the_plain_move_may_have_done_something() -> None:
    outcome = CaseRenames(NobodyThere()).settle(ORDER, Conflict("taken"))  # type: ignore[arg-type]
    assert isinstance(outcome, Offline)
    assert not isinstance(outcome, Unreachable)


def test_the_name_in_between_fits_and_is_always_the_same() -> None:
    target = RemotePath("/A/" + "x" * 255)
    assert aside(target) == aside(RemotePath(target.text))
    assert aside(target) != aside(RemotePath("/A/" + "x" * 254 + "X"))
    assert len(aside(target).name) <= 255
    assert aside(target).parent == target.parent
