"""Whatever is wrong with a mount: one clear line, a non-zero exit, and nothing mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
from daemon.failure import EXIT_FOR_A_PERSON
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.realmount import RealMount, mountfs, write_config
from tests.mounted.sandboxprocess import SandboxProcess

NO_PORT = 1  # tcpmux, which nobody runs on loopback


@dataclass(frozen=True)
class Place:
    """Where every case runs: a sandbox with one file, a configuration for it, an empty mount point."""

    folder: Path
    sandbox: SandboxProcess

    @property
    def config(self) -> Path:
        return self.folder / "mountfs.toml"

    @property
    def mountpoint(self) -> Path:
        return self.folder / "mnt"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    def spelled(self, text: str) -> str:
        """*text* with the names of this place in it."""
        known = {
            "URL": self.sandbox.url,
            "TLS": self.sandbox.url.replace("http:", "https:"),
            "DEAD": f"http://127.0.0.1:{NO_PORT}",
            "DIR": str(self.folder),
            "MNT": str(self.mountpoint),
            "STATE": str(self.state_dir),
        }
        for name, value in known.items():
            text = text.replace(f"<{name}>", value)
        return text

    def mount(self, *arguments: str) -> str:
        """Mounts, which must fail; the reason."""
        return self.complaint(mountfs(*self.order(*arguments)))

    def order(self, *arguments: str) -> list[object]:
        """Of a mount."""
        given = [self.spelled(argument) for argument in arguments]
        return ["--config", self.config, "mount", "-o", f"state_dir={self.state_dir}", *given]

    def complaint(self, done: subprocess.CompletedProcess[str]) -> str:
        """The one line that a failed command wrote."""
        assert done.returncode not in (0, 3), done
        assert done.stdout == ""
        assert done.stderr.startswith("mountfs: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert not [path for path in all_mounts() if path.is_relative_to(self.folder)]
        return done.stderr.removeprefix("mountfs: ").rstrip("\n")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with DropboxProcess(tmp_path_factory.mktemp("bad") / "far-side") as sandbox:
        sandbox.write("/file", "1")
        yield sandbox


@pytest.fixture
def place(tmp_path: Path, sandbox: SandboxProcess) -> Iterator[Place]:
    place = Place(tmp_path.resolve(), sandbox)
    place.mountpoint.mkdir()
    (place.folder / "full" / "thing").mkdir(parents=True)
    write_config(place.config, sandbox)
    yield place
    for mountpoint in all_mounts():
        if mountpoint.is_relative_to(place.folder):
            mountfs("umount", mountpoint, "--timeout", 0)


ARGUMENTS = [
    (["work:/absent", "<MNT>"], "work:/absent does not exist; make the folder first"),
    (["work:/file", "<MNT>"], "work:/file is a file; name a folder"),
    (["work:/file/below", "<MNT>"], "work:/file/below does not exist"),
    (["work:", "<DIR>/mountfs.toml/below"], "<DIR>/mountfs.toml/below: "),
    (["work:", "<DIR>/full"], "the mount point is not empty; choose an empty directory"),
    (["work:", "<DIR>"], "state_dir <STATE>: lies in the mount point"),
    (["work:", "/proc"], "another file system (proc) is mounted here"),
    (["-o", "state_dir=<DIR>/mountfs.toml", "work:", "<MNT>"], "state_dir <DIR>/mountfs.toml: "),
    (["-o", "state_dir=/proc/state", "work:", "<MNT>"], "state_dir /proc/state: cannot make the directory"),
    (["-o", "state_dir=<MNT>/in/it", "work:", "<MNT>"], "state_dir <MNT>/in/it: lies in the mount point"),
    (["-o", "settle_s=soon", "work:", "<MNT>"], "-o settle_s=soon: must be a number of seconds"),
]
"""What the command line alone tells is in ``tests/unit/daemon``, in ``test_cli.py`` and beside it."""


@pytest.mark.parametrize(("arguments", "expected"), ARGUMENTS)
def test_a_wrong_argument_is_told(place: Place, arguments: list[str], expected: str) -> None:
    assert place.spelled(expected) in place.mount(*arguments)


REMOTES = [
    ({"access_token": "wrong"}, "remote 'work': the access_token is not accepted"),
    ({"api_url": "<DEAD>"}, "remote 'work' does not answer: "),
    ({"api_url": "<TLS>"}, "remote 'work' does not answer: "),
    ({"api_url": "<URL>/elsewhere"}, "remote 'work' does not answer: users/get_current_account: HTTP 404"),
    ({"path_root": "4711"}, "work:/ cannot be listed: "),
    ({"select_user": "dbmid:nobody"}, "remote 'work': "),
    ({"acess_token": "x"}, "unknown key 'acess_token'; did you mean 'access_token'?"),
]


@pytest.mark.parametrize(("keys", "expected"), REMOTES)
def test_a_wrong_remote_is_told(place: Place, keys: dict[str, str], expected: str) -> None:
    spelled = {key: place.spelled(value) for key, value in keys.items()}
    write_config(place.config, place.sandbox, **spelled)
    assert expected in place.mount("work:", "<MNT>")


@pytest.mark.parametrize(
    ("keys", "wrong"), [({"refresh_token": "wrong"}, "refresh token"), ({"app_key": "wrong"}, "app_key")]
)
def test_a_wrong_refresh_token_or_app_is_told(place: Place, keys: dict[str, str], wrong: str) -> None:
    values = {"refresh_token": "sandbox-refresh", "app_key": "sandbox-app", **keys}
    text = "".join(f'{key} = "{value}"\n' for key, value in values.items())
    place.config.write_text(f'[remotes.work]\ntype = "dropbox"\napi_url = "{place.sandbox.url}"\n{text}')
    assert f"remote 'work': the {wrong} is not accepted" in place.mount("work:", "<MNT>")


def test_a_wrong_configuration_is_told(place: Place) -> None:
    place.config.write_text("[remotes.work")
    complaint = place.mount("work:", "<MNT>")
    assert complaint.startswith(f"{place.config}: is not valid TOML")


REFUSALS = {"status": 403, "body": {"error_summary": "x/", "error": {".tag": "team_access_denied"}}}


@pytest.mark.parametrize("spec", ["work:/absent", "work:/file", "work:/file/below"])
def test_a_folder_that_cannot_be_mounted_is_for_a_person_to_mend(place: Place, spec: str) -> None:
    """The unit has RestartPreventExitStatus=2."""
    assert mountfs(*place.order(spec, "<MNT>")).returncode == EXIT_FOR_A_PERSON


def test_a_folder_that_another_mount_has_yet_to_make_is_asked_for_again(place: Place) -> None:
    """Both units start with the machine; the folder is in the journal that the other one takes over."""
    (place.folder / "below").mkdir()
    with RealMount(place.folder, place.sandbox) as mount:
        mount.start()
        place.sandbox.faults({"route": "files/create_folder*", "action": "reply", "status": 503})
        try:
            (mount.path / "coming").mkdir()
            done = mountfs(*place.order("work:/coming", "<DIR>/below"))
        finally:
            place.sandbox.faults()
        assert "work:/coming does not exist" in done.stderr
        assert done.returncode == 1
        assert mount.terminate() == 0


def test_an_account_that_is_refused_is_for_a_person_to_mend_also_where_it_is_known(place: Place) -> None:
    """It is an answer, as that credentials are refused is one."""
    with RealMount(place.folder, place.sandbox) as mount:
        mount.start()
        assert mount.terminate() == 0
    place.sandbox.faults({"route": "users/get_current_account", "action": "reply", **REFUSALS})
    try:
        done = mountfs(*place.order("work:", "<MNT>"))
    finally:
        place.sandbox.faults()
    assert "remote 'work': users/get_current_account: team_access_denied" in done.stderr
    assert done.returncode == EXIT_FOR_A_PERSON


BAD_REQUEST = {"action": "reply", "status": 400, "body": "Bad Request"}


def test_what_a_proxy_may_have_said_keeps_no_unit_from_starting_again(place: Place) -> None:
    place.sandbox.faults({"route": "users/get_current_account", **BAD_REQUEST})
    try:
        done = mountfs(*place.order("work:/sub", "<MNT>"))
    finally:
        place.sandbox.faults()
    assert "(HTTP 400)" in done.stderr
    assert "Bad Request" in done.stderr
    assert done.returncode == 1


def test_what_a_proxy_may_have_said_of_the_folder_keeps_it_from_no_mount(place: Place) -> None:
    """As where the service does not answer."""
    place.sandbox.faults({"route": "files/*", **BAD_REQUEST})
    with RealMount(place.folder, place.sandbox) as mount:
        try:
            mount.start()
        finally:
            place.sandbox.faults()
        assert "is mounted unseen" in mount.log_file.read_text()
        assert (mount.path / "file").read_text() == "1"
        assert mount.terminate() == 0


def test_a_journal_that_is_none_is_told_and_left_alone(place: Place) -> None:
    mount = RealMount(place.folder, place.sandbox)
    with mount:
        mount.start()
        assert mount.terminate() == 0
    (journal,) = place.state_dir.glob("accounts/*/slot-0/journal.db")
    for beside in journal.parent.glob("journal.db-*"):  # a mount that did not end cleanly is read from them
        beside.unlink()
    journal.write_bytes(b"scribble" * 1000)
    for flags in ([], ["--background"]):
        order = ["mount", "-o", f"state_dir={place.state_dir}", *flags, "work:", place.mountpoint]
        told = mountfs("--config", place.config, *order)
        assert told.returncode == 2, "the unit would be started again"
        assert str(journal) in told.stderr
        assert told.stderr.count("\n") == 1
    assert journal.read_bytes() == b"scribble" * 1000


@pytest.mark.parametrize("flags", [[], ["--background"]], ids=["foreground", "background"])
def test_a_state_directory_in_which_nothing_can_be_made_is_told(place: Place, flags: list[str]) -> None:
    place.state_dir.mkdir(mode=0o700)
    (place.state_dir / "accounts").touch()
    told = place.mount(*flags, "work:", "<MNT>")
    assert told.startswith(f"{place.state_dir}/accounts/")
    assert told.endswith(": Not a directory")


def test_a_mount_point_in_use_is_told_and_stays_in_use(place: Place) -> None:
    mount = RealMount(place.folder, place.sandbox)
    with mount:
        mount.start()
        again = mountfs("--config", place.config, "mount", "work:", place.mountpoint)
        assert again.returncode == 1
        assert again.stderr.startswith(f"mountfs: {place.mountpoint}: mountfs already is mounted here")
        assert again.stderr.count("\n") == 1
        assert (place.mountpoint / "file").read_text() == "1"
        assert mount.terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "keys", "expected"),
    [
        (["work:", "<DIR>/absent"], {}, "the mount point does not exist"),
        (["work:", "<MNT>"], {"access_token": "wrong"}, "work"),
    ],
)
def test_a_mount_in_the_background_tells_as_well(
    place: Place, arguments: list[str], keys: dict[str, str], expected: str
) -> None:
    spelled = {key: place.spelled(value) for key, value in keys.items()}
    write_config(place.config, place.sandbox, **spelled)
    assert expected in place.mount("--background", *arguments)
