"""A Box account as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, cast

from daemon.config.keys import Key, Parser, choice, text, token, url
from daemon.config.secrets import KeptSecret, secret
from daemon.failure import BadSettings

LARGEST_SMALL_FILE_BYTES = 50_000_000
"""The most that goes in one request (Box's upload guide)."""


class UploadRate(StrEnum):
    """Whether more uploads are tried than Box documents, until it objects."""

    ADAPTIVE = "adaptive"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class BoxRemote:
    """A Box account: an access token; a refresh token with its client; or a client that acts for itself.

    ``as_user`` is the id of another user to act as, ``root_folder_id`` the folder that is mounted. ``kept``
    are the secrets that are not here, but elsewhere. The defaults are the public service.
    """

    name: str
    access_token: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    box_subject_type: str | None = None
    box_subject_id: str | None = None
    as_user: str | None = None
    root_folder_id: str = "0"
    api_url: str = "https://api.box.com/2.0"
    upload_url: str = "https://upload.box.com/api/2.0"
    token_url: str = "https://api.box.com/oauth2/token"
    authorize_url: str = "https://account.box.com/api/oauth2/authorize"
    uploads_per_minute: int = 240
    upload_rate: UploadRate = UploadRate.ADAPTIVE
    calls_per_minute: int = 1000
    small_file_bytes: int = 20_000_000
    description: str | None = None
    tags: tuple[str, ...] = ()
    kept: tuple[KeptSecret, ...] = ()

    @property
    def is_signed_in(self) -> bool:
        """Whether it has credentials."""
        return bool(given_keys(self) & {"access_token", "refresh_token", "box_subject_type"})


def given_keys(remote: object) -> set[str]:
    """The fields of a remote that have a value, or one that is kept elsewhere."""
    kept = {each.key for each in getattr(remote, "kept", ())}
    return kept | {each.name for each in fields(cast(Any, remote)) if getattr(remote, each.name) is not None}


def count_up_to(most: int) -> Parser:
    """A parser of whole numbers from 1 on; they may come as text."""

    def parse(value: object) -> int:
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(f"must be a whole number between 1 and {most}")
        return value

    return parse


MOST_CHARACTERS = 256
"""Of a description."""


def description(value: object) -> str:
    """What Box takes for one."""
    given = text(value)
    if len(given) > MOST_CHARACTERS:
        raise ValueError(f"must be at most {MOST_CHARACTERS} characters")
    return given


MOST_TAGS = 100
"""Of a file (PUT /files/:id)."""


def tags(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError('must be a list like ["scanned", "{host}"]')
    if len(value) > MOST_TAGS:
        raise ValueError(f"must be at most {MOST_TAGS} tags")
    return tuple(text(each) for each in value)


def folder_id(value: object) -> str:
    """The number in a folder's address, as text or number."""
    given = str(value) if isinstance(value, int) and not isinstance(value, bool) else token(value)
    if not given.isdecimal():
        raise ValueError("must be the number at the end of the folder's address on the web")
    return given


def subject_type(value: object) -> str:
    """Who a client acts for."""
    if value not in ("enterprise", "user"):
        raise ValueError("must be enterprise or user")
    return str(value)


BOX_KEYS: Mapping[str, Key] = {
    "access_token": Key("access_token", secret, is_secret=True),
    "client_id": Key("client_id", token),
    "client_secret": Key("client_secret", secret, is_secret=True),
    "refresh_token": Key("refresh_token", secret, is_secret=True),
    "box_subject_type": Key("box_subject_type", subject_type),
    "box_subject_id": Key("box_subject_id", token),
    "as_user": Key("as_user", token),
    "root_folder_id": Key("root_folder_id", folder_id),
    "api_url": Key("api_url", url),
    "upload_url": Key("upload_url", url),
    "token_url": Key("token_url", url),
    "authorize_url": Key("authorize_url", url),
    "uploads_per_minute": Key("uploads_per_minute", count_up_to(1_000_000)),
    "upload_rate": Key("upload_rate", choice(*UploadRate)),
    "calls_per_minute": Key("calls_per_minute", count_up_to(1_000_000)),
    "small_file_bytes": Key("small_file_bytes", count_up_to(LARGEST_SMALL_FILE_BYTES)),
    "description": Key("description", description),
    "tags": Key("tags", tags),
}


NO_CREDENTIALS = (
    "no credentials; run: mountfs login {name}, or give access_token, or client_id, client_secret and "
    "refresh_token, or client_id, client_secret, box_subject_type and box_subject_id"
)


def check_box(where: str, remote: BoxRemote) -> None:
    """BadSettings unless *remote* has credentials of one kind at most, and all of it."""
    has = given_keys(remote)
    kinds = {
        "access_token": {"access_token"},
        "refresh_token": {"refresh_token"},
        "box_subject_type": {"box_subject_type", "box_subject_id"},
    }
    given = [name for name, keys in kinds.items() if keys & has]
    if len(given) > 1:
        raise BadSettings(f"{where}: {given[0]} and {given[1]} exclude each other; remove one")
    needed = {
        "access_token": (),
        "refresh_token": ("client_id", "client_secret"),
        "box_subject_type": ("client_id", "client_secret", "box_subject_type", "box_subject_id"),
    }
    for kind in given:
        for key in needed[kind]:
            if key not in has:
                raise BadSettings(f"{where}: {kind} needs {key}; add it")
