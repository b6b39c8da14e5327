"""README.md, followed by somebody at a terminal: each command in it is run, here or where it is said."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
from daemon.process.mountpoint import detach
from tests.mounted.boxprocess import BoxProcess
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.sandboxprocess import REPOSITORY, Refusal, SandboxProcess
from tests.ports import OwnPort
from tests.readme import README, commands
from tests.terminal import Terminal
from tests.waiting import DEADLINE_S, until

BROWSER = REPOSITORY / "tests" / "doubles" / "browser.py"

TOKENS = {
    "dropbox": (("token", "token"), ("token", "refresh_token")),
    "box": (("access_token", "token"), ("refresh_token", "token")),
}
"""Tables and columns in which the stand-ins keep what they gave out."""

RUN_HERE = """
mountfs login work
mountfs login work --service dropbox
mkdir -p ~/Dropbox
mountfs mount work: ~/Dropbox
cp -r photos ~/Dropbox/
mountfs wait ~/Dropbox
mountfs status [--watch] [--json]
mountfs pending [PATH]
mountfs completion bash
mountfs doctor
mountfs log PATH
mountfs conflicts
mountfs pause | resume [DIR]
mountfs retry ~/Dropbox
mountfs export ~/Dropbox/docs DIR
mountfs discard PATH --yes
mountfs versions ~/Dropbox/f
mountfs undelete ~/Dropbox/f
mountfs pin ~/Dropbox/docs
mountfs cache ~/Dropbox/docs
mountfs attributes --dump ~/Dropbox
mountfs umount ~/Dropbox
mountfs fsck [--repair] work:
mountfs fsck
mountfs login archive --service box
mkdir -p ~/Box
mountfs mount archive: ~/Box
mountfs remotes
mountfs logout NAME
mountfs config init
""".strip().splitlines()

RUN_ELSEWHERE = {
    "make demo": "tests/service/test_demo.py::test_the_demonstration_works_twice_and_leaves_nothing_behind",
    "make setup": "tests/mounted/test_readme.py::test_make_runs_what_is_here",
    "make test": "tests/mounted/test_readme.py::test_make_runs_what_is_here",
    "make check": "tests/mounted/test_readme.py::test_make_runs_what_is_here",
    "make bench": "tests/mounted/test_readme.py::test_make_runs_the_long_programs_in_their_shortest_form",
    "make soak": "tests/mounted/test_readme.py::test_make_runs_the_long_programs_in_their_shortest_form",
    "pip install .": "tests/unit/test_packaging.py::test_what_pip_installs_runs",
    "pip install '.[sandbox]'": "tests/unit/test_packaging.py::test_in_a_checkout_the_extra_is_the_neighbour",
    "mountfs rehearse work:": (
        "tests/unit/daemon/test_rehearse.py::test_every_step_goes_well_and_the_account_is_as_it_was_before"
    ),
    "mountfs mount sandbox-dropbox: DIR": (
        "tests/mounted/test_built_in.py::test_a_built_in_sandbox_is_mounted_by_its_name_alone"
    ),
    **dict.fromkeys(
        (
            "sudo mountfs install-service",
            "sudo mountfs --config /etc/mountfs/mountfs.toml login work --store systemd",
            "sudo systemctl enable --now mountfs@NAME",
        ),
        "tests/service/test_reboot.py::test_what_the_readme_says_survives_a_reboot",
    ),
    **dict.fromkeys(
        ("mount -t fuse.mountfs work: /mnt", "umount /mnt"),
        "tests/service/test_fstab.py::test_mount_mounts_and_umount_returns_when_all_is_committed",
    ),
    "mountfs install-service --user": "tests/service/test_user.py::test_your_own_unit_mounts_for_you",
}


def test_each_command_is_run_by_a_test() -> None:
    told = commands(README.read_text("utf-8"))
    assert sorted(told) == sorted({*RUN_HERE, *RUN_ELSEWHERE}), "README.md and what is run of it differ"
    for test in RUN_ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"\ndef {name}(" in (REPOSITORY / file).read_text(), test


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("setup", "scripts/setup.sh .venv\n"),
        ("demo", ".venv/bin/mountfs demo\n"),
        ("test", "-m pytest "),
        ("check", ".venv/bin/mypy "),
    ],
)
def test_make_runs_what_is_here(target: str, runs: str) -> None:
    """The programs themselves are run by CI (``make check``) and by test_demo.py."""
    order = ["make", "--dry-run", "--always-make", "VENV=.venv", target]
    done = subprocess.run(order, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert runs in done.stdout


@pytest.mark.parametrize(
    ("target", "arguments", "shown"),
    [
        ("bench", "small --service memory --runs 1", "committed, files/s"),
        ("soak", "--minutes 0.005 --service dropbox --seed 1", "dropbox, 0.005 minutes, seed 1"),
    ],
)
def test_make_runs_the_long_programs_in_their_shortest_form(
    tmp_path: Path, target: str, arguments: str, shown: str
) -> None:
    venv = Path(sys.prefix)
    # The environment is the one that runs this test, however it was made: nothing is installed into it.
    order = ["make", f"--assume-old={venv / '.installed-for-tests'}", f"VENV={venv}", target]
    # `make check ARGS=...` hands its own arguments down to every make below it.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(
        [*order, f"ARGS={arguments}"],
        cwd=REPOSITORY,
        env={**environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown in done.stdout


class Reader:
    """Has a home, a desk with photographs on it, and a browser that says yes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {
            "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(home),
            "BROWSER": f"{sys.executable} {BROWSER} allow %s",
            "LANG": "C.UTF-8",
        }
        (home / "photos").mkdir(parents=True)
        for name in ("a.jpg", "b.jpg"):
            (home / "photos" / name).write_bytes(name.encode() * 1000)
        self.ran: list[str] = []
        self.told = ""
        """All that commands wrote, but those at a terminal."""

    def run(self, command: str, *, code: int = 0, more: str = "") -> str:
        """A command of the README; *more* is run in its place: with its parts in brackets, with what comes
        before it, and with the mount named, since other tests' mounts are on this machine, too."""
        self.ran.append(command)
        line = more or command
        order = ["bash", "-c", line]
        done = subprocess.run(
            order,
            cwd=self.home,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * DEADLINE_S,
        )
        self.told += done.stdout
        assert done.returncode == code, f"{line} ended with {done.returncode}: {done.stdout}"
        return done.stdout

    def terminal(self, command: str, more: str = "") -> Terminal:
        self.ran.append(command)
        return Terminal(["bash", "-c", f"exec {more or command}"], self.environ, self.home)

    def signs_in(self, command: str, *answers: tuple[str, str]) -> None:
        own = OwnPort()
        with self.terminal(command, f"{command} --port {own.number}") as terminal:
            for question, answer in answers:
                terminal.expect(question)
                terminal.type(f"{answer}\n")
            assert terminal.ended() == 0, terminal.shown
            assert "signed in as" in terminal.shown

    def addresses(self, name: str, far_side: SandboxProcess) -> str:
        """The section of the remote before the login: where the stand-in is in place of the service."""
        keys = {key: value for key, value in far_side.remote().items() if key != "access_token"}
        if far_side.service == "box":
            keys["authorize_url"] = f"{far_side.url}/api/oauth2/authorize"
        else:
            keys["authorize_url"] = f"{far_side.url}/oauth2/authorize"
        return f"[remotes.{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path / "home")
    yield reader
    for mountpoint in (reader.home / "Dropbox", reader.home / "Box"):
        while mountpoint in all_mounts():
            detach(mountpoint)


def test_a_reader_follows_it_from_the_login_to_the_logout(reader: Reader, tmp_path: Path) -> None:
    reader.run("mountfs config init")
    config = reader.home / ".config" / "mountfs" / "mountfs.toml"
    with DropboxProcess(tmp_path / "dropbox") as dropbox, BoxProcess(tmp_path / "box") as box:
        sections = [reader.addresses("work", dropbox), reader.addresses("archive", box)]
        state = f'[mount]\nstate_dir = "{tmp_path}/state"\ndrain_idle_timeout = 1\n'
        config.write_text("\n".join([state, *sections]))
        reader.signs_in("mountfs login work", ("App key", "sandbox-app"))
        reader.signs_in("mountfs login work --service dropbox")
        reader.run("mkdir -p ~/Dropbox")
        with reader.terminal("mountfs mount work: ~/Dropbox") as mount:
            until(lambda: reader.home / "Dropbox" in all_mounts(), "the mount is there")
            copies_and_looks(reader, dropbox)
            decides(reader, dropbox)
            goes_back(reader)
            keeps_secrets(reader, dropbox, tmp_path / "state")
            leaves_something(reader)
            assert mount.ended() == 3
            reader.told += mount.shown
            assert "work: on" in mount.shown, "no status line"
        stopped(reader)
        assert {"/docs/late", "/photos/a.jpg", "/photos/b.jpg", "/f", "/bad"} == set(dropbox.files())
        archives(reader, box)
    assert not [token for far_side in (dropbox, box) for token in tokens(far_side) if token in reader.told]
    assert {"access_token", "refresh_token"}.isdisjoint(re.findall(r"\w+", config.read_text()))
    assert sorted(set(reader.ran)) == sorted(RUN_HERE)


def copies_and_looks(reader: Reader, far_side: SandboxProcess) -> None:
    reader.run("cp -r photos ~/Dropbox/")
    reader.run("mountfs wait ~/Dropbox")
    assert set(far_side.files()) == {"/photos/a.jpg", "/photos/b.jpg"}
    status = "mountfs status [--watch] [--json]"
    assert "work: on" in reader.run(status, more="mountfs status ~/Dropbox")
    assert '"health": "well"' in reader.run(status, more="mountfs status --json ~/Dropbox")
    with reader.terminal(status, "mountfs status --watch ~/Dropbox") as watch:
        watch.expect("mountfs: well")
        watch.type("q")
        assert watch.ended() == 0
    reader.run("mountfs pending [PATH]", more="mountfs pending ~/Dropbox/photos")
    assert "_mountfs_completion" in reader.run("mountfs completion bash")
    assert "work: credentials" in reader.run("mountfs doctor", more="mountfs doctor; true")
    assert "committed as revision" in reader.run(
        "mountfs log PATH", more="mountfs log ~/Dropbox/photos/a.jpg"
    )
    reader.run("mountfs conflicts", more="mountfs conflicts ~/Dropbox")


def decides(reader: Reader, far_side: SandboxProcess) -> None:
    """What is paused, refused, exported and given up."""
    pause = "mountfs pause | resume [DIR]"
    docs = "mkdir ~/Dropbox/docs && echo 1 > ~/Dropbox/docs/d && echo 1 > ~/Dropbox/docs/gone"
    reader.run(pause, more=f"mountfs pause ~/Dropbox && {docs}")
    reader.run("mountfs export ~/Dropbox/docs DIR", more="mountfs export ~/Dropbox/docs desk")
    assert (reader.home / "desk" / "docs" / "d").read_text() == "1\n"
    give_up = "mountfs discard PATH --yes"
    assert "gone" in reader.run(give_up, code=1, more="mountfs discard ~/Dropbox/docs/gone")
    reader.run(give_up, more="mountfs discard ~/Dropbox/docs/gone --yes")
    goes_on = "mountfs resume ~/Dropbox && mountfs bwlimit 2M:10M ~/Dropbox && mountfs bwlimit off ~/Dropbox"
    reader.run(pause, more=goes_on)
    far_side.refuse("bad", Refusal.PERMISSION)
    reader.run("mountfs wait ~/Dropbox", code=1, more="echo 1 > ~/Dropbox/bad; mountfs wait ~/Dropbox")
    far_side.take_all()
    reader.run("mountfs retry ~/Dropbox")
    reader.run("mountfs wait ~/Dropbox")


def goes_back(reader: Reader) -> None:
    """To former versions, and without the network."""
    for text in ("one", "two"):
        reader.run("mountfs wait ~/Dropbox", more=f"echo {text} > ~/Dropbox/f && mountfs wait ~/Dropbox")
    versions = reader.run("mountfs versions ~/Dropbox/f").splitlines()
    assert len(versions) == 2
    revision = shlex.quote(versions[-1].split()[-1])
    reader.run("mountfs versions ~/Dropbox/f", more=f"mountfs restore ~/Dropbox/f {revision}")
    assert (reader.home / "Dropbox" / "f").read_text() == "one\n"
    removed = "rm ~/Dropbox/f && mountfs wait ~/Dropbox && mountfs undelete ~/Dropbox/f"
    reader.run("mountfs undelete ~/Dropbox/f", more=removed)
    assert (reader.home / "Dropbox" / "f").read_text() == "one\n"
    dump = "mountfs attributes --dump ~/Dropbox"
    reader.run(
        dump, more=f"chmod 755 ~/Dropbox/f && {dump} > kept && mountfs attributes --load kept ~/Dropbox"
    )
    assert "755" in (reader.home / "kept").read_text()
    reader.run("mountfs pin ~/Dropbox/docs")
    reader.run("mountfs pin ~/Dropbox/docs", more="mountfs pin; mountfs unpin ~/Dropbox/docs")
    reader.run("mountfs cache ~/Dropbox/docs")
    reader.run("mountfs cache ~/Dropbox/docs", more="mountfs cache --clear ~/Dropbox/docs")


def tokens(far_side: SandboxProcess) -> set[str]:
    """All that the service ever gave out."""
    found: set[str] = set()
    for table, column in TOKENS[far_side.service]:
        with contextlib.closing(
            sqlite3.connect(f"file:{far_side.data / 'state.db'}?mode=ro", uri=True)
        ) as database:
            rows = database.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
            found |= {str(row[0]) for row in rows}
    return found


def keeps_secrets(reader: Reader, far_side: SandboxProcess, state: Path) -> None:
    """Each is in one file at most, which is nobody else's; and in no process list."""
    given = tokens(far_side)
    assert len(given) >= 2, "nobody signed in"
    files = [
        path for top in (reader.home / ".config", state, Path("/run/mountfs")) for path in top.rglob("*")
    ]
    held = {path: path.read_text(errors="replace") for path in files if path.is_file()}
    for token in given:
        has = [path for path, text in held.items() if token in text]
        assert len(has) <= 1, f"it is in {has}"
        assert all(path.stat().st_mode & 0o077 == 0 for path in has), has
    listed = ""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            listed += path.read_text(errors="replace")
    assert str(reader.home) in listed, "no mount of the reader's is among the processes"
    assert not [token for token in given if token in listed]


def leaves_something(reader: Reader) -> None:
    late = "mountfs pause ~/Dropbox && echo 2 > ~/Dropbox/docs/late"
    told = reader.run("mountfs umount ~/Dropbox", code=3, more=f"{late} && mountfs umount ~/Dropbox")
    assert "1 change stays journaled for the next mount" in told


def stopped(reader: Reader) -> None:
    """What is said of a mount that does not run; then it sends what was left."""
    reader.run("mountfs fsck [--repair] work:", more="mountfs fsck --repair work:")
    reader.run("mountfs fsck", more="mountfs fsck work:")
    reader.run("mountfs export ~/Dropbox/docs DIR", more="mountfs export --of work: /docs left")
    assert (reader.home / "left" / "docs" / "late").read_text() == "2\n"
    in_background = "mountfs mount --background -o log_level=debug work: ~/Dropbox"
    reader.run("mountfs mount work: ~/Dropbox", more=in_background)
    reader.run("mountfs umount ~/Dropbox", more="rm ~/Dropbox/docs/d && mountfs umount ~/Dropbox")
    (log,) = (reader.home.parent / "state" / "log").iterdir()
    assert re.search(r'event=mounted remote=work account="?Sandy Box"? .* pending=1 ', log.read_text())
    assert "level=debug" in log.read_text()


def archives(reader: Reader, far_side: SandboxProcess) -> None:
    reader.signs_in(
        "mountfs login archive --service box",
        ("Client ID", "sandbox-client"),
        ("Client secret", "sandbox-secret"),
    )
    reader.run("mkdir -p ~/Box")
    looks = "echo 1 > ~/Box/f && mountfs wait ~/Box && mountfs status ~/Box"
    reader.run("mountfs mount archive: ~/Box", more=f"mountfs mount --background archive: ~/Box && {looks}")
    keeps_secrets(reader, far_side, reader.home.parent / "state")
    reader.run("mountfs umount ~/Dropbox", more="mountfs umount ~/Box")
    assert set(far_side.files()) == {"/f"}
    told = reader.run("mountfs remotes")
    assert "work" in told
    assert "archive" in told
    reader.run("mountfs logout NAME", more="mountfs logout work && mountfs logout archive")
