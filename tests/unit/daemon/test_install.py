"""``mountfs install-service``, the units it writes, and what mount(8) and umount(8) call."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import install, mounthelper, run, units
from daemon.cli.mount import mount as command
from daemon.failure import EXIT_FOR_A_PERSON
from daemon.process.lifecycle import EXIT_LEFT_PENDING

ROOT = Path(__file__).parents[3]
OLD, NEW = 252, 257


def lines(version: int = NEW, *, is_user: bool = False) -> list[str]:
    return units.unit("/opt/mountfs/bin/mountfs", version, is_user=is_user).splitlines()


def test_the_unit_of_the_sources_is_what_install_service_writes() -> None:
    """For an old systemd and a mountfs in the manager's search path; written anew by that very call."""
    assert (ROOT / "systemd" / "mountfs@.service").read_text() == units.unit("mountfs", OLD, is_user=False)


@pytest.mark.parametrize("is_user", [True, False])
def test_a_unit_drains_restarts_and_gives_up_where_only_a_person_can_help(is_user: bool) -> None:
    unit = lines(is_user=is_user)
    for line in (
        "Type=notify",
        "StartLimitIntervalSec=0",
        "Restart=on-failure",
        "RestartSteps=10",
        "RestartMaxDelaySec=300",
        f"RestartPreventExitStatus={EXIT_FOR_A_PERSON}",
        f"SuccessExitStatus={EXIT_LEFT_PENDING}",
        "WatchdogSec=120",
        "RuntimeDirectory=mountfs/%i",
    ):
        assert line in unit


def test_an_old_systemd_gets_no_key_that_it_does_not_know() -> None:
    assert not [line for line in lines(OLD) if line.startswith(("RestartSteps", "ImportCredential"))]
    assert "ImportCredential=mountfs.*" in lines(NEW)


@pytest.mark.parametrize("is_user", [True, False])
def test_no_unit_hides_the_mount_in_a_name_space_of_its_own(is_user: bool) -> None:
    hiding = (
        "Private",
        "ProtectSystem",
        "ProtectHome",
        "ProtectKernel",
        "ProtectControl",
        "ReadOnly",
        "Bind",
    )
    assert not [line for line in lines(is_user=is_user) if line.startswith((*hiding, "Inaccessible"))]


def test_your_own_unit_lets_fusermount_become_root() -> None:
    sets_no_new_privs = ("NoNew", "SystemCall", "Restrict", "Lock", "Memory", "Private", "Protect")
    assert not [line for line in lines(is_user=True) if line.startswith(sets_no_new_privs)]


@pytest.mark.parametrize(
    ("program", "written"),
    [("/opt/a b/mountfs", 'ExecStart="/opt/a b/mountfs" '), ("/opt/50%/$x", "ExecStart=/opt/50%%/$$x ")],
)
def test_the_program_is_spelled_as_systemd_wants_it(program: str, written: str) -> None:
    assert written in units.unit(program, NEW, is_user=False)


def test_everything_is_written_below_a_root_for_a_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["install-service", "--root", str(tmp_path), "--program", "/usr/bin/mountfs"]) == 0
    helper = tmp_path / "usr/sbin/mount.fuse.mountfs"
    assert helper.stat().st_mode & stat.S_IXUSR
    assert 'exec /usr/bin/mountfs mount-helper "$@"' in helper.read_text()
    assert "umount-helper" in (tmp_path / "usr/sbin/umount.fuse.mountfs").read_text()
    unit = tmp_path / "etc/systemd/system/mountfs@.service"
    assert "ExecStart=/usr/bin/mountfs --config /etc/mountfs/mountfs.toml" in unit.read_text()
    assert (tmp_path / "etc/mountfs").is_dir()
    assert "enable --now mountfs@NAME" in capsys.readouterr().out
    # Again, and over nothing that somebody made his own:
    assert run(["install-service", "--root", str(tmp_path), "--program", "/usr/bin/mountfs"]) == 0
    unit.write_text("[Service]\nExecStart=/mine\n")
    assert run(["install-service", "--root", str(tmp_path), "--program", "/opt/mountfs"]) == 1
    assert "say --force" in capsys.readouterr().err
    assert "/usr/bin/mountfs" in helper.read_text(), "half of it was written"
    assert run(["install-service", "--root", str(tmp_path), "--program", "/opt/m", "--force"]) == 0
    assert "ExecStart=/opt/m " in unit.read_text()


def test_your_own_needs_no_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert run(["install-service"]) == 2
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(install, "_reload", lambda *, is_user: None)
    assert run(["install-service", "--user", "--program", "/usr/bin/mountfs"]) == 0
    unit = tmp_path / "config/systemd/user/mountfs@.service"
    assert "ExecStart=/usr/bin/mountfs mount --instance %i" in unit.read_text()
    assert "enable-linger" in capsys.readouterr().out
    assert run(["install-service", "--user", "--program", "mountfs"]) == 2


# What mount(8) and umount(8) run


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `mountfs mount` is called with."""
    seen: dict[str, Any] = {}

    def mount(**given: Any) -> int:
        seen.update(given)
        return 0

    monkeypatch.setattr(command, "callback", mount)
    return seen


def test_mount_passes_its_options_on(mounted: dict[str, Any], tmp_path: Path) -> None:
    order = ["mount-helper", "work:/Scans", "/mnt", "-o", f"rw,_netdev,config={tmp_path}/m.toml,settle_s=1"]
    assert run([*order, "-s", "-v", "-t", "fuse.mountfs"]) == 0
    assert (mounted["remote"], mounted["mountpoint"]) == ("work:/Scans", Path("/mnt"))
    assert mounted["options"] == ("rw", "_netdev", "settle_s=1")
    assert mounted["background"]


def test_a_fake_mount_mounts_nothing_and_another_type_is_refused(mounted: dict[str, Any]) -> None:
    assert run(["mount-helper", "work:", "/mnt", "-f"]) == 0
    assert run(["mount-helper", "work:", "/mnt", "-t", "fuse.sshfs"]) == 2
    assert mounted == {}


@pytest.mark.parametrize(("code", "told"), [(0, 0), (EXIT_LEFT_PENDING, 0), (1, 1)])
def test_umount_drains_and_is_content_when_the_mount_is_gone(
    code: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounthelper, "drained_umount", lambda context, place, timeout_s: code)
    assert run(["umount-helper", "/mnt", "-t", "fuse.mountfs", "-v"]) == told


def test_a_lazy_umount_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detached: list[Path] = []
    monkeypatch.setattr(mounthelper, "bind_at", lambda path: path if path.name == "bound" else None)
    monkeypatch.setattr(mounthelper, "find_mount", lambda path: path)
    monkeypatch.setattr(mounthelper, "detach", detached.append)
    assert run(["umount-helper", "/mnt", "-l"]) == 0
    assert detached == [Path("/mnt")]
    assert "is sent by its process" in capsys.readouterr().err
    assert run(["umount-helper", "/bound", "-l"]) == 0
    assert detached == [Path("/mnt"), Path("/bound")]
    assert capsys.readouterr().err == ""


def test_the_helpers_are_no_commands_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    assert "helper" not in capsys.readouterr().out
