"""``mountfs login``, ``logout`` and ``remotes``, at the stand-ins over HTTP."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

from daemon.cli import run
from daemon.config.boxremote import BoxRemote
from daemon.config.settings import AccountRemote, DropboxRemote, load, usable_remote
from daemon.places.statedir import StateDir
from daemon.signin.remotes import connect
from mountfs.clock import SystemClock
from mountfs.errors import NotSignedIn
from mountfs.model.entry import Account
from mountfs.model.path import ROOT
from mountfs.tree.store import Store
from tests.ports import OwnPort
from tests.unit.daemon.signins import ADDRESS, Site, site_of

ROOT_DIRECTORY = Path(__file__).parents[3]


@pytest.fixture(params=["dropbox", "box"])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    with site_of(service, tmp_path, capsys, monkeypatch) as site:
        yield site


@pytest.fixture
def port() -> Iterator[str]:
    own = OwnPort()
    yield str(own.number)
    own.close()


def signed_in(site: Site, environ: dict[str, str] | None = None) -> AccountRemote:
    found = usable_remote(load([site.config]), "work", environ or {})
    assert isinstance(found, DropboxRemote | BoxRemote)
    return found


def works(site: Site, remote: AccountRemote) -> None:
    backend = connect(remote, SystemClock(), site.state)
    assert backend.list_folder(ROOT) == []
    backend.close()


def test_without_a_browser_a_code_is_asked_for_and_the_account_can_be_mounted(site: Site) -> None:
    code = site.run("login", "work", *site.order, "--no-browser", stdin=site.copied)
    captured = site.capsys.readouterr()
    assert code == 0, captured.err
    assert "work: signed in as Sandy Box; 0 B of 1.8 TiB used\n" in captured.out
    assert f"written to {site.config}; mount it: mountfs mount work: DIRECTORY" in captured.out
    assert site.config.stat().st_mode & 0o777 == 0o600
    works(site, signed_in(site))


def test_the_browser_comes_back_to_this_machine(site: Site, port: str) -> None:
    done = site.in_browser("work", *site.order, "--port", port)
    assert done.returncode == 0, done.stderr
    assert f"http://localhost:{port}/" in done.stderr
    works(site, signed_in(site))


@pytest.mark.parametrize("service", ["dropbox"])
def test_a_browser_that_stays_open_holds_up_nobody(site: Site, port: str) -> None:
    stays = site.folder / "stays"
    os.mkfifo(stays)
    done = site.in_browser("work:", *site.order, "--port", port, BROWSER_STAYS=str(stays))
    with stays.open("w") as ends:
        ends.write("now")
    assert done.returncode == 0, done.stderr
    works(site, signed_in(site))


def test_who_presses_cancel_is_told_so_and_nothing_is_written(site: Site, port: str) -> None:
    done = site.in_browser("work", *site.order, "--port", port, decision="deny")
    assert done.returncode == 1
    assert "mountfs: the service did not let mountfs use the account: The user" in done.stderr
    assert not site.config.exists()


def test_a_port_that_is_taken_is_told(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        done = site.in_browser("work", *site.order, "--port", port)
    assert done.returncode == 1
    assert f"mountfs: port {port} of this machine cannot be listened to: Address already" in done.stderr


@pytest.mark.parametrize("service", ["box"])
def test_an_application_that_acts_for_itself_needs_no_person(site: Site) -> None:
    order = [*site.order, "--client-credentials", "enterprise:sandbox"]
    assert site.run("login", "work", *order) == 0
    remote = signed_in(site)
    assert isinstance(remote, BoxRemote)
    assert (remote.box_subject_type, remote.box_subject_id, remote.refresh_token) == (
        "enterprise",
        "sandbox",
        None,
    )
    works(site, remote)
    assert "authorize" not in str(site.sandbox.log.counts)


def test_a_refresh_token_at_hand_is_taken_and_left_good(site: Site) -> None:
    token = site.kept("token", "sandbox-refresh")
    assert site.run("login", "work", *site.order, "--token-file", token) == 0
    works(site, signed_in(site))


def test_signing_in_again_keeps_comments_and_the_other_keys(site: Site) -> None:
    site.login()
    text = site.config.read_text().replace("[remotes.work]", "# mine\n[remotes.work]")
    own = 'root_folder_id = "0"' if site.service == "box" else 'path_root = "home"'
    site.config.write_text(f"{text}{own}  # as it was\n[mount]\nsettle_s = 1\n")
    before = signed_in(site)
    assert site.run("login", "work", "--no-browser", stdin=site.copied) == 0
    after = site.config.read_text()
    assert after.startswith("# mine\n")
    assert f"{own}  # as it was\n" in after
    assert "settle_s = 1" in after
    assert signed_in(site).refresh_token not in (None, before.refresh_token)
    works(site, signed_in(site))


def test_a_section_written_by_hand_is_completed(site: Site) -> None:
    application = "client_id" if site.service == "box" else "app_key"
    key = "sandbox-client" if site.service == "box" else "sandbox-app"
    keys = {"type": site.service, application: key, **site.urls}
    if site.service == "box":
        keys["client_secret"] = "sandbox-secret"
    site.config.parent.mkdir(mode=0o700)
    lines = [f'{name} = "{value}"' for name, value in keys.items()]
    site.config.write_text("\n".join(["[remotes.work]", *lines, ""]))
    site.config.chmod(0o600)
    assert site.run("login", "work", "--no-browser", stdin=site.copied) == 0
    works(site, signed_in(site))


def test_a_wrong_code_is_called_that(site: Site) -> None:
    for stdin, told in {
        "made-up\n": "the code is not accepted: ",
        "\n": "standard input: the ",
        "not a code\n": "that is no code: it holds spaces",
        "http://localhost:53697/?code=x&state=other\n": "its state is not ours",
        "http://localhost:53697/\n": "its state is not ours",
    }.items():
        line = site.complaint("login", "work", *site.order, "--no-browser", stdin=stdin)
        assert told in line, stdin
    assert not site.config.exists()


def test_a_wrong_application_is_not_called_a_wrong_token(site: Site) -> None:
    token = site.kept("token", "sandbox-refresh")
    order: list[str | Path] = ["login", "work", *site.order, "--token-file", token]
    wrong = site.complaint(*order, "--app-key", "other")
    key = "client_id or client_secret" if site.service == "box" else "app_key"
    assert wrong.startswith(f"the {key} is not accepted: ")
    wrong = site.complaint(*order, "--secret-file", site.kept("wrong", "hush"))
    key = "client_id or client_secret" if site.service == "box" else "app_key or app_secret"
    assert wrong.startswith(f"the {key} is not accepted: ")
    site.kept("token", "other")
    assert site.complaint(*order).startswith("the refresh token is not accepted: ")
    assert not site.config.exists()


@pytest.mark.parametrize("service", ["dropbox"])
def test_an_app_that_lacks_a_permission_is_told_which(site: Site) -> None:
    """Where the page lets pass what it was asked for, the grant says what there is."""
    code = ""

    def narrowed() -> str:
        nonlocal code
        url = site.asked().replace("files.content.write", "").replace("account_info.read", "")
        code = site.person.copies_code(url)
        return code

    line = site.complaint("login", "work", *site.order, "--no-browser", stdin=narrowed)
    assert line == (
        "the app lacks account_info.read, files.content.write: tick this under Permissions in its console, "
        "press Submit, and sign in again"
    )
    assert not site.config.exists()


def test_what_is_missing_in_a_script_is_named_with_its_option(site: Site) -> None:
    assert site.complaint("login", "work") == "say which service: --service box or dropbox"
    named = ["login", "work", "--service", site.service]
    wanted = "Client ID is missing; give --client-id" if site.service == "box" else "App key is missing"
    assert wanted in site.complaint(*named)
    if site.service == "box":
        line = site.complaint(*named, "--client-id", "sandbox-client")
        assert line == "the Client secret is missing; give --secret-file FILE"


def test_what_is_wrong_on_the_command_line_is_one_line(site: Site, tmp_path: Path) -> None:
    order = ["login", "work", *site.order]
    for more, told in {
        ("--set", "api_url"): "--set api_url: needs a value; write --set api_url=VALUE",
        ("--set", "api_ur=x"): "unknown key 'api_ur'; did you mean 'api_url'?",
        ("--set", "api_url=http://example.com"): "would send the token in clear",
        ("--set", "refresh_token=x"): "--set refresh_token: is given by an option of its own",
        ("--token-file", str(tmp_path / "absent")): f"{tmp_path}/absent: the refresh token cannot be read",
        ("--store", "systemd", "--credentials", str(tmp_path / "absent")): "make the directory",
        ("--client-credentials", "group:7"): "group" if site.service == "box" else "only Box has them",
    }.items():
        assert told in site.complaint(*order, *more), more
    assert "is built in" in site.complaint("login", "sandbox-box", *site.order)
    assert "the name must be letters" in site.complaint("login", "a b", *site.order, "--no-browser")
    assert not site.config.exists()


def test_a_remote_of_another_service_keeps_its_name(site: Site) -> None:
    other = "dropbox" if site.service == "box" else "box"
    site.config.parent.mkdir(mode=0o700)
    site.config.write_text(f'[remotes.work]\ntype = "{other}"\n')
    line = site.complaint("login", "work", *site.order)
    assert f"[remotes.work] is of type {other}; choose another name" in line


def test_where_nothing_can_be_written_nobody_is_asked_for_anything(site: Site) -> None:
    site.config.parent.mkdir()
    site.config.parent.chmod(0o777)
    assert "another user could change it" in site.complaint("login", "work", *site.order)
    assert site.sandbox.log.counts == {}


def test_a_service_that_is_away_leaves_everything_as_it_is(site: Site) -> None:
    site.login()
    before = site.config.read_text()
    site.sandbox.pause()
    token = site.kept("token", "sandbox-refresh")
    assert "broke the connection" in site.complaint("login", "work", *site.order, "--token-file", token)
    line = site.complaint("logout", "work")
    assert line.startswith("work: still signed in, for its access could not be revoked: ")
    assert line.endswith("--local removes the secrets all the same")
    assert site.config.read_text() == before
    site.sandbox.resume()


def test_secrets_for_a_service_go_where_its_manager_finds_them(site: Site) -> None:
    store = site.folder / "credstore"
    store.mkdir(mode=0o700)
    for _ in range(2):
        order: list[str | Path] = ["login", "work", *site.order, "--no-browser", "--store", "systemd"]
        code = site.run(*order, "--credentials", store, stdin=site.copied)
        captured = site.capsys.readouterr()
        assert code == 0, captured.err
    name = "mountfs.work.refresh_token"
    assert f"LoadCredential={name}:{store}/{name}\n" in captured.out
    assert (store / name).stat().st_mode & 0o777 == 0o600
    kept = {path.name: path.read_text() for path in store.iterdir()}
    assert not any(secret in site.config.read_text() for secret in kept.values())
    works(site, signed_in(site, {"CREDENTIALS_DIRECTORY": str(store)}))
    assert site.run("logout", "work", "--credentials", store) == 0
    assert os.listdir(store) == []
    # Back into the configuration: nothing is left behind.
    site.login("--store", "systemd", "--credentials", store)
    site.login("--credentials", store)
    assert os.listdir(store) == []
    works(site, signed_in(site))


def test_signing_out_ends_the_access_and_removes_the_secrets(site: Site) -> None:
    site.login()
    before = signed_in(site)
    backend = connect(before, SystemClock(), site.state)
    assert backend.list_folder(ROOT) == []  # Box's refresh token is another one by now, kept in state_dir
    assert site.run("logout", "work") == 0
    told = site.capsys.readouterr().out
    assert told == f"work: its access is revoked at the service; its secrets are gone from {site.config}\n"
    text = site.config.read_text()
    assert "refresh_token" not in text
    assert "secret" not in text.replace("sandbox-secret", "secret")
    assert ("sandbox-client" if site.service == "box" else "sandbox-app") in text
    assert not list((site.state / "tokens").glob("*.json"))
    with pytest.raises(NotSignedIn):
        backend.list_folder(ROOT)
    backend.close()
    with pytest.raises(NotSignedIn):
        works(site, before)
    assert site.run("remotes") == 0
    assert "no; run: mountfs login work" in site.capsys.readouterr().out
    assert "no credentials; run: mountfs login work" in site.complaint("logout", "work")


def test_what_the_service_knows_no_more_is_removed_all_the_same(site: Site) -> None:
    site.login()
    site.sandbox.set_switches(**{"app_secret" if site.service == "dropbox" else "client_secret": "new"})
    site.sandbox.set_switches(**{"app_key" if site.service == "dropbox" else "client_id": "new"})
    assert site.run("logout", "work") == 0
    assert "there was nothing to revoke (the " in site.capsys.readouterr().out
    assert "refresh_token" not in site.config.read_text()


def test_the_configuration_may_be_named_from_where_one_stands(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.login()
    monkeypatch.chdir(site.config.parent)
    assert run(["--config", site.config.name, "logout", "work", "--local"]) == 0
    assert "refresh_token" not in site.config.read_text()


def test_signing_out_here_alone_asks_nobody(site: Site) -> None:
    site.login()
    before, calls = signed_in(site), dict(site.sandbox.log.counts)
    assert site.run("logout", "work", "--local") == 0
    assert "nothing was revoked at the service" in site.capsys.readouterr().out
    assert dict(site.sandbox.log.counts) == calls
    works(site, before)


@pytest.mark.parametrize("service", ["dropbox"])
def test_who_is_not_there_cannot_sign_out(site: Site) -> None:
    site.login()
    assert "no remote 'wrk' in" in site.complaint("logout", "wrk")
    assert "sandbox-box is built in, and needs no account" in site.complaint("logout", "sandbox-box")


def test_remotes_are_listed_with_how_they_are_signed_in(site: Site) -> None:
    site.login()
    assert site.run("remotes", "--json") == 0
    (found,) = json.loads(site.capsys.readouterr().out)
    assert (found["name"], found["service"], found["signed_in"]) == ("work", site.service, "refresh token")
    assert found["pending"] == 0


def test_without_remotes_it_is_said_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("daemon.cli.context.SYSTEM_CONFIG", tmp_path / "etc.toml")
    assert run(["remotes"]) == 0
    told = "no remotes: there is no configuration file; sign in to an account with: mountfs login NAME\n"
    assert capsys.readouterr().out == told


def leave_pending(site: Site, key: str) -> None:
    """As a mount of ``work`` whose account was *key* would have left it: a file that no row names yet."""
    site.state.mkdir(mode=0o700, exist_ok=True)
    StateDir(site.state).identify("work", "mark", lambda: Account(key, "somebody"))
    slot = site.state / "accounts" / key / "slot-0"
    (slot / "spool").mkdir(parents=True)
    Store(slot / "journal.db").close()
    (slot / "spool" / "f").write_bytes(b"1234")


def test_what_is_pending_is_listed_and_stays_when_somebody_signs_out(site: Site) -> None:
    site.login()
    remote = signed_in(site)
    backend = connect(remote, SystemClock(), site.state)
    leave_pending(site, backend.account().key)
    backend.close()
    assert site.run("remotes") == 0
    assert "1 change, 4 B" in site.capsys.readouterr().out
    assert site.run("logout", "work") == 0
    told = site.capsys.readouterr().out
    assert f"work: 1 change (4 B) stays pending in {site.state}, to be sent once you" in told
    assert list((site.state).rglob("spool/f"))
    site.login()
    assert site.run("remotes") == 0
    assert "1 change, 4 B" in site.capsys.readouterr().out


def test_signing_in_to_another_account_says_what_waits_for_the_one_before(site: Site) -> None:
    leave_pending(site, "dbx-other")
    assert site.run("login", "work", *site.order, "--no-browser", stdin=site.copied) == 0
    told = site.capsys.readouterr().err
    assert "work was another account before, for which 1 change (4 B) stays pending" in told


class Terminal:
    """What somebody at a terminal sees and types; the command is a program of its own."""

    def __init__(self, site: Site, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        order = [sys.executable, "-m", "daemon.cli", "--config", str(site.config), *arguments]
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(site.folder), "PYTHONPATH": str(ROOT_DIRECTORY)}
        self._process = subprocess.Popen(
            order, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def until(self, text: str) -> str:
        """Everything since the last call, up to *text*."""
        while text not in self.seen:
            ready, _, _ = select([self._ours], [], [], 60)
            assert ready, self.seen
            self.seen += os.read(self._ours, 65536).decode().replace("\r\n", "\n")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, line: str) -> None:
        os.write(self._ours, f"{line}\n".encode())

    def end(self) -> int:
        code = self._process.wait(60)
        os.close(self._ours)
        return code


@pytest.mark.parametrize("service", ["box"])
def test_somebody_at_a_terminal_is_led_through_it(site: Site) -> None:
    sets = [part for key, value in site.urls.items() for part in ("--set", f"{key}={value}")]
    terminal = Terminal(site, "login", "work", *sets)
    terminal.until("Service (box, dropbox): ")
    terminal.type("box")
    guide = terminal.until("Client ID: ")
    assert "https://app.box.com/developers/console" in guide
    assert "http://localhost:53697/" in guide
    terminal.type("sandbox-client")
    terminal.until("Client secret (not shown): ")
    terminal.type("sandbox-secret")
    (url,) = ADDRESS.findall(shown := terminal.until("Address, or the code in it: "))
    assert "sandbox-secret" not in shown
    terminal.type(site.person.is_sent_to(url))
    terminal.until("work: signed in as Sandy Box")
    terminal.until("mount it: mountfs mount work: DIRECTORY")
    assert terminal.end() == 0
    works(site, signed_in(site))


@pytest.fixture
def keyring() -> Iterator[dict[tuple[str, str], str]]:
    """The library with a keyring of the test's own; what is in it."""
    library = pytest.importorskip("keyring", reason="the keyring's library is not installed")
    backend = pytest.importorskip("keyring.backend")
    held: dict[tuple[str, str], str] = {}

    class InMemory(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del held[service, username]

    before = library.get_keyring()
    library.set_keyring(InMemory())
    yield held
    library.set_keyring(before)


def test_a_keyring_keeps_the_secrets_until_somebody_signs_out(
    site: Site, keyring: dict[tuple[str, str], str]
) -> None:
    site.login("--store", "keyring")
    assert keyring["mountfs", "work.refresh_token"]
    assert not any(secret in site.config.read_text() for secret in keyring.values())
    works(site, signed_in(site))
    assert site.run("remotes") == 0
    assert "refresh token, kept in keyring" in site.capsys.readouterr().out
    assert site.run("login", "work", "--no-browser", "--store", "keyring", stdin=site.copied) == 0
    assert site.run("logout", "work") == 0
    assert keyring == {}
