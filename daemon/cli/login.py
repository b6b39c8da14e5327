"""``mountfs login``: from an application at the service to a remote that can be mounted."""

from __future__ import annotations

import os
import threading
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from daemon.cli import keeping, trust
from daemon.cli.asking import Asking, at_terminal, line_of
from daemon.cli.completing import ACCOUNT
from daemon.cli.context import ANY_PATH, Context, kept_in, say, tell, written_file
from daemon.cli.guides import CODE_IN_ADDRESS, CODE_SHOWN, GUIDES, IN_BROWSER
from daemon.cli.keeping import Store
from daemon.config.document import check_writable, put_remote
from daemon.config.settings import (
    BUILT_IN,
    REMOTE_TYPES,
    AccountRemote,
    SandboxRemote,
    Settings,
    parse,
    read_tables,
    with_secrets,
)
from daemon.control.status import in_bytes, plural, stays
from daemon.failure import BadSettings
from daemon.places.statedir import StateDir
from daemon.signin import granting
from daemon.signin.answer import code_pasted
from daemon.signin.granting import Found, Granted
from daemon.signin.login import CREDENTIALS
from daemon.signin.proof import Proof
from daemon.signin.redirect import PORT, Redirect, address_of
from mountfs.clock import SystemClock

WAIT_S = 600.0
APPLICATION = {"dropbox": "app_key", "box": "client_id"}
SECRET = {"dropbox": "app_secret", "box": "client_secret"}
STORES = click.Choice([each.value for each in Store])


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says."""

    service: str | None
    application: str | None
    secret_file: Path | None
    token_file: Path | None
    client_credentials: str | None
    sets: tuple[str, ...]
    is_browser_wanted: bool
    port: int
    store: Store
    credentials: Path


@click.command()
@click.argument("name", type=ACCOUNT)
@click.option("--service", type=click.Choice(sorted(REMOTE_TYPES)), help="Whose account it is.")
@click.option("--app-key", "--client-id", "application", metavar="KEY", help="The app's key at the service.")
@click.option(
    "--secret-file", type=ANY_PATH, metavar="FILE", help="A file with the app's secret; -: standard input."
)
@click.option(
    "--token-file", type=ANY_PATH, metavar="FILE", help="A file with a refresh token; -: standard input."
)
@click.option(
    "--client-credentials",
    metavar="enterprise:ID|user:ID",
    help="Box: sign in as the app itself, without a person.",
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Another key of the remote; may be repeated."
)
@click.option(
    "--no-browser", is_flag=True, help="Print the address to open, and ask for the code that it leads to."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="Where the browser comes back to.",
)
@click.option(
    "--store", type=STORES, default=Store.CONFIG.value, show_default=True, help="Who keeps the secrets."
)
@click.option(
    "--credentials",
    type=ANY_PATH,
    default=keeping.CREDENTIAL_STORE,
    metavar="DIR",
    help="With --store systemd: where the secrets are put for LoadCredential=.",
)
@click.pass_obj
def login(
    context: Context,
    *,
    name: str,
    no_browser: bool,
    store: str,
    service: str | None,
    application: str | None,
    secret_file: Path | None,
    token_file: Path | None,
    client_credentials: str | None,
    sets: tuple[str, ...],
    port: int,
    credentials: Path,
) -> int:
    """Sign in to an account, which becomes the remote NAME.

    Says what to click at the service, opens the browser, tries the account out and writes [remotes.NAME]
    into the configuration. Run it again to sign in anew: the remote's other keys stay. No secret is an
    argument: others could see it.
    """
    wishes = Wishes(
        service,
        application,
        secret_file,
        token_file,
        client_credentials,
        sets,
        not no_browser,
        port,
        Store(store),
        credentials.absolute(),
    )
    _SigningIn(context, name.removesuffix(":"), wishes).run()
    return 0


class _SigningIn:
    """One run of the command: nothing is written before the account has answered."""

    def __init__(self, context: Context, name: str, wishes: Wishes) -> None:
        self._context = context
        self._name = name
        self._wishes = wishes
        self._ask = Asking(at_terminal())
        self._clock = SystemClock()
        self._settings: Settings = context.settings(may_be_new=True)
        self._file = written_file(context, self._settings)
        before = self._settings.remotes.get(name)
        if name in BUILT_IN or isinstance(before, SandboxRemote):
            raise BadSettings(f"the name {name} is built in; choose another one")
        self._before: AccountRemote | None = before

    def run(self) -> None:
        trust.heed(os.environ)
        check_writable(self._file)
        keeping.check_store(self._wishes.store, self._wishes.credentials)
        service = self._service()
        if self._wishes.client_credentials is not None and service != "box":
            raise BadSettings(f"--client-credentials: only Box has them; leave it out for {service}")
        draft, keys = self._application(service)
        remote, granted = self._granted(service, draft, keys)
        found = granting.try_out(remote, self._clock, self._state_dir, granted.access_token)
        keys |= granted.keys
        written = keeping.keep(self._wishes.store, self._wishes.credentials, self._name, service, keys)
        put_remote(self._file, self._name, {"type": service, **written}, CREDENTIALS - written.keys())
        keeping.forget_replaced(self._before, written, self._wishes.credentials)
        self._report(found)
        if self._wishes.store is Store.SYSTEMD:
            for line in keeping.lines_for_systemd(written, self._wishes.credentials).splitlines():
                tell(line)

    @property
    def _state_dir(self) -> Path:
        return kept_in(self._settings)

    def _section(self) -> Mapping[str, object]:
        """What stands in the remote's section already."""
        if self._before is None or self._settings.file is None:
            return {}
        remotes = read_tables(self._settings.file)["remotes"]
        section = remotes[self._name] if isinstance(remotes, dict) else {}
        return section if isinstance(section, dict) else {}

    def _service(self) -> str:
        known = str(self._section().get("type", "")) or None
        wanted = self._wishes.service
        if known is not None and wanted not in (None, known):
            raise BadSettings(f"{self._file}: [remotes.{self._name}] is of type {known}; choose another name")
        return known or wanted or self._ask.choice("service", sorted(REMOTE_TYPES), "--service")

    def _application(self, service: str) -> tuple[AccountRemote, dict[str, str]]:
        """The remote without credentials of its own, and the keys that it is to have besides."""
        keys = dict(_pair(each, service) for each in self._wishes.sets)
        label = APPLICATION[service]
        known = getattr(self._before, label, None)
        if self._wishes.application is None and known is None:
            self._guide(service)
        key = self._wishes.application or known or self._ask.text(_spoken(label), f"--{_option(label)}")
        keys[label] = key
        if (secret := self._secret(service)) is not None:
            keys[SECRET[service]] = secret
        return self._parsed(service, keys), keys

    def _guide(self, service: str) -> None:
        if self._ask.is_at_terminal:
            click.echo(GUIDES[service].format(redirect=address_of(self._wishes.port)), err=True)

    def _secret(self, service: str) -> str | None:
        """Dropbox needs none with a proof key; a token that was got with one needs it again."""
        label = SECRET[service]
        if self._wishes.secret_file is not None:
            return line_of(self._wishes.secret_file, _spoken(label))
        if service == "dropbox":
            return None
        if self._before is not None and self._wishes.application is None:
            environ = keeping.environ_with(self._context.environ, self._wishes.credentials)
            known = getattr(with_secrets(self._settings, self._before, environ), label, None)
            if known is not None:
                return str(known)
        return self._ask.secret(_spoken(label), "--secret-file FILE")

    def _parsed(self, service: str, keys: Mapping[str, object]) -> AccountRemote:
        """The remote as *keys* make it, over those of its section that are no credentials."""
        stay = {key: value for key, value in self._section().items() if key not in CREDENTIALS}
        section = {**stay, "type": service, **keys}
        found = parse(self._file, {"remotes": {self._name: section}}).remotes[self._name]
        assert not isinstance(found, SandboxRemote)
        return found

    def _granted(
        self, service: str, draft: AccountRemote, keys: Mapping[str, str]
    ) -> tuple[AccountRemote, Granted]:
        """The credentials, and the remote as they make it."""
        given: dict[str, str] = {}
        if self._wishes.token_file is not None:
            given["refresh_token"] = line_of(self._wishes.token_file, "refresh token")
        if self._wishes.client_credentials is not None:
            kind, _, number = self._wishes.client_credentials.partition(":")
            given |= {"box_subject_type": kind, "box_subject_id": number}
        if not given:
            return draft, self._by_browser(draft)
        remote = self._parsed(service, {**keys, **given})
        return remote, granting.from_token(remote, self._clock)

    def _by_browser(self, remote: AccountRemote) -> Granted:
        proof = Proof()
        if self._wishes.is_browser_wanted and _has_browser(self._context.environ):
            with Redirect(self._wishes.port, proof.state) as redirect:
                url = granting.authorize_url(remote, proof, redirect.address)
                click.echo(IN_BROWSER.format(url=url, redirect=redirect.address), err=True)
                # Some browsers are waited for until they are closed.
                threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()
                code = redirect.code(WAIT_S)
            return granting.from_code(remote, self._clock, proof, code, redirect.address)
        back = None if granting.shows_code(remote) else address_of(self._wishes.port)
        url = granting.authorize_url(remote, proof, back)
        text = CODE_SHOWN if back is None else CODE_IN_ADDRESS
        click.echo(text.format(url=url, redirect=back), err=True)
        what = "Code" if back is None else "Address, or the code in it"
        code = code_pasted(self._ask.code(what), proof.state)
        return granting.from_code(remote, self._clock, proof, code, back)

    def _report(self, found: Found) -> None:
        space, name = found.space, self._name
        total = "no limit" if space.total_bytes is None else in_bytes(space.total_bytes)
        used = f"{in_bytes(space.used_bytes)} of {total} used"
        tell(f"{name}: signed in as {found.account.display_name}; {used}")
        tell(f"written to {self._file}; mount it: mountfs mount {name}: DIRECTORY")
        if self._settings.file not in (None, self._file):
            say(f"{self._file} is read from now on; {self._settings.file}, which you may not write, is not")
        last = StateDir(self._state_dir).last_key(name)
        if last is None or last == found.account.key:
            return
        held = StateDir(self._state_dir).pending(last)
        if held.count:
            say(
                f"{name} was another account before, for which {plural(held.count, 'change')} "
                f"({in_bytes(held.size_bytes)}) {stays(held.count)} pending until a mount of that one"
            )


def _pair(given: str, service: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    keys = REMOTE_TYPES[service][1]
    if not equals:
        raise BadSettings(f"--set {key}: needs a value; write --set {key}=VALUE")
    if key in keys and (keys[key].is_secret or key in CREDENTIALS):
        raise BadSettings(f"--set {key}: is given by an option of its own; see mountfs login --help")
    return key, value


def _has_browser(environ: Mapping[str, str]) -> bool:
    """One that has a window, or that the user has named: those in a terminal are of no use beside it."""
    if not any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _spoken(label: str) -> str:
    return label.replace("_", " ").capitalize().replace(" id", " ID")


def _option(label: str) -> str:
    return label.replace("_", "-")
