"""What each key of the configuration is for: the source of its table, its example, and ``config show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

import tomlkit

from daemon.config.boxremote import BOX_KEYS, BoxRemote
from daemon.config.commitoptions import in_tables
from daemon.config.fleet import FLEET_KEYS, Fleet
from daemon.config.keys import Key
from daemon.config.options import OPTION_KEYS, MountOptions
from daemon.config.settings import DROPBOX_KEYS, INSTANCE_KEYS, DropboxRemote
from mountfs.model.rates import Rates


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: a value as an example has it (TOML), and a sentence."""

    key: str
    example: str
    what: str


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of section: where it stands, what may be in it, and the record that has its defaults."""

    title: str
    header: str
    keys: Mapping[str, Key]
    record: type[Any] | None
    entries: tuple[Entry, ...]

    def default_of(self, key: str) -> str:
        """As TOML has it; empty where there is none, or it is worked out."""
        if self.record is None:
            return ""
        (found,) = (each for each in fields(self.record) if each.name == self.keys[key].field)
        if found.default is MISSING or found.default is None:
            return WORKED_OUT.get(key, "")
        return toml(found.default, key)


WORKED_OUT = {
    "state_dir": "`~/.local/state/mountfs`; root: `/var/lib/mountfs`",
    "uid": "yours",
    "gid": "yours",
    "name": "the host name",
}


def toml(value: object, key: str = "") -> str:
    """*value* as the file has it; modes are octal there, and words are those of the keys."""
    if key in ("umask", "file_mode", "dir_mode") and isinstance(value, int):
        return f'"{value:03o}"'
    if isinstance(value, Enum | Path | Rates):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value) if all(isinstance(each, str) for each in value) else in_tables(value)
    if isinstance(value, list):
        return f"[{', '.join(toml(each) for each in value)}]"
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(value)
        return str(table.as_string())
    return str(tomlkit.item(value).as_string())


_OTHER = "another address: of a stand-in or a gateway"

DROPBOX = Section(
    "A Dropbox account",
    "[remotes.NAME]",
    DROPBOX_KEYS,
    DropboxRemote,
    (
        Entry("refresh_token", '"..."', "What `mountfs login` got. Secret."),
        Entry("app_key", '"..."', "The app that the refresh token belongs to."),
        Entry("app_secret", '"..."', "The app's secret; not for tokens got with a proof key (PKCE). Secret."),
        Entry("access_token", '"..."', "In place of `refresh_token`: good for four hours. Secret."),
        Entry("path_root", '"root"', "`home`; `root`: the team's space; or the id of a namespace."),
        Entry("mute", "true", "Dropbox's own programs notify nobody of what is written here."),
        Entry(
            "commit_mode",
            '"overwrite"',
            "`overwrite`: the last to write wins, which gives up S-CONFLICT.",
        ),
        Entry("autorename", "true", "In a conflict the service names your copy; gives up S-ONCE for it."),
        Entry(
            "strict_conflict",
            "true",
            "The same bytes by somebody else, or a removal, are a conflict as well.",
        ),
        Entry("client_modified", "false", "Files get the service's time, not that of this machine."),
        Entry(
            "property_groups",
            '[{ template_id = "ptid:1a5n2i6d3OYEAAAAAAAAAYa", fields = { customer = "ACME" } }]',
            "Custom properties of each version.",
        ),
        Entry(
            "transport_calls_per_month",
            "25000",
            "What a business plan allows; uploads pause before they go beyond it.",
        ),
        Entry(
            "commit_route",
            '"finish_batch_v2"',
            "`finish_batch`: a job that is asked after; `finish_batch_v2`: one call.",
        ),
        Entry("select_user", '"dbmid:..."', "With a team's token: the member to act as."),
        Entry("select_admin", '"dbmid:..."', "With a team's token: the admin to act as on team spaces."),
        Entry("api_url", '"https://api.dropboxapi.com"', f"The API; {_OTHER}."),
        Entry("content_url", '"https://content.dropboxapi.com"', f"Where bytes go; {_OTHER}."),
        Entry("notify_url", '"https://notify.dropboxapi.com"', f"Where changes are waited for; {_OTHER}."),
        Entry("authorize_url", '"https://www.dropbox.com/oauth2/authorize"', "Where `login` sends people."),
    ),
)
BOX = Section(
    "A Box account",
    "[remotes.NAME]",
    BOX_KEYS,
    BoxRemote,
    (
        Entry("client_id", '"..."', "The app's Client ID."),
        Entry("client_secret", '"..."', "The app's secret. Secret."),
        Entry("refresh_token", '"..."', "The first one; Box replaces it at each use. Secret."),
        Entry("box_subject_type", '"enterprise"', "In place of a token: `enterprise` or `user` to act for."),
        Entry("box_subject_id", '"12345"', "The number of that enterprise or user."),
        Entry("access_token", '"..."', "In place of all these: good for an hour. Secret."),
        Entry("as_user", '"4711"', "The number of another user to act as."),
        Entry("root_folder_id", '"123456"', "The folder to mount: the number in its address on the web."),
        Entry("uploads_per_minute", "240", "How many uploads Box allows (as documented)."),
        Entry(
            "upload_rate",
            '"fixed"',
            "`adaptive`: tries more uploads and calls until Box objects; `fixed`: never.",
        ),
        Entry("calls_per_minute", "1000", "How many calls Box allows (as documented)."),
        Entry("small_file_bytes", "20000000", "Up to here a file travels in one request; at most 50 MB."),
        Entry(
            "description", '"Scanned at {host}"', "The description of each new file; `{host}`: this machine."
        ),
        Entry(
            "tags",
            '["scanned", "{host}"]',
            "Tags of each new file, as `description`; each file costs a call more.",
        ),
        Entry("api_url", '"https://api.box.com/2.0"', f"The API; {_OTHER}."),
        Entry("upload_url", '"https://upload.box.com/api/2.0"', f"Where bytes go; {_OTHER}."),
        Entry("token_url", '"https://api.box.com/oauth2/token"', f"Where tokens come from; {_OTHER}."),
        Entry(
            "authorize_url",
            '"https://account.box.com/api/oauth2/authorize"',
            "Where `login` sends people.",
        ),
    ),
)
MOUNT = Section(
    "Defaults of the mount options",
    "[mount]",
    OPTION_KEYS,
    MountOptions,
    (
        Entry("state_dir", '"/srv/mountfs"', "Journals, pending bytes and the read cache."),
        Entry("settle_s", "1.5", "Seconds a name must be quiet before it is committed."),
        Entry("drain_timeout", '"10m"', "Seconds a stop may take to send what is pending; the rest stays."),
        Entry("drain_idle_timeout", "30", "The same, while the service is away or takes nothing."),
        Entry(
            "close",
            '"fsync"',
            "`close()` waits for `local`: the journal; `fsync`: the disk; `remote`: the commit.",
        ),
        Entry("bwlimit", '"2M:10M"', "Bytes a second, `UP` or `UP:DOWN`: `512K`, `2M:10M`, `off:1M`."),
        Entry("http", '"127.0.0.1:8123"', "A page to look at; `mountfs status` tells its whole address."),
        Entry("log_level", '"info"', "What is of this level or worse is logged; `--log-level` goes before."),
        Entry("fsync", '"remote"', "`fsync()` waits for `local`: the disk; `remote`: the commit."),
        Entry("attributes", '"none"', "Modes, owners and xattrs: kept on this machine (`local`), or `none`."),
        Entry("links", '"rclone"', "Symbolic links: kept here (`local`), published (`rclone`), or `refuse`."),
        Entry("contain_links", "false", "Links that others published are not followed out of the mount."),
        Entry("hardlinks", '"copy"', "Hard links: fail (`refuse`), or make a second file (`copy`)."),
        Entry(
            "cache_max_bytes", '"20G"', "Most bytes of the service's files that a mount keeps for reading."
        ),
        Entry("cache_min_free_bytes", '"5G"', "Bytes of the disk that this cache leaves free."),
        Entry(
            "no_fetch_ahead", '["tumblerd"]', "Programs for which nothing is fetched ahead, by their names."
        ),
        Entry("uid", "1000", "Owner of files that nobody here has made: a number or a name."),
        Entry("gid", "1000", "Their group."),
        Entry("umask", '"077"', "Permissions that files without a mode of their own lack, octal in quotes."),
        Entry("file_mode", '"640"', "Permissions of such files, in place of `umask`."),
        Entry("dir_mode", '"750"', "Permissions of such folders."),
        Entry("allow_other", "true", "Other users may look in (`user_allow_other` in `/etc/fuse.conf`)."),
        Entry("ro", "true", "Nothing can be written."),
    ),
)
INSTANCE = Section(
    "A mount, for `mountfs mount --instance NAME` and `systemctl enable --now mountfs@NAME`",
    "[mounts.NAME]",
    INSTANCE_KEYS,
    None,
    (
        Entry("remote", '"work:/Projects"', "What to mount: a remote, and a folder in it. Needed."),
        Entry("mountpoint", '"/srv/projects"', "Where: an empty directory. Needed."),
    ),
)
FLEET = Section(
    "Machines that share an account; all of them have it",
    "[fleet]",
    FLEET_KEYS,
    Fleet,
    (
        Entry("url", '"rediss://fleet.example.com:6379/0"', "Their Redis; `rediss`: with TLS. Needed."),
        Entry("password", '{ credential = "mountfs.fleet" }', "Its password. Secret."),
        Entry("username", '"mountfs"', "Where it has users."),
        Entry("fallback", '"alone"', "While it is away: `wait` with commits; `alone`: commit all the same."),
        Entry("name", '"build-7"', "What the others call this machine; by default its host name."),
        Entry("lease", '"30s"', "A machine that died keeps the turn for so long; the same on all of them."),
    ),
)
SECTIONS = (DROPBOX, BOX, MOUNT, INSTANCE, FLEET)


def markdown() -> str:
    """The tables of docs/CONFIGURATION.md."""
    parts = []
    for section in SECTIONS:
        rows = [f"### `{section.header}`: {section.title}", "", "| key | default | |", "|---|---|---|"]
        for each in section.entries:
            rows.append(f"| `{each.key}` | {_quoted(section.default_of(each.key))} | {each.what} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _quoted(default: str) -> str:
    return default if not default or default in WORKED_OUT.values() else f"`{default}`"


_HEAD = (
    "# The configuration of mountfs. Take the # from what you need, and put your own value: these are",
    "# examples. What is left out has its default, which `mountfs config show` tells. A line with ## goes",
    "# in place of one above it.",
    "# `mountfs login NAME` writes an account's section by itself; `mountfs config check` looks all over.",
    "#",
    '# A secret may be kept elsewhere: refresh_token = { credential = "NAME" } of systemd,',
    '# { file = "/PATH" }, or { keyring = "NAME" }.',
)


def example() -> str:
    """The file that ``mountfs config init`` writes: everything that can be said, commented out.

    ``#`` before a line leaves it out, ``##`` also marks what excludes a line above it.
    """
    return "\n".join(_example())


def _example() -> Iterator[str]:
    yield from _HEAD
    excluded = {"app_secret", "access_token", "select_admin"}
    yield from _lines(DROPBOX, "[remotes.work]", 'type = "dropbox"', excluded)
    excluded = {"access_token", "box_subject_type", "box_subject_id"}
    yield from _lines(BOX, "[remotes.archive]", 'type = "box"', excluded)
    yield from _lines(MOUNT, "[mount]", "", set())
    yield from _lines(INSTANCE, "[mounts.projects]", "", set())
    yield "# and any option of [mount]"
    yield from _lines(FLEET, "[fleet]", "", set())
    yield ""


def _lines(section: Section, header: str, first: str, excluded: set[str]) -> Iterator[str]:
    yield ""
    yield f"# {section.title}."
    yield f"#{header}"
    if first:
        yield f"#{first}"
    for each in section.entries:
        mark = "##" if each.key in excluded else "#"
        line = f"{mark}{each.key} = {each.example}"
        yield f"{line:<60} # {each.what}" if len(line) < 60 else f"{line}  # {each.what}"
