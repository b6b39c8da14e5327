"""From what the configuration says of a remote to a backend that speaks with it."""

from __future__ import annotations

from daemon.credentials import Grant, RefreshedToken, StaticToken, Tokens
from daemon.settings import DropboxRemote
from mountfs.backends.dropbox.api import refresh_access_token
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpClient
from mountfs.ports import Backend, Clock


def connect(remote: DropboxRemote, clock: Clock) -> Backend:
    """The account of *remote*; nothing is sent yet."""
    return DropboxBackend(_dropbox(remote), _tokens(remote, clock), clock)


def identity_mark(remote: DropboxRemote) -> str:
    """What makes it the same account as last time, without having to ask."""
    parts = (
        remote.api_url,
        remote.path_root,
        remote.select_user,
        remote.select_admin,
        remote.refresh_token,
        remote.access_token,
    )
    return "\n".join(part or "" for part in parts)


def _dropbox(remote: DropboxRemote) -> DropboxSettings:
    return DropboxSettings(
        api_url=remote.api_url,
        content_url=remote.content_url,
        notify_url=remote.notify_url,
        path_root=remote.path_root,
        select_user=remote.select_user,
        select_admin=remote.select_admin,
        commit_route=remote.commit_route.value,
        mute=remote.mute,
        autorename=remote.autorename,
        strict_conflict=remote.strict_conflict,
    )


def _tokens(remote: DropboxRemote, clock: Clock) -> Tokens:
    if remote.access_token is not None:
        return StaticToken(remote.access_token, remote.name)
    refresh_token, app_key = remote.refresh_token, remote.app_key
    assert refresh_token is not None
    assert app_key is not None
    http = HttpClient(clock)

    def refresh() -> Grant:
        return Grant(*refresh_access_token(http, remote.api_url, refresh_token, app_key, remote.app_secret))

    return RefreshedToken(refresh, clock)
