"""Whatever is wrong with a mount: one clear line, a non-zero exit, and nothing mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.control.client import all_mounts
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
        given = [self.spelled(argument) for argument in arguments]
        order = ["--config", self.config, "mount", "-o", f"state_dir={self.state_dir}", *given]
        return self.complaint(mountfs(*order))

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
    ([], "say what to mount where: mountfs mount REMOTE: MOUNTPOINT"),
    (["work:"], "say what to mount where"),
    (["work:", "<MNT>", "<MNT>"], "Got unexpected extra argument"),
    (["--foreground", "work:", "<MNT>"], "No such option"),
    (["--instance", "demo"], "no [mounts.demo]"),
    (["work", "<MNT>"], "'work' is not a remote; write NAME: or NAME:/SUBDIR"),
    (["", "<MNT>"], "'' is not a remote"),
    (["wrok:", "<MNT>"], "no remote 'wrok' in <DIR>/mountfs.toml; did you mean 'work'?"),
    (["sandbox-box2:", "<MNT>"], "no remote 'sandbox-box2'"),
    (["work:/../up", "<MNT>"], "the folder must be a plain path"),
    (["work:/absent", "<MNT>"], "work:/absent does not exist; make the folder first"),
    (["work:/file", "<MNT>"], "work:/file is a file; name a folder"),
    (["work:/file/below", "<MNT>"], "work:/file/below does not exist"),
    (["work:", "<DIR>/absent"], "<DIR>/absent: the mount point does not exist; run: mkdir -p"),
    (["work:", "<DIR>/mountfs.toml"], "the mount point is not a directory"),
    (["work:", "<DIR>/mountfs.toml/below"], "<DIR>/mountfs.toml/below: "),
    (["work:", "<DIR>/full"], "the mount point is not empty; choose an empty directory"),
    (["work:", "<DIR>"], "state_dir <STATE>: lies in the mount point"),
    (["work:", "/proc"], "another file system (proc) is mounted here"),
    (["-o", "state_dr=/x", "work:", "<MNT>"], "-o state_dr=/x: unknown option; did you mean 'state_dir'?"),
    (["-o", "state_dir=relative", "work:", "<MNT>"], "state_dir=relative: must be an absolute path"),
    (["-o", "state_dir", "work:", "<MNT>"], "-o state_dir: needs a value"),
    (["-o", "state_dir=<DIR>/mountfs.toml", "work:", "<MNT>"], "state_dir <DIR>/mountfs.toml: "),
    (["-o", "state_dir=<DIR>/mountfs.toml/below", "work:", "<MNT>"], "cannot make the directory"),
    (["-o", "state_dir=/proc/state", "work:", "<MNT>"], "state_dir /proc/state: cannot make the directory"),
    (["-o", "state_dir=<MNT>", "work:", "<MNT>"], "state_dir <MNT>: lies in the mount point"),
    (["-o", "state_dir=<MNT>/in/it", "work:", "<MNT>"], "state_dir <MNT>/in/it: lies in the mount point"),
    (["-o", "settle_s=soon", "work:", "<MNT>"], "-o settle_s=soon: must be a number of seconds"),
    (["-o", "settle_s=-1", "work:", "<MNT>"], "-o settle_s=-1: must be zero or more"),
    (
        ["-o", "drain_timeout=1e999", "work:", "<MNT>"],
        "-o drain_timeout=1e999: must be zero or more, and finite",
    ),
    (["-o", "uid=nobody-here", "work:", "<MNT>"], "-o uid=nobody-here: this machine knows no user"),
    (["-o", "gid=-1", "work:", "<MNT>"], "-o gid=-1: "),
    (["-o", "umask=9", "work:", "<MNT>"], "-o umask=9: must be octal"),
    (["-o", "umask=7777", "work:", "<MNT>"], "-o umask=7777: must lie between 000 and 777"),
    (["-o", "allow_other=perhaps", "work:", "<MNT>"], "-o allow_other=perhaps: must be true or false"),
    (["-o", "ro=perhaps", "work:", "<MNT>"], "-o ro=perhaps: must be true or false"),
    (["-o", "close=never", "work:", "<MNT>"], "-o close=never: must be one of local, fsync, remote"),
    (["-o", "fsync=fsync", "work:", "<MNT>"], "-o fsync=fsync: must be one of local, remote"),
]


@pytest.mark.parametrize(("arguments", "expected"), ARGUMENTS)
def test_a_wrong_argument_is_told(place: Place, arguments: list[str], expected: str) -> None:
    assert place.spelled(expected) in place.mount(*arguments)


REMOTES = [
    ({"access_token": "wrong"}, "remote 'work': the access_token is not accepted"),
    ({"api_url": "<DEAD>"}, "remote 'work' does not answer: "),
    ({"api_url": "<TLS>"}, "remote 'work' does not answer: "),
    ({"api_url": "<URL>/elsewhere"}, "remote 'work': users/get_current_account: HTTP 404"),
    ({"api_url": "127.0.0.1:80"}, "api_url = '127.0.0.1:80': must look like https://"),
    ({"api_url": "http://127.0.0.1:99999"}, "is no valid address"),
    ({"api_url": "http://dropbox.invalid"}, "would send the token in clear; use https"),
    ({"notify_url": ""}, "notify_url = '': is empty"),
    ({"path_root": "4711"}, "work:/ cannot be listed: "),
    ({"select_user": "dbmid:nobody"}, "remote 'work': "),
    ({"commit_route": "finish"}, "commit_route = 'finish': must be one of finish_batch, finish_batch_v2"),
    ({"type": "onedrive"}, "type = 'onedrive': unknown type"),
    ({"type": "box"}, "unknown key 'content_url'"),
    ({"acess_token": "x"}, "unknown key 'acess_token'; did you mean 'access_token'?"),
    ({"refresh_token": "x"}, "access_token and refresh_token exclude each other"),
    ({"access_token": "a b"}, "access_token: holds spaces"),
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


CONFIGS = [
    (b"[remotes.work", "is not valid TOML"),
    (b"\xff\xfe", "is not UTF-8 text"),
    (b"[remots.work]\n", "unknown section 'remots'; did you mean 'remotes'?"),
    (b'[remotes.work]\ntype = "dropbox"\n', "[remotes.work]: no credentials"),
    (b"[mount]\nsettle = 1\n", "[mount]: unknown key 'settle'; did you mean 'settle_s'?"),
    (b"[mount]\numask = 18\n", "[mount]: umask = 18: must be octal in quotes"),
]


@pytest.mark.parametrize(("text", "expected"), CONFIGS)
def test_a_wrong_configuration_is_told(place: Place, text: bytes, expected: str) -> None:
    place.config.write_bytes(text)
    complaint = place.mount("work:", "<MNT>")
    assert complaint.startswith(f"{place.config}: ")
    assert expected in complaint


def test_a_configuration_that_cannot_be_read_is_told(place: Place) -> None:
    place.config.unlink()
    assert "cannot read the configuration: No such file" in place.mount("work:", "<MNT>")
    place.config.mkdir()
    assert "cannot read the configuration: Is a directory" in place.mount("work:", "<MNT>")


def test_a_token_that_others_can_read_is_told(place: Place) -> None:
    place.config.chmod(0o644)
    assert f"run: chmod 600 {place.config}" in place.mount("work:", "<MNT>")


def test_a_link_to_nowhere_is_no_mount_point(place: Place) -> None:
    (place.folder / "link").symlink_to("nowhere")
    assert "the mount point does not exist" in place.mount("work:", "<DIR>/link")


def test_a_journal_that_is_none_is_told_and_left_alone(place: Place) -> None:
    mount = RealMount(place.folder, place.sandbox)
    with mount:
        mount.start()
        assert mount.terminate() == 0
    (journal,) = place.state_dir.glob("accounts/*/slot-0/journal.db")
    journal.write_bytes(b"scribble" * 1000)
    assert str(journal) in place.mount("work:", "<MNT>")
    assert journal.read_bytes() == b"scribble" * 1000


@pytest.mark.parametrize("flags", [[], ["--background"]])
def test_a_mount_point_in_use_is_told_and_stays_in_use(place: Place, flags: list[str]) -> None:
    mount = RealMount(place.folder, place.sandbox)
    with mount:
        mount.start()
        again = mountfs("--config", place.config, "mount", *flags, "work:", place.mountpoint)
        assert again.returncode == 1
        assert again.stderr.startswith(f"mountfs: {place.mountpoint}: mountfs already is mounted here")
        assert again.stderr.count("\n") == 1
        assert (place.mountpoint / "file").read_text() == "1"
        assert mount.terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "keys", "expected"),
    [
        (["work:", "<DIR>/absent"], {}, "the mount point does not exist"),
        (["-o", "settle_s=x", "work:", "<MNT>"], {}, "-o settle_s=x: must be"),
        (["work:/absent", "<MNT>"], {}, "work:/absent does not exist"),
        (["work:", "<MNT>"], {"access_token": "wrong"}, "work"),
        (["work:", "<MNT>"], {"api_url": "<DEAD>"}, "remote 'work' does not answer"),
    ],
)
def test_a_mount_in_the_background_tells_as_well(
    place: Place, arguments: list[str], keys: dict[str, str], expected: str
) -> None:
    spelled = {key: place.spelled(value) for key, value in keys.items()}
    write_config(place.config, place.sandbox, **spelled)
    assert expected in place.mount("--background", *arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["umount", "<MNT>"], "no mountfs mount here"),
        (["status", "<MNT>"], "no mountfs mount here"),
        (["wait", "<MNT>"], "is not on a mountfs mount"),
        (["wait", "<DIR>/absent"], "does not exist"),
        (["sync", "<MNT>"], "is not on a mountfs mount"),
    ],
)
def test_what_is_not_mounted_is_told(place: Place, arguments: list[str], expected: str) -> None:
    assert expected in place.complaint(mountfs(*map(place.spelled, arguments)))
