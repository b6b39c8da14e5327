"""The private directory of control sockets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from daemon.failure import Failure
from daemon.places.runtimedir import (
    LONGEST_SOCKET_PATH_BYTES,
    candidates,
    make_private,
    process_at,
    socket_path,
)

ME = os.getuid()


def test_the_service_managers_directory_comes_first() -> None:
    environ = {"RUNTIME_DIRECTORY": "/run/mountfs/demo", "XDG_RUNTIME_DIR": "/run/user/7"}
    found = candidates(environ, uid=0)
    assert found[:3] == [Path("/run/mountfs/demo"), Path("/run/user/7/mountfs"), Path("/run/mountfs-0")]
    assert found[-1].name == "mountfs-0"


def test_a_user_without_a_session_gets_the_temporary_directory() -> None:
    assert [path.name for path in candidates({}, uid=1234)] == ["mountfs-1234"]


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}, ME, pid=7)
    assert path.parent == tmp_path / "mountfs"
    assert process_at(path) == 7
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}, ME, pid=8).parent == path.parent


def test_a_process_of_another_container_has_no_number_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    own = socket_path(environ, ME, pid=1)
    monkeypatch.setattr(os, "readlink", lambda _: "pid:[7]")
    assert process_at(own) is None
    assert socket_path(environ, ME, pid=1) != own


def test_a_path_too_long_for_a_socket_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * LONGEST_SOCKET_PATH_BYTES)
    deep.mkdir()
    short = tmp_path / "s"
    short.mkdir()
    environ = {"RUNTIME_DIRECTORY": str(deep), "XDG_RUNTIME_DIR": str(short)}
    assert socket_path(environ, ME, pid=7).is_relative_to(short)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_directory_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    open_one = tmp_path / "d"
    open_one.mkdir()
    open_one.chmod(mode)
    with pytest.raises(Failure, match="with mode 700"):
        make_private(open_one, ME)


def test_a_link_somebody_laid_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(Failure, match="must be a directory of this user"):
        make_private(tmp_path / "link", ME)


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(Failure, match="must be a directory of this user"):
        make_private(tmp_path, ME + 1)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot make the directory"):
        make_private(tmp_path / "file" / "d", ME)
