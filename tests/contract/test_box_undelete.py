"""How folders come back on Box: with what went along, and with what was removed from them just before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from daemon.commit.verdicts import leaves_open
from mountfs.backends.box import undelete as module
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.removals import LONGEST_GAP_S
from mountfs.clock import SystemClock
from mountfs.errors import NotFound, Refused, ServerFault, Transient
from tests.contract.far import OneToken, undelete
from tests.contract.test_dropbox_undelete import NoWaiting, SetTime

RESTORE_FILE = "trash/restore_file"


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> SetTime:
    day = SetTime()
    monkeypatch.setattr("cloudsandbox.box.items.time", day)
    return day


@pytest.fixture
def sandbox(day: SetTime) -> Iterator[BoxSandbox]:
    with BoxSandbox(token="sandbox") as sandbox:
        yield sandbox


@pytest.fixture
def backend(sandbox: BoxSandbox) -> Iterator[BoxBackend]:
    settings = BoxSettings(f"{sandbox.base_url}/2.0", f"{sandbox.base_url}/api/2.0")
    backend = BoxBackend(settings, OneToken("sandbox"), SystemClock(), ending=NoWaiting())
    yield backend
    backend.close()


def remove(sandbox: BoxSandbox, *paths: str) -> None:
    for path in paths:
        sandbox.delete(path)


def test_what_was_removed_long_before_its_folder_stays_away(
    sandbox: BoxSandbox, backend: BoxBackend, day: SetTime
) -> None:
    for name in ("early/x", "a", "b", "c"):
        sandbox.write(f"/d/{name}", name.encode())
    remove(sandbox, "/d/early/x", "/d/early")
    for name in ("a", "b"):
        day.now_s += LONGEST_GAP_S + 1 if name == "a" else LONGEST_GAP_S
        remove(sandbox, f"/d/{name}")
    remove(sandbox, "/d")
    assert undelete(backend, "/d")[0] == 3
    assert set(sandbox.tree()) == {"/d", "/d/a", "/d/b", "/d/c"}
    assert undelete(backend, "/d")[0] == 2  # what was removed before that
    assert sandbox.read("/d/early/x") == b"early/x"


def test_a_removal_that_was_begun_here_and_ended_on_the_site_is_one(
    sandbox: BoxSandbox, backend: BoxBackend
) -> None:
    for name in ("sub/x", "sub/y", "z"):
        sandbox.write(f"/d/{name}", b"x")
        sandbox.write(f"/beside/{name}", b"x")
    before = set(sandbox.tree())
    remove(sandbox, "/beside/sub/x", "/d/sub/x", "/d")
    undelete(backend, "/d")
    assert set(sandbox.tree()) == before - {"/beside/sub/x"}


def test_of_several_that_had_one_name_the_last_comes_back(sandbox: BoxSandbox, backend: BoxBackend) -> None:
    for body in (b"first", b"second"):
        sandbox.write("/d/x", body)
        remove(sandbox, "/d/x")
    remove(sandbox, "/d")
    assert undelete(backend, "/d") == (2, 0)
    assert sandbox.read("/d/x") == b"second"


def test_what_somebody_puts_there_is_left_as_it_is(sandbox: BoxSandbox, backend: BoxBackend) -> None:
    for name in ("a", "sub/b", "c"):
        sandbox.write(f"/d/{name}", b"ours")
    remove(sandbox, "/d/a", "/d/sub/b", "/d/sub", "/d/c")
    for path in ("/d/a", "/d/sub"):
        sandbox.write(path, b"theirs")
    assert undelete(backend, "/d") == (1, 3)
    assert [sandbox.read(f"/d/{name}") for name in ("a", "sub", "c")] == [b"theirs", b"theirs", b"ours"]


@pytest.mark.parametrize("action", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
@pytest.mark.parametrize("route", [RESTORE_FILE, "trash/restore_folder"])
def test_a_reply_that_is_lost_ends_nothing(
    sandbox: BoxSandbox, backend: BoxBackend, action: FaultKind, route: str
) -> None:
    for name in ("x", "sub/y"):
        sandbox.write(f"/d/{name}", b"x")
    before = set(sandbox.tree())
    remove(sandbox, "/d/sub/y", "/d/sub", "/d/x", "/d")
    sandbox.set_faults([FaultRule(route=route, action=action, count=1)])
    assert undelete(backend, "/d")[0] == 4
    assert set(sandbox.tree()) == before


def test_who_fails_in_the_middle_can_be_asked_again(sandbox: BoxSandbox, backend: BoxBackend) -> None:
    for name in "xyz":
        sandbox.write(f"/d/{name}", b"x")
    remove(sandbox, "/d/x", "/d/y", "/d/z", "/d")
    sandbox.set_faults([FaultRule(route=RESTORE_FILE, status=500)])
    with pytest.raises(ServerFault):
        undelete(backend, "/d")
    assert len(sandbox.tree()) == 1
    sandbox.set_faults([])
    assert undelete(backend, "/d")[0] == 3


def test_a_folder_of_which_nobody_knows_what_was_in_it_is_not_told_as_back(
    sandbox: BoxSandbox, backend: BoxBackend
) -> None:
    for name in ("sub/x", "y"):
        sandbox.write(f"/d/{name}", b"x")
    remove(sandbox, "/d/sub/x", "/d")
    sandbox.set_faults([FaultRule(route="folders/get", status=500)])
    assert undelete(backend, "/d") == (1, 0)
    sandbox.set_faults([FaultRule(route="folders/get", action=FaultKind.DROP_BEFORE)])
    sandbox.write("/e/sub/x", b"x")
    remove(sandbox, "/e/sub/x", "/e")
    with pytest.raises(Transient, match="undelete it once more") as told:
        undelete(backend, "/e")
    assert not leaves_open(told.value)
    sandbox.set_faults([])
    assert undelete(backend, "/e") == (1, 0)
    assert undelete(backend, "/d") == (1, 0)


def test_a_trash_that_is_too_large_to_look_through_is_told(
    sandbox: BoxSandbox, backend: BoxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ITEMS", 2)
    monkeypatch.setattr(module, "MOST_TRASH_PAGES", 2)
    for number in range(3):
        sandbox.write(f"/{number}", b"x")
        remove(sandbox, f"/{number}")
    with pytest.raises(NotFound):
        undelete(backend, "/none")
    for number in range(3, 6):
        sandbox.write(f"/{number}", b"x")
        remove(sandbox, f"/{number}")
    with pytest.raises(Refused, match="more than 4 items"):
        undelete(backend, "/0")


def test_a_name_is_found_however_its_letters_are_composed(sandbox: BoxSandbox, backend: BoxBackend) -> None:
    sandbox.write("/D/u\u0308ber", b"x")
    remove(sandbox, "/D/u\u0308ber", "/D")
    undelete(backend, "/d")
    assert sandbox.read("/D/u\u0308ber") == b"x"
    remove(sandbox, "/D/u\u0308ber")
    undelete(backend, "/D/\u00dcber")
    assert sandbox.read("/D/u\u0308ber") == b"x"
