"""The command line: what is wrong is one line on stderr and a non-zero exit."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import inspect, mount, parked, run
from daemon.config.options import MountOptions
from daemon.config.settings import SandboxRemote, parse_spec
from daemon.control.client import Client, DeadMount, Place
from daemon.control.protocol import (
    Discarded,
    DiscardRequest,
    FailedChange,
    Retried,
    RetryRequest,
    Settled,
    WaitRequest,
)
from daemon.failure import EXIT_FOR_A_PERSON, Failure
from daemon.places.mounttable import MountEntry
from daemon.process import background
from daemon.process.background import Readiness
from daemon.process.run import MountPlan
from tests.unit.daemon.hostile import HOSTILE

PATIENCE_S = 60


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a home directory of their own, and nothing in /etc."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NOTIFY_SOCKET", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("daemon.cli.context.SYSTEM_CONFIG", tmp_path / "etc.toml")
    monkeypatch.setattr("daemon.cli.context.SYSTEM_STATE_DIR", tmp_path / "state")
    return home


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Leaves the root logger as it was: commands send it to their own stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def mountpoint(tmp_path: Path) -> Path:
    path = tmp_path / "mnt"
    path.mkdir()
    return path


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Runs a command that must fail with one line; the line without its opening."""
    assert run([str(argument) for argument in arguments]) != 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mountfs: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("mountfs: ").rstrip("\n")


def configured(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mountfs ")


@pytest.mark.parametrize(
    "command", [[], *[[name] for name in ("mount", "umount", "wait", "status", "sync", "demo")]]
)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert "Usage: mountfs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["frobnicate"], "No such command 'frobnicate'; see mountfs --help"),
        (["wait"], "Missing argument 'PATH'; see mountfs wait --help"),
        (["wait", "/", "--timeout", "soon"], "Invalid value for '--timeout'"),
        (["wait", "/", "--timeout", "-1"], "Invalid value for '--timeout'"),
        (["wait", "/", "--timeout", "nan"], "Invalid value for '--timeout'"),
        (["umount", "/", "--timeout", "inf"], "Invalid value for '--timeout'"),
        (["restore", "/", ""], "it is empty; mountfs versions lists the revisions; see mountfs restore"),
        (["sandbox", "box", "--data", ""], "it is empty; name a path; see mountfs sandbox box --help"),
        (["mount", "--frob"], "--frob"),
        (["wait", "--timeot", "1", "/"], "Did you mean '--timeout'? See mountfs wait --help"),
        (
            ["mount", "--config", "/f", "a:", "/b"],
            "--config goes before the command: mountfs --config ... mount",
        ),
        (["doctor", "--log-level", "debug"], "--log-level goes before the command"),
        (["config", "check", "-v"], "-v goes before the command: mountfs -v ... config check"),
        (["mount", "sandbox-dropbox:", ""], "Invalid value for '[MOUNTPOINT]': it is empty; name a path"),
        (["discard", "", "--yes"], "it is empty; name a path"),
        (["fsck", ""], "'' is not a remote"),
        (["--config", "", "status"], "Invalid value for '--config': it is empty"),
        (["wait", "/two  blanks"], "/two  blanks: does not exist"),
        (["mount"], "say what to mount where: mountfs mount REMOTE: MOUNTPOINT"),
        (["mount", "sandbox-dropbox:"], "say what to mount where"),
        (["mount", "sandbox-dropbox:", "/mnt", "--instance", "x"], "leave the arguments out"),
        (["mount", "work:", "/mnt", "/mnt"], "Got unexpected extra argument"),
        (["mount", "work:/../up", "/mnt"], "the folder must be a plain path"),
        (["mount", "--instance", "x"], "no [mounts.x] configured, as there is no configuration file"),
        (["mount", "work", "/mnt"], "'work' is not a remote; write NAME: or NAME:/SUBDIR"),
        (["mount", "work:", "/mnt"], "no remote 'work' configured, as there is no configuration file"),
        (["mount", "work:", "/mnt"], "; sign in to an account: mountfs login work"),
        (["mount", "sandbox-dropbx:", "/mnt"], "did you mean 'sandbox-dropbox'?"),
        (["--config", "/absent.toml", "mount", "a:", "/mnt"], "/absent.toml: cannot read the configuration"),
        (["umount", "/"], "/: no mountfs mount here"),
        (["status", "/"], "/: no mountfs mount here"),
        (["wait", "/"], "/: is not on a mountfs mount"),
        (["wait", "/absent"], "/absent: does not exist"),
        (["sync", "/"], "/: is not on a mountfs mount"),
        (["sandbox", "dropbox", "--port", "70000"], "Invalid value for '--port'"),
        (["sandbox", "dropbox", "--faults", "/absent"], "Invalid value for '--faults'"),
    ],
)
def test_a_wrong_command_line_is_told(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in complaint(capsys, *arguments)


@pytest.mark.parametrize("flags", [[], ["--background"]])
def test_an_unfit_mount_point_is_told(
    flags: list[str], mountpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mount = ["mount", *flags, "sandbox-dropbox:"]
    assert "does not exist; run: mkdir -p" in complaint(capsys, *mount, tmp_path / "absent")
    assert complaint(capsys, *mount, tmp_path / "a  b").endswith(f"run: mkdir -p '{tmp_path}/a  b'")
    (mountpoint / "file").touch()
    assert "is not a directory" in complaint(capsys, *mount, mountpoint / "file")
    assert "is not empty" in complaint(capsys, *mount, mountpoint)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("sttle_s=1", "-o sttle_s=1: unknown option; did you mean 'settle_s'?"),
        ("settle_s=x", "must be a number of seconds"),
        ("umask=888", "must be octal"),
        ("state_dir=/dev/null", "state_dir /dev/null: is no directory; choose another"),
        ("state_dir=/proc", "; choose a"),
        (
            "state_dir=/dev/null/x",
            "state_dir /dev/null/x: cannot make the directory: Not a directory; choose another",
        ),
    ],
)
def test_a_wrong_option_is_told(
    option: str, expected: str, mountpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in complaint(capsys, "mount", "sandbox-dropbox:", mountpoint, "-o", option)


def test_the_users_configuration_is_found_by_itself(
    home: Path, mountpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / ".config" / "mountfs"
    folder.mkdir(parents=True)
    (folder / "mountfs.toml").write_text("[mount]\nsetle_s = 1\n")
    line = complaint(capsys, "mount", "sandbox-dropbox:", mountpoint)
    assert line == f"{folder}/mountfs.toml: [mount]: unknown key 'setle_s'; did you mean 'settle_s'?"


def test_the_systems_configuration_comes_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc.toml").write_text("nonsense")
    assert complaint(capsys, "mount", "a:", tmp_path).startswith(f"{tmp_path}/etc.toml: is not valid TOML")


def test_an_instance_comes_from_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f'[mounts.demo]\nremote = "sandbox-dropbox:"\nmountpoint = "{tmp_path}/absent"\n'
    config = configured(tmp_path, text)
    line = complaint(capsys, "--config", config, "mount", "--instance", "demo")
    assert line.startswith(f"{tmp_path}/absent: the mount point does not exist")


def test_the_command_and_the_module_are_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "mount", "sandbox-dropbox:", str(tmp_path / "absent")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == EXIT_FOR_A_PERSON
    assert done.stderr.startswith("mountfs: ")
    assert "Traceback" not in done.stderr


def plan(folder: Path) -> MountPlan:
    options = MountOptions(state_dir=folder, uid=os.getuid(), gid=os.getgid())
    return MountPlan(
        parse_spec("sandbox-dropbox:"), SandboxRemote("sandbox-dropbox", "dropbox"), folder, options
    )


def played(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Has the background process run *script*, which finds its arguments in sys.argv."""
    real = subprocess.Popen

    def popen(order: list[str], **how: object) -> object:
        return real([sys.executable, "-c", script, *order[3:]], **how)  # type: ignore[call-overload]

    monkeypatch.setattr("daemon.process.background.subprocess.Popen", popen)


SPEAK = "import os, sys; fd = int(sys.argv[sys.argv.index('--ready-fd') + 1]); "


@pytest.mark.parametrize("flags", [[], ["--background"]])
def test_too_few_files_that_may_be_open_are_not_taken_for_a_missing_library(
    flags: list[str], mountpoint: Path, tmp_path: Path
) -> None:
    mount = [sys.executable, "-m", "daemon.cli", "mount", *flags, "-o", f"state_dir={tmp_path}/state"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 20; exec "$@"', "sh", *mount, "sandbox-dropbox:", str(mountpoint)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == (
        "mountfs: at most 20 files may be open at a time, and a mount needs 64 or more; "
        "allow it more: ulimit -Hn, LimitNOFILE= of a unit\n"
    )
    assert done.returncode == EXIT_FOR_A_PERSON


def test_the_background_mount_is_ready_when_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, SPEAK + "os.write(fd, b'{\"ready\": true}\\n')")
    assert background.spawn(["mount", "--", "sandbox-dropbox:", "/x"], plan(tmp_path)) == 0


def test_the_background_mount_tells_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, SPEAK + 'os.write(fd, b\'{"failed": "no way", "exit_code": 2}\\n\')')
    with pytest.raises(Failure, match="no way") as caught:
        background.spawn(["mount"], plan(tmp_path))
    assert caught.value.exit_code == 2


def test_a_background_mount_that_dies_without_a_word_points_to_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, "import sys; print('last words', file=sys.stderr); sys.exit(9)")
    with pytest.raises(Failure, match=f"ended with status 9; see {tmp_path}/log/sandbox-dropbox.log"):
        background.spawn(["mount"], plan(tmp_path))
    assert (tmp_path / "log" / "sandbox-dropbox.log").read_text() == "last words\n"


def test_readiness_is_told_once_and_only_to_who_waits() -> None:
    reading, writing = os.pipe()
    readiness = Readiness(writing)
    readiness.ready()
    readiness.failed("too late", 1)
    with open(reading, "rb") as pipe:
        assert [json.loads(line) for line in pipe] == [{"ready": True}]
    Readiness(None).ready()


def test_a_parent_that_left_does_no_harm() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Readiness(writing).ready()


@pytest.mark.parametrize("name", [name for name in HOSTILE if not {"\0", "\ud800"} & set(name)])
def test_a_complaint_is_one_line_that_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["mount", f"{name}:", "/x"], ["wait", f"/nowhere/{name}"], ["umount", name], [name]):
        assert run(arguments) != 0
        line = capsys.readouterr().err
        assert line.startswith("mountfs: ")
        assert line.endswith("\n")
        assert line[:-1].isprintable()


def test_a_terminal_of_another_alphabet_is_shown_what_it_can_show(tmp_path: Path) -> None:
    config = configured(tmp_path, f"[mount]\nstate_dir = {json.dumps(str(tmp_path / 'Čeština'))}\n")
    shown = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "--config", config, "config", "show"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert rb"\u010ce\u0161tina" in shown.stdout


def test_no_file_gets_the_number_of_a_standard_stream_that_the_caller_has_closed() -> None:
    script = (
        "import os, sys, daemon.cli as cli\n"
        "cli.run = lambda arguments: sum(\n"
        "    os.path.realpath(f'/proc/self/fd/{number}') != os.devnull for number in range(3)\n"
        ") + sum(each is None for each in (sys.stdin, sys.stdout, sys.stderr))\n"
        "cli.main()\n"
    )
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(closed, check=False).returncode == 0


def test_an_interrupt_while_the_program_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(
        "import os, signal, sys\nos.kill(os.getpid(), signal.SIGINT)\nsys.exit(9)\n"
    )
    script = (
        f"import signal, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # not so in the background
        "from daemon.program import main; main()\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("command", ["manual", "remotes", "--help", "--version"])
def test_who_stops_reading_is_no_trouble_of_a_mount(tmp_path: Path, command: str) -> None:
    """One writes by itself, one by rich."""
    config = tmp_path / "mountfs.toml"
    config.write_text('[remotes.work]\ntype = "dropbox"\naccess_token = "none"\n')
    config.chmod(0o600)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        told = subprocess.run(
            [sys.executable, "-m", "daemon.cli", "--config", str(config), command],
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (told.returncode, told.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("command", ["manual", "remotes", "--help"])
def test_output_that_cannot_be_written_is_told_from_a_disk_of_the_mount(command: str) -> None:
    with open("/dev/full", "wb") as output:
        told = subprocess.run(
            [sys.executable, "-m", "daemon.cli", command], stdout=output, stderr=subprocess.PIPE, check=False
        )
    said = b"mountfs: standard output: No space left on device\n"
    assert (told.returncode, told.stderr) == (1, said)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("arguments", [["retry"], ["discard"], ["discard", "--yes"], ["wait"]], ids=" ".join)
def test_what_a_mount_tells_is_shown_in_lines_that_print(
    name: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = (FailedChange(f"/{name}", name),)
    replies = {
        RetryRequest: Retried(1, failed),
        DiscardRequest: Discarded(2, 5, (f"/{name}",), failed),
        WaitRequest: Settled(1, failed),
    }

    class Told:
        def ask(self, request: Any) -> list[Any]:
            return [replies[type(request)]]

    monkeypatch.setattr(Client, "at", lambda *_: Told())
    for module in (inspect, parked):
        monkeypatch.setattr(module, "find_place", lambda *_, **__: Place(Path(f"/mnt/{name}"), "/"))
    assert run([*arguments, "/x"]) == 1
    told = capsys.readouterr()
    for line in [*told.out.splitlines(), *told.err.splitlines()]:
        assert line.isprintable()
        assert line.startswith(("mountfs: ", "/mnt/", "gave up ", "and 1 more"))


def test_a_mount_that_cannot_be_asked_keeps_no_other_from_being_tried_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told:
        def ask(self, request: Any) -> list[Any]:
            return [Retried(3)]

    def at(mountpoint: Path, _about: Path) -> Told:
        if mountpoint.name == "dead":
            raise DeadMount(f"{mountpoint}: its mountfs process has ended")
        return Told()

    monkeypatch.setattr(Client, "at", at)
    monkeypatch.setattr(parked, "all_mounts", lambda: [Path("/mnt/dead"), Path("/mnt/alive")])
    assert run(["retry"]) == 1
    told = capsys.readouterr()
    assert told.out == "/mnt/alive: 3 changes will be sent again\n"
    assert told.err == "mountfs: /mnt/dead: its mountfs process has ended\n"


@pytest.mark.parametrize(("number", "code"), [(errno.EIO, 1), (errno.ESTALE, 1), (errno.EPERM, 2)])
@pytest.mark.parametrize("step", ["make_private", "mkdtemp"])
def test_a_disk_that_is_in_trouble_for_a_moment_is_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    step: str,
    number: int,
    code: int,
) -> None:
    """The service manager starts a mount again that ends with 1, and never one that ends with 2."""

    def fail(*_path: object, **_where: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"daemon.places.ownership.{step}", fail)
    state, mountpoint = tmp_path / "state", tmp_path / "mnt"
    mountpoint.mkdir()
    assert run(["mount", "-o", f"state_dir={state}", "sandbox-dropbox:", str(mountpoint)]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"mountfs: state_dir {state}: ")
    assert os.strerror(number) in told


def test_a_state_directory_in_another_mount_is_refused(
    tmp_path: Path, mountpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MountEntry(tmp_path / "other", "fuse.mountfs", "work:")
    monkeypatch.setattr(mount, "read_mounts", lambda: [MountEntry(Path("/"), "ext4", "disk"), other])
    state = tmp_path / "other" / "state"
    line = complaint(capsys, "mount", "-o", f"state_dir={state}", "sandbox-dropbox:", mountpoint)
    assert line.startswith(
        f"state_dir {state}: lies in the mountfs mount {tmp_path}/other, which is no disk; "
    )
    assert not state.exists()


@pytest.mark.parametrize("which", ["state", "above"])
def test_a_state_directory_that_others_could_change_is_refused(
    which: str, tmp_path: Path, mountpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "above" / "state"
    state.mkdir(parents=True)
    writable = state if which == "state" else state.parent
    writable.chmod(0o777)
    line = complaint(capsys, "mount", "-o", f"state_dir={state}", "sandbox-dropbox:", mountpoint)
    assert line == f"state_dir {state}: others may write to {writable}; run: chmod go-w {writable}"
    assert list(state.iterdir()) == []


def test_fsck_does_not_look_at_what_others_could_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slot = tmp_path / "accounts" / "dropbox-1" / "slot-0"
    slot.mkdir(parents=True)
    slot.chmod(0o777)
    assert run(["fsck", "--repair", f"{tmp_path}"]) == 8
    assert f"others may write to {slot}" in capsys.readouterr().err
    assert list(slot.iterdir()) == []


def test_a_command_loads_no_http_that_has_no_use_for_it() -> None:
    code = "import sys; from daemon.cli import run; run(['status']); print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
