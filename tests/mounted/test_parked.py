"""What a person does about changes that do not get on: try again, copy out, give up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.cli import run
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import Refusal, SandboxProcess
from tests.waiting import until

STATE = "user.mountfs.state"
ERROR = "user.mountfs.error"
OLD_S = 1_500_000_000


pytestmark = pytest.mark.only_on(
    "dropbox", because="what a person decides is carried out here, whatever the service is"
)


@dataclass(frozen=True)
class Told:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Told]


@pytest.fixture
def mountfs(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process: starting one for each command takes longer than all the rest."""

    def command(*arguments: object) -> Told:
        capsys.readouterr()
        code = run(list(map(str, arguments)))
        return Told(code, *capsys.readouterr())

    return command


@pytest.fixture
def held(real_mount: RealMount, far_side: SandboxProcess) -> Iterator[RealMount]:
    """A mount with a clean file, whose far side is away."""
    (real_mount.path / "clean").write_text("clean")
    (real_mount.path / "docs").mkdir()
    (real_mount.path / "docs" / "old").write_text("old")
    real_mount.wait_committed()
    far_side.pause()
    yield real_mount
    far_side.resume()


def failed(mount: RealMount, name: str) -> None:
    until(lambda: os.getxattr(mount.path / name, STATE) == b"failed", f"{name} is refused")


def test_retry_sends_again_what_was_refused_one_or_all(
    mountfs: Command, real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.refuse("no*", Refusal.PERMISSION)
    for name in ("no1", "no2", "no3"):
        (real_mount.path / name).write_text(name)
    for name in ("no1", "no2", "no3"):
        failed(real_mount, name)
    assert b"get permission, then run mountfs retry" in os.getxattr(real_mount.path / "no1", ERROR)
    far_side.take_all()
    done = mountfs("retry", real_mount.path / "no2")
    assert (done.returncode, done.stdout) == (0, f"{real_mount.path}: 1 change will be sent again\n")
    assert mountfs("wait", real_mount.path / "no2").returncode == 0
    assert set(far_side.files()) == {"/no2"}
    done = mountfs("retry", real_mount.path)
    assert (done.returncode, done.stdout) == (0, f"{real_mount.path}: 2 changes will be sent again\n")
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/no1", "/no2", "/no3"}
    assert mountfs("retry", real_mount.path).stdout.endswith(": 0 changes will be sent again\n")


def test_export_copies_pending_bytes_with_names_and_times_and_replaces_nothing(
    mountfs: Command, tmp_path: Path, held: RealMount
) -> None:
    (held.path / "docs" / "old").write_text("new bytes")
    (held.path / "docs" / "new").write_text("new")
    (held.path / "alone").write_text("alone")
    os.utime(held.path / "docs" / "new", (OLD_S, OLD_S))
    out = tmp_path / "out"
    done = mountfs("export", held.path / "docs", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"2 files, 12 B, copied to {out}\n"
    assert {str(path.relative_to(out)) for path in out.rglob("*")} == {"docs", "docs/old", "docs/new"}
    assert (out / "docs" / "old").read_text() == "new bytes"
    assert (out / "docs" / "new").stat().st_mtime == OLD_S
    assert mountfs("export", held.path / "alone", out).returncode == 0
    assert (out / "alone").read_text() == "alone"
    (held.path / "alone").write_text("other")
    again = mountfs("export", held.path / "alone", out)
    assert again.returncode == 1
    assert again.stderr == f"mountfs: {out / 'alone'}: exists already, and is left as it is\n"
    assert (out / "alone").read_text() == "alone"
    everything = tmp_path / "everything"
    assert mountfs("export", held.path, everything).returncode == 0
    assert {str(path.relative_to(everything)) for path in everything.rglob("*") if path.is_file()} == {
        "alone",
        "docs/old",
        "docs/new",
    }


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_export_works_from_the_state_directory_of_a_mount_that_does_not_run(
    mountfs: Command, tmp_path: Path, held: RealMount, end: str
) -> None:
    (held.path / "docs" / "new").write_text("new")
    os.utime(held.path / "docs" / "new", (OLD_S, OLD_S))
    (held.path / "alone").write_text("alone")
    out = tmp_path / "out"
    order = ["export", "--of", "work:", "--state-dir", held.state_dir]
    beside = mountfs(*order, "/", out)
    assert beside.returncode == 1
    assert f"a running mount has it (process {held.pid})" in beside.stderr
    if end == "killed":
        held.kill9()
    else:
        assert mountfs("umount", held.path, "--timeout", "0").returncode == 3
        held.ended()
    done = mountfs(*order, "/docs", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {"docs/new"}
    assert (out / "docs" / "new").stat().st_mtime == OLD_S
    assert mountfs(*order, "/", tmp_path / "all").stdout.startswith("2 files, 8 B")
    assert (tmp_path / "all" / "alone").read_text() == "alone"
    # What was copied out is still pending.
    held.start()
    assert (held.path / "alone").read_text() == "alone"


def test_discard_of_a_folder_gives_up_what_is_below_it_once_it_is_told_to(
    mountfs: Command, real_mount: RealMount, far_side: SandboxProcess
) -> None:
    top, docs = real_mount.path, real_mount.path / "docs"
    docs.mkdir()
    (docs / "old").write_text("old")
    real_mount.wait_committed()
    far_side.refuse("no*", Refusal.PERMISSION)
    (docs / "no1").write_text("new")
    (docs / "sub").mkdir()
    (docs / "sub" / "no2").write_text("new")
    (top / "no3").write_text("stays")
    for name in ("docs/no1", "docs/sub/no2", "no3"):
        failed(real_mount, name)
    assert mountfs("wait", top).returncode == 1  # the folder itself is made, and not given up on its way
    asked = mountfs("discard", docs)
    assert asked.returncode == 1
    assert {str(docs / "no1"), str(docs / "sub" / "no2")} <= set(asked.stdout.splitlines())
    assert (docs / "no1").read_text() == "new"
    done = mountfs("discard", docs, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (docs / "no1").exists()
    assert (docs / "old").read_text() == "old"
    assert (top / "no3").read_text() == "stays"
    assert not (docs / "sub" / "no2").exists()


def test_discard_shows_the_service_s_version_again(
    mountfs: Command, real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.write("/file", "theirs")
    until((real_mount.path / "file").exists, "the file is seen")
    far_side.refuse("file", Refusal.PERMISSION)
    (real_mount.path / "file").write_text("mine, refused")
    failed(real_mount, "file")
    asked = mountfs("discard", real_mount.path / "file")
    assert asked.returncode == 1
    assert asked.stdout == f"{real_mount.path}/file\n"
    assert "1 change with 13 B would be lost; --yes does it" in asked.stderr
    done = mountfs("discard", real_mount.path / "file", "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "gave up 1 change with 13 B\n", "")
    assert (real_mount.path / "file").read_text() == "theirs"
    assert os.getxattr(real_mount.path / "file", STATE) == b"clean"
    assert mountfs("wait", real_mount.path).returncode == 0
    assert mountfs("discard", real_mount.path / "file", "--yes").returncode == 0
    assert "nothing is pending there" in mountfs("discard", real_mount.path / "file").stderr


def test_what_is_wrong_with_an_order_is_told_in_one_line(
    mountfs: Command, tmp_path: Path, real_mount: RealMount
) -> None:
    far = tmp_path / "elsewhere"
    far.mkdir()
    wrong = {
        ("retry", far): (1, "is not on a mountfs mount"),
        ("retry", real_mount.path / "missing"): (1, "does not exist"),
        ("export", far, tmp_path / "out"): (1, "is not on a mountfs mount"),
        ("export", real_mount.path, tmp_path / "out"): (1, "nothing is pending there"),
        ("export", real_mount.path, real_mount.path / "sub"): (2, "lies on a mountfs mount"),
        ("export", real_mount.path): (2, "DIRECTORY"),
        ("export", "--state-dir", tmp_path, "/", tmp_path / "out"): (2, "--of REMOTE:"),
        ("export", "--of", "work:", "docs", tmp_path / "out"): (2, "begins with a slash"),
        ("export", "--of", "nobody:", "--state-dir", tmp_path, "/", tmp_path / "out"): (
            1,
            "no remote 'nobody'",
        ),
        ("discard", far, "--yes"): (1, "is not on a mountfs mount"),
        ("discard", real_mount.path / "missing", "--yes"): (1, "does not exist"),
        ("discard",): (2, "PATH"),
    }
    for order, (code, words) in wrong.items():
        done = mountfs(*order)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), (order, done.stderr)
        assert words in done.stderr, order
    for command in ("retry", "export", "discard"):
        assert mountfs(command, "--help").stdout.startswith("Usage: mountfs")
    assert not (tmp_path / "out").exists()
