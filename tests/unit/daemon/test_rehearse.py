"""``mountfs rehearse``, at the stand-ins over HTTP, and what it takes for wrong."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudsandbox.faults import FaultKind, FaultRule
from daemon.cli import ownmount, rehearse
from daemon.cli.rehearsalsteps import Seen, difference, seen_in, steps
from daemon.control.client import all_mounts, socket_of
from daemon.failure import Failure
from daemon.places.runtimedir import process_at
from daemon.process.mountpoint import detach
from tests.unit.daemon.signins import Site, site_of

READ, COMMIT = "files/download", "files/upload_session/finish_batch"


@pytest.fixture(params=["dropbox", "box"])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with site_of(service, tmp_path, capsys, monkeypatch) as site:
        yield site
    assert not list(tmp_path.glob("mountfs-rehearsal-*"))
    assert not any(mountpoint.is_relative_to(tmp_path) for mountpoint in all_mounts())


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell has what it starts in the background ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def paths(site: Site) -> list[str]:
    return sorted(site.sandbox.tree())


def test_every_step_goes_well_and_the_account_is_as_it_was_before(site: Site) -> None:
    site.login()
    site.sandbox.write("/theirs/letter.txt", b"theirs")
    before = paths(site)
    assert site.run("rehearse", "work:/theirs") == 0
    captured = site.capsys.readouterr()
    told = captured.out.splitlines()
    assert len(told) == len(steps())
    assert all(line.startswith("well   ") for line in told), told
    assert "working in work:/theirs/mountfs rehearsal 20" in captured.err
    assert captured.err.splitlines()[-1].startswith("mountfs: removed work:/theirs/mountfs rehearsal 20")
    assert paths(site) == before
    # A refresh token of Box is good for one use: the login must still be.
    site.run("doctor", "work:")
    assert "well   work: credentials: are those of Sandy Box" in site.capsys.readouterr().out


@pytest.mark.parametrize("service", ["dropbox"])
def test_an_app_that_may_not_write_is_found_out(site: Site) -> None:
    site.login()
    body = {
        "error_summary": "missing_scope/",
        "error": {".tag": "missing_scope", "required_scope": "files.content.write"},
    }
    site.sandbox.set_faults([FaultRule(COMMIT, FaultKind.REPLY, status=401, body=body)])
    assert site.run("rehearse", "work:") == 1
    (told,) = site.capsys.readouterr().out.splitlines()
    assert told.startswith("WRONG  40 small files in four folders: not committed: /mountfs rehearsal 20")
    assert "files.content.write" in told
    assert paths(site) == []


@pytest.mark.parametrize("service", ["dropbox"])
def test_a_full_account_is_told_so(site: Site, tmp_path: Path) -> None:
    site.login()
    site.sandbox.set_switches(quota_bytes=1_000_000)
    assert site.run("rehearse", "work:") == 1
    told = site.capsys.readouterr().out.splitlines()
    why = f"No space left on device: the account is full, or the disk of {tmp_path} is"
    assert told[-1] == f"WRONG  {steps()[1].title}: {why}"
    assert paths(site) == []


@pytest.mark.parametrize("service", ["dropbox"])
def test_what_is_not_seen_elsewhere_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse, "SEEN_WITHIN_S", 0.0)
    site.login()
    site.sandbox.set_faults([FaultRule(READ, FaultKind.REPLY, status=503)])
    assert site.run("rehearse", "work:") == 1
    (told,) = site.capsys.readouterr().out.splitlines()
    assert told.startswith("WRONG  40 small files in four folders: elsewhere, ")
    assert paths(site) == []


def interrupt(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("service", ["dropbox"])
def test_who_interrupts_its_end_loses_nothing_of_the_account(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    site.sandbox.write("/theirs/letter.txt", b"theirs")
    monkeypatch.setattr(rehearse, "steps", list)
    monkeypatch.setattr(ownmount.OwnMount, "unmount", interrupt)
    assert site.complaint("rehearse", "work:") == "interrupted"
    assert paths(site) == ["/theirs", "/theirs/letter.txt"]


@pytest.mark.parametrize("service", ["dropbox"])
def test_who_interrupts_its_beginning_loses_nothing_of_the_account(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    site.sandbox.write("/theirs/letter.txt", b"theirs")
    begin = subprocess.run

    def interrupted(order: list[str], **more: object) -> object:
        done = begin(order, **more)  # type: ignore[call-overload]
        if "mount" in order:
            interrupt()
        return done

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert site.complaint("rehearse", "work:") == "interrupted"
    assert paths(site) == ["/theirs", "/theirs/letter.txt"]


@pytest.mark.parametrize("service", ["dropbox"])
def test_where_a_mount_cannot_be_taken_away_nothing_in_it_is_removed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    site.sandbox.write("/theirs/letter.txt", b"theirs")
    monkeypatch.setattr(rehearse, "steps", list)
    mounted: list[Path] = []

    def refuse(mountpoint: Path) -> None:
        mounted.append(mountpoint)
        raise Failure(f"{mountpoint}: cannot unmount")

    monkeypatch.setattr(ownmount.OwnMount, "unmount", lambda *_, **__: None)
    monkeypatch.setattr(ownmount, "detach", refuse)
    try:
        assert site.complaint("rehearse", "work:").endswith("/mnt: cannot unmount")
        assert [each for each in paths(site) if "rehearsal" not in each] == ["/theirs", "/theirs/letter.txt"]
    finally:
        for each in set(mounted):
            detach(each)
            shutil.rmtree(each.parents[1], ignore_errors=True)


@pytest.mark.parametrize("service", ["dropbox"])
def test_no_process_of_a_mount_writes_to_its_directory_when_that_is_removed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    monkeypatch.setattr(rehearse, "steps", list)
    unmount, have_ended = ownmount.OwnMount.unmount, []

    def watched(mount: ownmount.OwnMount, timeout_s: float | None = None) -> None:
        number = process_at(socket_of(mount.mountpoint))
        assert number is not None
        process = os.pidfd_open(number)
        unmount(mount, timeout_s)
        have_ended.append(bool(select.select([process], [], [], 0)[0]))
        os.close(process)

    monkeypatch.setattr(ownmount.OwnMount, "unmount", watched)
    assert site.run("rehearse", "work:") == 0
    assert have_ended == [True, True]


@pytest.mark.parametrize("service", ["dropbox"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_is_closed_ends_it_as_ctrl_c_does(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    site.login()
    (first, *_) = steps()
    killed = replace(first, act=lambda _: os.kill(os.getpid(), number))
    monkeypatch.setattr(rehearse, "steps", lambda: [first, killed])
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert site.run("rehearse", "work:") == 130
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert paths(site) == []


@pytest.mark.parametrize("service", ["dropbox"])
def test_a_folder_that_stays_at_the_service_is_told_and_is_no_success(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    monkeypatch.setattr(rehearse, "steps", list)
    monkeypatch.setattr(rehearse, "REMOVED_WITHIN_S", 0.0)
    site.sandbox.set_faults([FaultRule("files/delete_batch", FaultKind.REPLY, status=503)])
    told = site.complaint("rehearse", "work:")
    assert told.startswith("work:/mountfs rehearsal 20")
    assert "could not be removed, so remove it yourself: " in told
    (left,) = paths(site)
    assert left in told


@pytest.mark.parametrize("service", ["dropbox"])
def test_who_interrupts_the_removal_too_is_told_what_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    monkeypatch.setattr(rehearse, "steps", list)
    monkeypatch.setattr(rehearse, "shutil", SimpleNamespace(rmtree=interrupt))
    told = site.complaint("rehearse", "work:")
    assert told.endswith("could not be removed, so remove it yourself: interrupted")
    assert "work:" + paths(site)[0] in told


@pytest.mark.parametrize("service", ["dropbox"])
def test_who_interrupts_what_is_done_at_last_is_told_what_stays_here(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    monkeypatch.setattr(rehearse, "steps", list)
    monkeypatch.setattr(ownmount, "shutil", SimpleNamespace(rmtree=interrupt))
    told = site.complaint("rehearse", "work:")
    (left,) = tmp_path.glob("mountfs-rehearsal-*")
    assert told == f"interrupted: unmount what is mounted in {left}, and then remove it"
    assert paths(site) == []
    shutil.rmtree(left)


@pytest.mark.parametrize("service", ["dropbox"])
def test_a_stand_in_is_no_account(site: Site) -> None:
    site.login()
    line = "sandbox-box: is a stand-in on this machine, which is shown by: mountfs demo"
    assert site.complaint("rehearse", "sandbox-box:") == line


def test_the_steps_do_the_same_to_each_folder(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    for step in steps():
        before = seen_in(one)
        step.act(one)
        assert difference(before, seen_in(one)) is not None, step.title
        step.act(other)
        assert difference(seen_in(one), seen_in(other)) is None


FILE = Seen(is_folder=False, size_bytes=3, modified_s=100, digest="abc")


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ({}, "a is missing"),
        ({"a": FILE, "b": FILE}, "b is there, and should not be"),
        ({"a": Seen(is_folder=True)}, "a is a folder"),
        ({"a": replace(FILE, size_bytes=4)}, "a has 4 bytes, and should have 3"),
        ({"a": replace(FILE, digest="abd")}, "a has other bytes than were written"),
        ({"a": replace(FILE, modified_s=90)}, "a says that it was changed at 90, and should say 100"),
        ({"a": FILE}, None),
    ],
)
def test_the_first_difference_is_told(theirs: dict[str, Seen], told: str | None) -> None:
    assert difference({"a": FILE}, theirs) == told
