"""The options of a mount, from ``-o key=value,...`` or from the configuration's tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from daemon.config.keys import (
    Key,
    Listen,
    boolean,
    choice,
    directory,
    group_id,
    loopback,
    names,
    nearest,
    octal_mode,
    rates,
    seconds,
    shortened,
    size,
    user_id,
)
from daemon.failure import BadSettings
from mountfs.attributes import HardLinks, Links, Promise
from mountfs.model.rates import UNLIMITED, Rates


class Kept(StrEnum):
    """What becomes of modes, owners and extended attributes."""

    LOCAL = "local"
    """This machine keeps them."""
    NONE = "none"
    """All files have the same."""


class LogLevel(StrEnum):
    """What is logged, and what is worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LOOKERS = (
    *("tracker-miner-fs-3", "tracker-extract-3", "localsearch-3", "localsearch-extractor-3"),
    *(
        "baloo_file",
        "baloo_file_extractor",
        "recollindex",
        "updatedb",
        "updatedb.mlocate",
        "updatedb.plocate",
    ),
    *(
        "tumblerd",
        "ffmpegthumbnailer",
        "gdk-pixbuf-thumbnailer",
        "totem-video-thumbnailer",
        "evince-thumbnailer",
    ),
)
"""Programs that look into each file or folder once, for an index or a picture: nobody waits for them."""


@dataclass(frozen=True, slots=True)
class MountOptions:
    """How one mount behaves; ``drain_timeout_s`` bounds a clean stop, and
    ``drain_idle_timeout_s`` one that does not get on because the service is away.
    ``cache_min_free_bytes``: so much of the disk the read cache leaves free. ``no_fetch_ahead``: programs for
    which nothing is fetched ahead."""

    state_dir: Path
    uid: int
    gid: int
    settle_s: float = 0.25
    drain_timeout_s: float = 300.0
    drain_idle_timeout_s: float = 15.0
    attributes: Kept = Kept.LOCAL
    links: Links = Links.LOCAL
    contains_links: bool = True
    hard_links: HardLinks = HardLinks.REFUSE
    umask: int = 0o022
    file_mode: int | None = None
    folder_mode: int | None = None
    allow_other: bool = False
    is_read_only: bool = False
    close: Promise = Promise.LOCAL
    fsync: Promise = Promise.LOCAL
    bwlimit: Rates = UNLIMITED
    no_fetch_ahead: tuple[str, ...] = LOOKERS
    cache_max_bytes: int = 2 * 1024**3
    cache_min_free_bytes: int = 512 * 1024**2
    http: Listen | None = None
    log_level: LogLevel | None = None


OPTION_KEYS: Mapping[str, Key] = {
    "state_dir": Key("state_dir", directory),
    "settle_s": Key("settle_s", seconds),
    "drain_timeout": Key("drain_timeout_s", seconds),
    "drain_idle_timeout": Key("drain_idle_timeout_s", seconds),
    "uid": Key("uid", user_id),
    "gid": Key("gid", group_id),
    "attributes": Key("attributes", choice(*Kept)),
    "links": Key("links", choice(*Links)),
    "contain_links": Key("contains_links", boolean),
    "hardlinks": Key("hard_links", choice(*HardLinks)),
    "umask": Key("umask", octal_mode),
    "file_mode": Key("file_mode", octal_mode),
    "dir_mode": Key("folder_mode", octal_mode),
    "allow_other": Key("allow_other", boolean),
    "ro": Key("is_read_only", boolean),
    "close": Key("close", choice(*Promise)),
    "fsync": Key("fsync", choice(Promise.LOCAL, Promise.REMOTE)),
    "bwlimit": Key("bwlimit", rates),
    "no_fetch_ahead": Key("no_fetch_ahead", names),
    "cache_max_bytes": Key("cache_max_bytes", size),
    "cache_min_free_bytes": Key("cache_min_free_bytes", size),
    "http": Key("http", loopback),
    "log_level": Key("log_level", choice(*LogLevel)),
}


_ALREADY_SO = ("defaults", "suid", "nosuid", "dev", "nodev", "exec", "async", "atime", "noatime", "relatime")
_FOR_MOUNT_8 = ("auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "owner", "group")
IGNORED_OPTIONS = frozenset(_ALREADY_SO + _FOR_MOUNT_8)
"""mount(8) and fstab words that are already so, or that only mount(8) acts on."""

_IGNORED_PREFIXES = ("x-", "comment=")


def parse_options(given: Iterable[str]) -> dict[str, object]:
    """Fields of MountOptions from ``-o`` arguments, each ``key[=value],...``; ``\\,`` is a comma."""
    values: dict[str, object] = {}
    for item in (part.replace("\\,", ",") for text_ in given for part in re.split(r"(?<!\\),", text_)):
        name, equals, value = item.partition("=")
        if not item or name in IGNORED_OPTIONS or item.startswith(_IGNORED_PREFIXES):
            continue
        if name == "rw" and not equals:
            values["is_read_only"] = False
            continue
        if name not in OPTION_KEYS:
            raise BadSettings(f"-o {shortened(item)}: unknown option{nearest(name, OPTION_KEYS)}")
        key = OPTION_KEYS[name]
        if not equals and key.parse is not boolean:
            raise BadSettings(f"-o {name}: needs a value; write -o {name}=VALUE")
        try:
            values[key.field] = key.parse(value if equals else True)
        except ValueError as error:
            raise BadSettings(f"-o {shortened(item)}: {error}") from None
    return values


def layered(base: MountOptions, *layers: Mapping[str, object]) -> MountOptions:
    """*base* with each layer's fields over it, the last one on top."""
    for layer in layers:
        base = replace(base, **cast("dict[str, Any]", dict(layer)))
    return base
