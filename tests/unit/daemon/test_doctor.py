"""``mountfs doctor``: each kind of broken set-up is named, with what mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import checks, doctor, run
from daemon.cli.checks import Finding, Machine
from daemon.cli.context import Context
from daemon.cli.doctor import examine
from daemon.config.options import MountOptions
from daemon.config.settings import AccountRemote
from daemon.control.client import DeadMount
from daemon.failure import Failure
from daemon.places import outside
from daemon.places.mounttable import FILE_SYSTEM_TYPE, MountEntry
from daemon.signin.reaching import Reached, reach
from mountfs.clock import SystemClock
from mountfs.errors import Forbidden, NotSignedIn, Offline, ServerFault, Unreachable
from mountfs.model.entry import NS_PER_S
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, answer


def healthy(tmp_path: Path) -> Machine:
    helper = tmp_path / "fusermount3"
    helper.touch()
    return Machine(
        environ={},
        libfuse=lambda: 29,
        which=lambda name: str(helper),
        free_bytes=lambda path: 1 << 40,
        mounts=lambda: [MountEntry(Path("/"), "ext4", "/dev/sda1")],
        most_files=lambda: 65536,
        python=(3, 13),
        sqlite=(3, 46, 1),
    )


def options_of(tmp_path: Path, **more: Any) -> MountOptions:
    return MountOptions(state_dir=tmp_path / "state", uid=0, gid=0, **more)


# This machine


MachineCheck = Callable[[Machine, Path], Finding]
BROKEN: dict[str, tuple[dict[str, Any], MachineCheck, str, str]] = {
    "/dev/fuse is missing": (
        {"dev_fuse": Path("/dev/no-fuse")},
        lambda machine, _: checks.device(machine),
        "/dev/fuse: is missing",
        "modprobe fuse",
    ),
    "/dev/fuse is no device": (
        {"dev_fuse": Path("/etc/passwd")},
        lambda machine, _: checks.device(machine),
        "cannot be opened",
        "chmod a+rw",
    ),
    "libfuse is old": (
        {"libfuse": lambda: 26},
        lambda machine, _: checks.libfuse(machine),
        "is version 2.6",
        "install libfuse 2.9",
    ),
    "fusermount is missing": (
        {"which": lambda name: None},
        lambda machine, _: checks.fusermount(machine),
        "is missing",
        "install the package fuse3",
    ),
    "root may not mount": (
        {"uid": 0, "may_mount": lambda: False},
        lambda machine, _: checks.fusermount(machine),
        "root may not mount here",
        "--cap-add SYS_ADMIN",
    ),
    "fusermount is not root's": (
        {"uid": 1000},
        lambda machine, _: checks.fusermount(machine),
        "does not run as root",
        "chmod u+s",
    ),
    "allow_other is not allowed": (
        {"uid": 1000, "fuse_conf": Path("/no/fuse.conf")},
        lambda machine, path: checks.allow_other(machine, options_of(path, allow_other=True)),
        "only root may give it",
        "user_allow_other",
    ),
    "few files": (
        {"most_files": lambda: 256},
        lambda machine, _: checks.limits(machine),
        "at most 256",
        "LimitNOFILE",
    ),
    "authorities that are not there": (
        {"environ": {"SSL_CERT_FILE": "/no/ca.pem"}},
        lambda machine, _: checks.authorities(machine),
        "SSL_CERT_FILE=/no/ca.pem cannot be read",
        "unset it",
    ),
    "no space": (
        {"free_bytes": lambda path: 100 << 20},
        checks.space,
        "100 MiB are free",
        "free some space",
    ),
    "pending bytes in memory": (
        {"mounts": lambda: [MountEntry(Path("/"), "tmpfs", "tmpfs")]},
        checks.disk,
        "a restart of the machine empties it",
        "to a disk",
    ),
    "pending bytes on NFS": (
        {"mounts": lambda: [MountEntry(Path("/"), "nfs4", "server:/home")]},
        checks.disk,
        "is on nfs4, which loses locks",
        "to a local disk",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_the_machine_is_named_with_its_mend(name: str, tmp_path: Path) -> None:
    change, check, what, mend = BROKEN[name]
    assert check(healthy(tmp_path), tmp_path).is_well or "allow_other" in name or "root's" in name
    found = check(replace(healthy(tmp_path), **change), tmp_path)
    assert what in f"{found.check}: {found.what}"
    assert mend in found.mend


def test_a_mount_without_allow_other_is_told_to_be_its_users_own(tmp_path: Path) -> None:
    """The usual case, and no complaint: the words say what it means for others."""
    found = checks.allow_other(healthy(tmp_path), options_of(tmp_path))
    assert found.is_well
    assert "only for the user who mounts" in found.what


def test_a_missing_libfuse_is_named(tmp_path: Path) -> None:
    def missing() -> int:
        raise OSError("libfuse.so.2: cannot open shared object file")

    found = checks.libfuse(replace(healthy(tmp_path), libfuse=missing))
    assert "cannot be loaded" in found.what
    assert "libfuse2t64" in found.mend


@pytest.mark.parametrize(("part", "old"), [("python", (3, 10)), ("sqlite", (3, 31, 1))])
def test_versions_that_are_too_old_are_named(part: str, old: tuple[int, ...], tmp_path: Path) -> None:
    change: dict[str, Any] = {part: old}
    machine = replace(healthy(tmp_path), **change)
    [found] = [each for each in checks.versions(machine) if not each.is_well]
    assert found.check.lower() == part
    assert "or newer" in found.mend


def test_a_state_directory_that_others_could_change_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert checks.permissions(healthy(tmp_path), state).is_well
    state.chmod(0o777)
    found = checks.permissions(healthy(tmp_path), state)
    assert "others may write to" in found.what
    assert not found.is_well


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (DeadMount("/mnt/x: has ended"), "mount it again"),
        (Failure("/mnt/x: does not answer"), "end its process, then run: mountfs umount /mnt/x"),
    ],
)
def test_mounts_that_are_dead_or_hang_are_named(
    error: Failure, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def socket_of(place: Path) -> Path:
        raise error

    monkeypatch.setattr(checks, "socket_of", socket_of)
    [found] = checks.running([MountEntry(Path("/mnt/x"), FILE_SYSTEM_TYPE, "work:")], lambda place: None)
    assert mend in found.mend


def test_a_mount_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(place: Path) -> object:
        raise Failure(f"{place}: malformed status")

    monkeypatch.setattr(checks, "socket_of", lambda place: place)
    mounts = [MountEntry(Path("/mnt/x"), FILE_SYSTEM_TYPE, "work:")]
    [found] = checks.running(mounts, ask)
    assert "another version of mountfs" in found.mend
    [found] = checks.running(mounts, lambda place: None)
    assert found.is_well


def test_changes_of_an_account_that_no_remote_leads_to_are_named(tmp_path: Path) -> None:
    slot = tmp_path / "accounts" / "dbid-x" / "slot-0"
    slot.mkdir(parents=True)
    world = World(slot)
    world.put("/f", b"1")
    world.close()
    aside = slot / "spool-set-aside"
    aside.mkdir()
    (aside / "lost").write_bytes(b"x")
    strays = list(checks.strays(tmp_path))
    assert ["no remote leads to" in strays[0].what, "1 file of lost changes" in strays[1].what] == [
        True,
        True,
    ]
    (tmp_path / "remotes.json").write_text(json.dumps({"work": {"key": "dbid-x", "mark": "m"}}))
    (aside / "lost").unlink()
    assert list(checks.strays(tmp_path)) == []


# The configuration and the services


@pytest.fixture
def set_up(tmp_path: Path) -> tuple[Context, Path]:
    place = tmp_path / "mnt"
    place.mkdir()
    config = tmp_path / "mountfs.toml"
    config.write_text(
        f'[remotes.work]\ntype = "dropbox"\naccess_token = "t"\n[mount]\nstate_dir = "{tmp_path}/state"\n'
        f'[mounts.w]\nremote = "work:"\nmountpoint = "{place}"\n'
    )
    config.chmod(0o600)
    return Context(config=config), place


def wrong(
    set_up: tuple[Context, Path],
    reached: Reached | None = None,
    ask: Callable[[AccountRemote, Path], str] = lambda remote, path: "Sandy",
) -> list[Finding]:
    context, place = set_up
    answer = reached or Reached(ahead_s=0.5)
    machine = healthy(place.parent)
    found = examine(context, None, machine, is_offline=False, reach_it=lambda url: answer, ask=ask)
    return [each for each in found if not each.is_well]


def test_a_set_up_without_fault_has_none(set_up: tuple[Context, Path]) -> None:
    assert wrong(set_up) == []


def refusing(error: Exception) -> Callable[[AccountRemote, Path], str]:
    def ask(remote: AccountRemote, state_dir: Path) -> str:
        raise error

    return ask


@pytest.mark.parametrize(
    ("reached", "check", "mend"),
    [
        (Reached(error=Unreachable("no route to host")), "work: service", "firewall"),
        (Reached(error=Unreachable("refused"), proxy="http://proxy:3128"), "work: proxy", "HTTPS_PROXY"),
        (Reached(error=Offline("[SSL: CERTIFICATE_VERIFY_FAILED]")), "work: certificate", "SSL_CERT_FILE"),
        (Reached(error=ServerFault("a web page")), "work: service", "sign in to the network"),
        (Reached(error=ServerFault("a web page"), proxy="http://proxy:3128"), "work: proxy", "HTTPS_PROXY"),
        (Reached(ahead_s=900.0), "work: clock", "set-ntp"),
        (Reached(ahead_s=-900.0), "work: clock", "set-ntp"),
    ],
)
def test_a_service_that_cannot_be_reached_is_named_with_the_reason(
    set_up: tuple[Context, Path], reached: Reached, check: str, mend: str
) -> None:
    [found] = wrong(set_up, reached)
    assert found.check == check
    assert mend in found.mend


@pytest.mark.parametrize(
    ("error", "check"),
    [(NotSignedIn("expired"), "work: credentials"), (Forbidden("suspended"), "work: account")],
)
def test_credentials_that_are_refused_are_named(
    set_up: tuple[Context, Path], error: Exception, check: str
) -> None:
    [found] = wrong(set_up, ask=refusing(error))
    assert found.check == check


def test_missing_credentials_and_a_mount_point_that_is_not_fit_are_named(
    set_up: tuple[Context, Path],
) -> None:
    context, place = set_up
    (place / "file").touch()
    [found] = wrong(set_up)
    assert "is not empty" in found.what
    (place / "file").unlink()
    place.rmdir()
    [found] = wrong(set_up)
    assert found.mend == f"run: mkdir -p {place}"
    place.mkdir()
    assert context.config is not None
    context.config.write_text(context.config.read_text().replace('access_token = "t"', 'app_key = "k"'))
    [found] = wrong(set_up)
    assert found.mend == "run: mountfs login work"


@pytest.mark.parametrize(
    ("target", "what"),
    [("covered", "{place} is mounted"), ("covered/in/it", "{place}: lies on {covered}: the")],
)
def test_a_mount_is_asked_nothing_that_it_may_never_answer(
    target: str, what: str, set_up: tuple[Context, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where a link leads to its mount point."""
    context, place = set_up
    covered = place.with_name("covered")
    place.rmdir()
    place.symlink_to(place.parent / target)

    def silent(mountpoint: Path, *_: object) -> Path:
        raise TimeoutError

    monkeypatch.setattr(outside, "xattr", silent)
    entries = [MountEntry(Path("/"), "ext4", "/dev/sda1"), MountEntry(covered, FILE_SYSTEM_TYPE, "work:")]
    machine = replace(healthy(place.parent), mounts=lambda: entries)
    found = {each.check: each.what for each in examine(context, None, machine, is_offline=True)}
    assert found["[mounts.w]"].startswith(what.format(place=place, covered=covered))


def test_a_mount_point_that_is_a_link_to_itself_is_named(set_up: tuple[Context, Path]) -> None:
    _, place = set_up
    place.rmdir()
    place.symlink_to(place)
    [found] = wrong(set_up)
    assert found.check == "[mounts.w]"


def test_a_configuration_that_makes_no_sense_is_named(set_up: tuple[Context, Path]) -> None:
    context, _ = set_up
    assert context.config is not None
    context.config.write_text("[remotes\n")
    assert [each.check for each in wrong(set_up)] == ["configuration"]
    # Also for one remote: a complaint that there is no configuration would hide what is wrong with it.
    found = examine(context, "w:", healthy(context.config.parent), is_offline=True)
    assert [each.check for each in found if not each.is_well] == ["configuration"]
    context.config.write_text("")
    assert [each.mend for each in wrong(set_up)] == ["sign in to one: mountfs login NAME"]


def test_the_service_s_clock_is_read_from_any_reply() -> None:
    machine = FakeClock()
    with Script(answer(404, b"")) as server:
        reached = reach(server.url, machine)
    assert reached.error is None
    assert reached.ahead_s is not None
    now_s = SystemClock().wall_ns() / NS_PER_S
    assert abs(machine.wall_ns() / NS_PER_S - now_s - reached.ahead_s) < 60
    assert reach("http://127.0.0.1:9", SystemClock()).error is not None


def test_the_command_marks_what_is_wrong_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [Finding("disk", "is fine"), Finding("space", "0 B are free", "free some space")]
    monkeypatch.setattr(doctor, "examine", lambda *given, **how: iter(findings))
    assert run(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "well   disk: is fine",
        "WRONG  space: 0 B are free",
        "             -> free some space",
    ]
    assert run(["doctor", "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["is_well"] for each in lines] == [True, False]
    findings.pop()
    assert run(["doctor"]) == 0
