"""From what the configuration says of a remote to a backend that speaks with it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from daemon.config.boxremote import MOST_CHARACTERS, BoxRemote
from daemon.config.settings import AccountRemote, DropboxRemote
from daemon.signin.credentials import Grant, RefreshedToken, StaticToken, Tokens
from daemon.signin.tokenstore import Exchanged, TokenStore
from mountfs.backends.box import oauth
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.oauth import refresh_access_token
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpClient, HttpSettings
from mountfs.ports import Backend, CallBudget, Clock

S = TypeVar("S", BoxSettings, DropboxSettings)

TOKENS = "tokens"
"""The place of rotating refresh tokens in the state directory."""


def connect(
    remote: AccountRemote,
    clock: Clock,
    state_dir: Path,
    tokens: Tokens | None = None,
    http: HttpSettings | None = None,
    budget: CallBudget | None = None,
) -> Backend:
    """The account of *remote*; nothing is sent yet. Rotating tokens are kept in *state_dir*. *tokens*: not
    those that the remote says, but these. *budget*: of the account's calls, where the service limits them."""
    tokens = tokens or tokens_of(remote, clock, state_dir)
    if isinstance(remote, BoxRemote):
        return BoxBackend(box_settings(remote, socket.gethostname()), tokens, clock, http, budget=budget)
    return DropboxBackend(settings_of(remote, DropboxSettings), tokens, clock, http)


def counted(on_bytes: Callable[[int, int], None]) -> HttpSettings:
    """As usual, and *on_bytes* is told of each piece of a body that leaves, and of each that came."""
    return HttpSettings(on_bytes=on_bytes)


def tokens_of(remote: AccountRemote, clock: Clock, state_dir: Path) -> Tokens:
    """Where the tokens for *remote* come from; nothing is sent yet."""
    if isinstance(remote, BoxRemote):
        return _box_tokens(remote, clock, state_dir)
    return _dropbox_tokens(remote, clock)


def settings_of(remote: AccountRemote, kind: type[S]) -> S:
    """What *remote* says of that which its backend is to know. A field has one name on both sides."""
    return kind(**{field.name: getattr(remote, field.name) for field in fields(kind)})


def box_settings(remote: BoxRemote, host: str) -> BoxSettings:
    """What *remote* says of a Box; ``{host}`` in its description and tags is the name of this machine."""
    found = settings_of(remote, BoxSettings)
    found = replace(found, tags=tuple(dict.fromkeys(tag.replace("{host}", host) for tag in found.tags)))
    if found.description is None:
        return found
    return replace(found, description=found.description.replace("{host}", host)[:MOST_CHARACTERS])


def _dropbox_tokens(remote: DropboxRemote, clock: Clock) -> Tokens:
    if remote.access_token is not None:
        return StaticToken(remote.access_token)
    refresh_token, app_key = remote.refresh_token, remote.app_key
    assert refresh_token is not None
    assert app_key is not None
    http = HttpClient(clock)

    def refresh() -> Grant:
        return Grant(*refresh_access_token(http, remote.api_url, refresh_token, app_key, remote.app_secret))

    return RefreshedToken(refresh, clock, http.close)


def _box_tokens(remote: BoxRemote, clock: Clock, state_dir: Path) -> Tokens:
    if remote.access_token is not None:
        return StaticToken(remote.access_token)
    client_id, client_secret = remote.client_id, remote.client_secret
    assert client_id is not None
    assert client_secret is not None
    if remote.refresh_token is not None:
        store = token_store(remote, clock, state_dir)
        return RefreshedToken(store.refresh, clock, store.close)
    http = HttpClient(clock)
    subject_type, subject_id = remote.box_subject_type, remote.box_subject_id
    assert subject_type is not None
    assert subject_id is not None

    def ask() -> Grant:
        grant = oauth.client_credentials(
            http, remote.token_url, client_id, client_secret, subject_type, subject_id
        )
        return Grant(grant.access_token, grant.expires_in_s)

    return RefreshedToken(ask, clock, http.close)


def token_store(remote: BoxRemote, clock: Clock, state_dir: Path) -> TokenStore:
    """Where the refresh tokens are kept that replace the one which *remote* has."""
    client_id, client_secret, first = remote.client_id, remote.client_secret, remote.refresh_token
    assert client_id is not None
    assert client_secret is not None
    assert first is not None
    http = HttpClient(clock)

    def exchange(refresh_token: str) -> Exchanged:
        grant = oauth.refresh(http, remote.token_url, client_id, client_secret, refresh_token)
        return Exchanged(grant.access_token, grant.expires_in_s, grant.refresh_token or "")

    return TokenStore(state_dir / TOKENS, client_id, first, exchange, clock, http.close)
