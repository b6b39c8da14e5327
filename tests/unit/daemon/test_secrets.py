"""Secrets that are kept elsewhere, and remotes that nobody has signed in to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from daemon.config.boxremote import BoxRemote
from daemon.config.secrets import out_of_keyring
from daemon.config.settings import DropboxRemote, Settings, find_remote, holds_secret, load, usable_remote
from daemon.failure import BadSettings

NOTHING: dict[str, str] = {}


def write(folder: Path, text: str, mode: int = 0o644) -> Path:
    path = folder / "mountfs.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def dropbox(folder: Path, value: str) -> Path:
    return write(folder, f'[remotes.work]\ntype = "dropbox"\napp_key = "k"\nrefresh_token = {value}\n')


def test_a_secret_in_a_file_of_its_own_is_read_when_it_is_used(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    settings = load([dropbox(tmp_path, f'{{ file = "{kept}" }}')])
    found = find_remote(settings, "work")
    assert isinstance(found, DropboxRemote)
    assert (found.is_signed_in, found.refresh_token) == (True, None)
    kept.write_text("sesame\n")
    kept.chmod(0o600)
    assert usable_remote(settings, "work", NOTHING) == DropboxRemote(
        "work", refresh_token="sesame", app_key="k"
    )


def test_a_service_gets_its_secrets_from_its_manager(tmp_path: Path) -> None:
    (tmp_path / "work.secret").write_text("hush")
    (tmp_path / "work.token").write_text("sesame\n")
    text = '[remotes.work]\ntype = "box"\nclient_id = "c"\n'
    for key, name in (("client_secret", "work.secret"), ("refresh_token", "work.token")):
        text += f'{key} = {{ credential = "{name}" }}\n'
    found = usable_remote(load([write(tmp_path, text)]), "work", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found == BoxRemote("work", client_id="c", client_secret="hush", refresh_token="sesame")


def test_a_configuration_whose_secrets_are_elsewhere_may_be_public(tmp_path: Path) -> None:
    assert load([dropbox(tmp_path, '{ credential = "x" }')]).remotes["work"]
    assert not holds_secret({"remotes": {"work": {"refresh_token": {"file": "/x"}}}})


BAD_PLACES = [
    ("{ credential = 'a/b' }", "must be kept under the plain name"),
    ("{ credential = '..' }", "must be kept under the plain name"),
    ("{ file = 'relative' }", "must be kept in a file with an absolute path"),
    ("{ file = '' }", "is empty"),
    ("{ vault = 'x' }", "must be text, or one of { credential = NAME }, { file = NAME }, { keyring = NAME }"),
    ("{ file = '/x', keyring = 'x' }", "must be text, or one of"),
    ("{}", "must be text, or one of"),
]


@pytest.mark.parametrize(("value", "expected"), BAD_PLACES)
def test_a_place_that_is_none_is_refused_with_the_file(tmp_path: Path, value: str, expected: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load([dropbox(tmp_path, value)])
    assert str(caught.value).startswith(f"{tmp_path}/mountfs.toml: [remotes.work]: refresh_token: ")
    assert expected in str(caught.value)


def refused(path: Path, environ: dict[str, str]) -> str:
    with pytest.raises(BadSettings) as caught:
        usable_remote(load([path]), "work", environ)
    told = str(caught.value)
    assert told.startswith(f"{path}: [remotes.work]: ")
    assert "\n" not in told
    return told


def test_what_keeps_a_secret_from_being_used_is_told(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    path = dropbox(tmp_path, f'{{ file = "{kept}" }}')
    assert f"refresh_token: {kept}: No such file" in refused(path, NOTHING)
    kept.write_text("sesame")
    kept.chmod(0o644)
    assert f"run: chmod 600 {kept}" in refused(path, NOTHING)
    kept.chmod(0o600)
    kept.write_text("")
    assert f"file '{kept}' is empty" in refused(path, NOTHING)
    kept.write_text("se same")
    told = refused(path, NOTHING)
    assert "holds spaces or characters that no token has" in told
    assert "se same" not in told
    path = dropbox(tmp_path, '{ credential = "absent" }')
    assert "as LoadCredential=absent:FILE; this is none" in refused(path, NOTHING)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert "has no credential 'absent'; add LoadCredential=absent:FILE" in refused(path, environ)


class Keyring(SimpleNamespace):
    """The three calls of the library, on a dictionary."""

    class errors:  # noqa: N801 - the library's name
        class KeyringError(Exception):
            pass

    def get_password(self, service: str, name: str) -> str | None:
        if self.is_locked:
            raise self.errors.KeyringError("it is locked")
        found = self.held.get((service, name))
        assert found is None or isinstance(found, str)
        return found


def test_the_keyring_is_asked_by_the_name_in_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Keyring(held={("mountfs", "work.refresh_token"): "sesame"}, is_locked=False)
    monkeypatch.setattr("daemon.config.secrets.importlib.import_module", lambda name: ring)
    path = dropbox(tmp_path, '{ keyring = "work.refresh_token" }')
    found = usable_remote(load([path]), "work", NOTHING)
    assert isinstance(found, DropboxRemote)
    assert found.refresh_token == "sesame"
    ring.is_locked = True
    assert "the keyring does not answer: it is locked" in refused(path, NOTHING)
    ring.is_locked, ring.held = False, {}
    assert "has no 'work.refresh_token' of mountfs; sign in again" in refused(path, NOTHING)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("Incorrect Password"), "Incorrect Password"),  # of keyrings.alt
        (EOFError(), "EOFError"),  # of getpass, where nobody can be asked
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
    ],
)
def test_whatever_a_keyring_raises_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    class Broken:
        def get_password(self, *_: str) -> str:
            raise error

    monkeypatch.setattr("daemon.config.secrets.importlib.import_module", lambda name: Broken())
    with pytest.raises(BadSettings, match=f"the keyring does not answer: .*{told}"):
        out_of_keyring("work.refresh_token")


def test_without_the_library_the_keyring_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    assert "pip install 'mountfs[keyring]'" in refused(dropbox(tmp_path, "{ keyring = 'x' }"), NOTHING)


@pytest.mark.parametrize("service", ["dropbox", "box"])
def test_a_remote_without_credentials_keeps_nobody_from_another_one(tmp_path: Path, service: str) -> None:
    text = f'[remotes.work]\ntype = "{service}"\n[remotes.other]\ntype = "dropbox"\naccess_token = "t"\n'
    path = write(tmp_path, text, 0o600)
    assert usable_remote(load([path]), "other", NOTHING) == DropboxRemote("other", access_token="t")
    assert "no credentials; run: mountfs login work, or give access_token" in refused(path, NOTHING)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users may look into, as pytest's own are not."""
    with TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: the test goes on as another user, if it is root's."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_system_file_that_may_not_be_read_keeps_nobody_from_the_sandbox(public: Path) -> None:
    path = dropbox(public, '"r"')
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    with as_nobody():
        settings = load([public / "absent.toml", path])
    assert usable_remote(settings, "sandbox-box", NOTHING) == find_remote(load([]), "sandbox-box")
    told = f"no remote 'work' known: the configuration {path} may not be read by this user"
    with pytest.raises(BadSettings, match=told):
        usable_remote(settings, "work", NOTHING)


def test_no_other_file_takes_the_place_of_one_that_may_not_be_read(public: Path) -> None:
    own = dropbox(public, '"r"')
    own.chmod(0o600 if os.geteuid() == 0 else 0)
    (public / "etc").mkdir()
    systems = write(public / "etc", "[mount]\nsettle_s = 1\n")
    with as_nobody():
        assert load([own, systems]) == Settings(unread=own)
        assert load([public / "absent.toml", systems]).file == systems
