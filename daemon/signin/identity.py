"""Whether a remote of the configuration is still the account that it was."""

from __future__ import annotations

from dataclasses import fields

from daemon.config.settings import AccountRemote

_NO_MARK = frozenset(
    {"name", "kept", "app_key", "app_secret", "client_secret"}
    | {"authorize_url", "content_url", "notify_url", "upload_url", "token_url"}
    | {"commit_route", "mute"}
    | {"uploads_per_minute", "upload_rate", "calls_per_minute", "small_file_bytes"}
)
"""What may change without it becoming another account."""


def identity_mark(remote: AccountRemote) -> str:
    """What makes it the same account as last time, without having to ask."""
    names = [field.name for field in fields(remote) if field.name not in _NO_MARK]
    return "\n".join(f"{name}={getattr(remote, name) or ''}" for name in names)
