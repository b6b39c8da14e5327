"""A mount whose process hangs: the commands say so, and never hang with it."""

from __future__ import annotations

import faulthandler
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from daemon.cli import run
from daemon.control import client
from daemon.places import outside
from daemon.places.mounttable import read_mounts
from daemon.process.mountpoint import unmount
from tests.mounted.realmount import RealMount
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.only_on("dropbox", because="what hangs is this machine's")


@pytest.fixture
def hung(real_mount: RealMount, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The mount point of a mount whose process was stopped."""
    monkeypatch.setattr(outside, "PATIENCE_S", 0.3)
    real_mount.freeze()
    yield real_mount.path
    real_mount.thaw()


def outcome(*arguments: object) -> int | None:
    """The exit code of a command; None while it hangs, which a thread of this process may."""
    codes: list[int] = []
    thread = Thread(target=lambda: codes.append(run([str(each) for each in arguments])), daemon=True)
    thread.start()
    thread.join(DEADLINE_S / 4)
    if not codes:
        faulthandler.dump_traceback(2, all_threads=True)  # where it hangs
    return codes[0] if codes else None


def test_a_command_about_a_mount_that_hangs_says_so(
    hung: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(hung)
    state = f"state_dir={tmp_path / 'another'}"
    monkeypatch.chdir(hung.parent)
    settings = tmp_path / "mountfs.toml"
    settings.write_text(f'[mount]\nstate_dir = "{link}/state"\n[remotes.work]\ntype = "dropbox"\n')
    of_token = ("--token-file", link / "token")
    orders: list[tuple[object, ...]] = [
        *((command, path) for command in ("status", "umount") for path in (hung, link)),
        *((command, hung / "a" / "b") for command in ("wait", "sync", "retry", "discard")),
        ("export", hung, tmp_path / "out"),
        ("export", tmp_path, hung / "out"),
        ("export", "--of", "work:", "--state-dir", hung / "state", "/", tmp_path / "out"),
        ("fsck", hung),
        ("fsck", hung.name),
        ("mount", "-o", state, "sandbox-dropbox:", hung),
        ("--config", hung / "my.toml", "remotes"),
        ("--config", link / "my.toml", "config", "init"),
        ("--config", settings, "remotes"),
        ("--config", settings, "fsck", "work:"),
        ("--config", settings, "login", "other", "--service", "dropbox", "--app-key", "x", *of_token),
        ("--config", settings, "login", "work", "--store", "systemd", "--credentials", hung / "store"),
        ("--config", settings, "logout", "work", "--local", "--credentials", link),
        ("attributes", "--load", hung / "list", hung),
        ("attributes", "--load", "/dev/null", hung),
        ("install-service", "--root", link / "package"),
    ]
    for order in orders:
        assert outcome(*order) in (1, 2, 8), order
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert str(hung) in line
    assert hung in client.all_mounts()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may bind")
def test_where_a_mount_that_hangs_is_bound_it_goes_unless_somebody_is_there(
    real_mount: RealMount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody asks the mount."""
    bound = tmp_path / "bound"
    bound.mkdir()
    subprocess.run(["mount", "--bind", real_mount.path, bound], check=True)
    inside = os.open(bound, os.O_PATH)
    try:
        real_mount.freeze()
        assert outcome("umount", bound) == 1
        assert f"{bound}: is busy" in capsys.readouterr().err
        os.close(inside)
        inside = -1
        assert outcome("umount", bound) == 0
    finally:
        if inside >= 0:
            os.close(inside)
        unmount(bound, is_lazy=True)
        real_mount.thaw()
    assert bound not in [entry.mountpoint for entry in read_mounts()]
