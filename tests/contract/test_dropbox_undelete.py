"""How folders come back on Dropbox, which brings back files alone: one by one, by what it says of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.dropbox import undelete as module
from mountfs.backends.dropbox.api import DropboxApi
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.removals import LONGEST_GAP_S
from mountfs.clock import SystemClock
from mountfs.errors import Busy, NoSpace, NotFound
from mountfs.model.entry import File
from mountfs.model.undeleted import Removed
from tests.contract.far import OneToken, undelete

RESTORE = "files/restore"
FULL = {"error_summary": "", "error": {".tag": "path_write", "path_write": {".tag": "insufficient_space"}}}


class NoWaiting:
    """``Ending`` of a connection that stays open: whoever waits goes on at once."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    def set(self) -> None: ...

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float) -> bool:
        self.waits_s.append(timeout)
        return False


class SetTime:
    """The time of day by which the stand-in dates what is removed."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> SetTime:
    day = SetTime()
    monkeypatch.setattr("cloudsandbox.dropbox.tree.time", day)
    return day


@pytest.fixture
def sandbox(day: SetTime) -> Iterator[DropboxSandbox]:
    with DropboxSandbox(token="sandbox") as sandbox:
        yield sandbox


@pytest.fixture
def waiting() -> NoWaiting:
    return NoWaiting()


@pytest.fixture
def backend(sandbox: DropboxSandbox, waiting: NoWaiting) -> Iterator[DropboxBackend]:
    url = sandbox.base_url
    settings = DropboxSettings(url, url, url)
    backend = DropboxBackend(settings, OneToken("sandbox"), SystemClock(), ending=waiting)
    yield backend
    backend.close()


def calls_of(backend: DropboxBackend, route: str) -> int:
    return backend.calls().get(route, 0)


def test_what_was_removed_long_before_its_folder_stays_away(
    sandbox: DropboxSandbox, backend: DropboxBackend, day: SetTime
) -> None:
    for name in ("early/x", "early/y", "a", "b", "c"):
        sandbox.write(f"/d/{name}", name.encode())
    sandbox.delete("/d/early")
    for name in ("a", "b"):  # as rm -r does
        day.now_s += LONGEST_GAP_S + 1 if name == "a" else LONGEST_GAP_S
        sandbox.delete(f"/d/{name}")
    sandbox.delete("/d")
    undelete(backend, "/d")
    assert set(sandbox.tree()) == {"/d", "/d/a", "/d/b", "/d/c"}


@pytest.mark.parametrize("lists_gone_folders", [False, True])
def test_a_folder_is_found_whether_or_not_the_service_lists_it_when_it_is_gone(
    sandbox: DropboxSandbox,
    backend: DropboxBackend,
    lists_gone_folders: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAGE_ENTRIES", 3)
    sandbox.set_switches(lists_gone_folders=lists_gone_folders)
    for number in range(4):
        sandbox.write(f"/Top/D/{number}", b"x")
        sandbox.write(f"/Top/beside/{number}", b"x")
    sandbox.create_folder("/Top/D/Empty")
    before = set(sandbox.tree())
    sandbox.delete("/Top/beside/0")
    sandbox.delete("/Top/D")
    undelete(backend, "/top/d")
    assert set(sandbox.tree()) == before - {"/Top/beside/0"}
    assert calls_of(backend, RESTORE) == 4


def test_what_never_stood_there_is_not_looked_for_in_the_folder_above(
    sandbox: DropboxSandbox, backend: DropboxBackend
) -> None:
    sandbox.write("/d/x", b"x")
    with pytest.raises(NotFound):
        undelete(backend, "/d/none")
    assert calls_of(backend, "files/list_folder") == 0


def test_who_fails_in_the_middle_can_be_asked_again(sandbox: DropboxSandbox, backend: DropboxBackend) -> None:
    for number in range(4):
        sandbox.write(f"/d/{number}", b"x")
    sandbox.create_folder("/d/empty")
    before = set(sandbox.tree())
    sandbox.delete("/d")
    sandbox.set_faults([FaultRule(route=RESTORE, status=409, body=FULL, after=2, count=1)])
    with pytest.raises(NoSpace):
        undelete(backend, "/d")
    assert len(sandbox.tree()) == 1 + 2
    undelete(backend, "/d")
    assert set(sandbox.tree()) == before
    assert calls_of(backend, RESTORE) == 3 + 2


@pytest.mark.parametrize("action", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_reply_that_is_lost_in_the_middle_ends_nothing_and_doubles_nothing(
    sandbox: DropboxSandbox, backend: DropboxBackend, action: FaultKind, lost: int
) -> None:
    for number in range(3):
        sandbox.write(f"/d/{number}", b"x")
    sandbox.delete("/d")
    sandbox.set_faults([FaultRule(route=RESTORE, action=action, after=lost, count=1)])
    assert undelete(backend, "/d")[0] == 3
    assert len(sandbox.tree()) == 1 + 3
    assert calls_of(backend, RESTORE) == 3 + (action is FaultKind.DROP_BEFORE)


def test_what_somebody_puts_there_meanwhile_is_left_as_it_is(
    sandbox: DropboxSandbox, backend: DropboxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        sandbox.write(f"/d/{name}", b"ours")
    sandbox.delete("/d")
    restore = module._restore

    def restore_beside_somebody(api: DropboxApi, removed: Removed) -> File:
        file = restore(api, removed)
        sandbox.write("/d/d", b"theirs")
        return file

    monkeypatch.setattr(module, "_restore", restore_beside_somebody)
    assert undelete(backend, "/d") == (3, 1)
    assert [sandbox.read(f"/d/{name}") for name in "abcd"] == [b"ours"] * 3 + [b"theirs"]


def test_a_busy_namespace_is_waited_for_and_not_for_ever(
    sandbox: DropboxSandbox, backend: DropboxBackend, waiting: NoWaiting
) -> None:
    sandbox.write("/d/x", b"x")
    sandbox.delete("/d")
    sandbox.set_faults([FaultRule(route=RESTORE, action=FaultKind.BUSY_NAMESPACE, count=1)])
    undelete(backend, "/d")
    assert "/d/x" in sandbox.tree()
    assert waiting.waits_s
    sandbox.delete("/d")
    sandbox.set_faults([FaultRule(route=RESTORE, action=FaultKind.BUSY_NAMESPACE)])
    with pytest.raises(Busy):
        undelete(backend, "/d")


def test_files_without_a_time_all_come_back_and_dated_ones_alone_where_there_are_any() -> None:
    undated = [Removed("/d/x", is_folder=False), Removed("/d/y", is_folder=False)]
    dated = Removed("/d/z", is_folder=False, removed_ns=10)
    assert module.dated_last_removal(undated) == undated
    assert module.dated_last_removal([*undated, dated]) == [dated]
    assert module.dated_last_removal([]) == []


def test_a_name_is_found_however_its_letters_are_composed(
    sandbox: DropboxSandbox, backend: DropboxBackend
) -> None:
    for removed, named in (("/c/\u00fcber", "/C/u\u0308ber"), ("/d/u\u0308ber", "/D/\u00dcber")):
        sandbox.write(removed, b"x")
        sandbox.delete(removed)
        undelete(backend, named)
        assert removed in sandbox.tree()
