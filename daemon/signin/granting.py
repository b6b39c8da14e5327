"""Credentials of an account: how they are granted, tried out and ended, at each service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.boxremote import BoxRemote
from daemon.config.settings import AccountRemote
from daemon.failure import Failure
from daemon.signin.credentials import StaticToken
from daemon.signin.proof import Proof
from daemon.signin.remotes import connect, token_store
from mountfs.backends.box import oauth as box
from mountfs.backends.dropbox import oauth as dropbox
from mountfs.backends.http import HttpClient
from mountfs.model.entry import Account, Space
from mountfs.ports import Clock

REVOKED = "its access is revoked at the service"


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token for now; *keys* of the remote's section are what a mount needs."""

    access_token: str = field(repr=False)
    keys: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Whose account it is, and how full."""

    account: Account
    space: Space


def shows_code(remote: AccountRemote) -> bool:
    """Whether the service shows a code to copy where it has no address to send the browser to."""
    return not isinstance(remote, BoxRemote)


def authorize_url(remote: AccountRemote, proof: Proof, redirect_uri: str | None) -> str:
    """What a browser is to open; *redirect_uri* is None only where the service shows codes."""
    if isinstance(remote, BoxRemote):
        assert redirect_uri is not None
        return box.authorize_url(remote.authorize_url, remote.client_id or "", proof.state, redirect_uri)
    return dropbox.authorize_url(
        remote.authorize_url, remote.app_key or "", proof.challenge, proof.state, redirect_uri
    )


def from_code(
    remote: AccountRemote, clock: Clock, proof: Proof, code: str, redirect_uri: str | None
) -> Granted:
    """What the code of the authorization page is exchanged for. Failure, MountfsError."""
    with _http(clock) as http:
        if isinstance(remote, BoxRemote):
            client_id, client_secret = remote.client_id or "", remote.client_secret or ""
            grant = box.redeem(http, remote.token_url, client_id, client_secret, code)
            return Granted(grant.access_token, {"refresh_token": grant.refresh_token or ""})
        given = dropbox.redeem(http, remote.api_url, remote.app_key or "", code, proof.verifier, redirect_uri)
    missing = sorted(set(dropbox.SCOPES) - given.scopes) if given.scopes else []
    if missing:
        raise Failure(
            f"the app lacks {', '.join(missing)}: tick this under Permissions in its console, press Submit, "
            "and sign in again"
        )
    return Granted(given.access_token, {"refresh_token": given.refresh_token})


def from_token(remote: AccountRemote, clock: Clock) -> Granted:
    """For a remote that has credentials already: an access token by them. MountfsError.

    One refresh token of Box's is good once: the one it is replaced by is among the keys.
    """
    if remote.access_token is not None:
        return Granted(remote.access_token, {"access_token": remote.access_token})
    with _http(clock) as http:
        if not isinstance(remote, BoxRemote):
            token, key, secret = remote.refresh_token or "", remote.app_key or "", remote.app_secret
            fresh, _ = dropbox.refresh_access_token(http, remote.api_url, token, key, secret)
            return Granted(fresh, {"refresh_token": token})
        client = (http, remote.token_url, remote.client_id or "", remote.client_secret or "")
        if remote.refresh_token is not None:
            grant = box.refresh(*client, remote.refresh_token)
            return Granted(grant.access_token, {"refresh_token": grant.refresh_token or ""})
        subject = {
            "box_subject_type": remote.box_subject_type or "",
            "box_subject_id": remote.box_subject_id or "",
        }
        grant = box.client_credentials(*client, *subject.values())
    return Granted(grant.access_token, subject)


def try_out(remote: AccountRemote, clock: Clock, state_dir: Path, access_token: str) -> Found:
    """Asks whose account it is, how full, and for what a mount asks first. MountfsError."""
    backend = connect(remote, clock, state_dir, StaticToken(access_token))
    try:
        found = Found(backend.account(), backend.space())
        backend.latest_cursor()  # the cheapest question that a wrong path_root makes fail
        return found
    finally:
        backend.close()


def revoke(remote: AccountRemote, clock: Clock, state_dir: Path) -> str:
    """Ends what *remote* was granted, at the service and in *state_dir*; what that came to, in words.

    MountfsError; NotSignedIn when the service knows it no more.
    """
    if not isinstance(remote, BoxRemote):
        granted = from_token(remote, clock)
        with _http(clock) as http:
            dropbox.revoke(http, remote.api_url, granted.access_token)
        return REVOKED
    client_id, client_secret = remote.client_id, remote.client_secret
    if client_id is None or client_secret is None:
        return "an access token of Box's alone cannot be revoked from here: it ends within an hour"
    if remote.box_subject_type is not None:
        return "the application acts for itself, until its access is ended in Box's admin console"
    with _http(clock) as http:

        def end(token: str) -> None:
            box.revoke(http, remote.token_url, client_id, client_secret, token)

        if remote.access_token is not None:
            end(remote.access_token)
        else:
            store = token_store(remote, clock, state_dir)
            try:
                store.retire(end)
            finally:
                store.close()
    return REVOKED


@contextmanager
def _http(clock: Clock) -> Iterator[HttpClient]:
    client = HttpClient(clock)
    try:
        yield client
    finally:
        client.close()
