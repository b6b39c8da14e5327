"""The configuration changed by a command: its comments and order stay, and it is whole at every moment."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from daemon.config.secrets import Kept
from daemon.config.settings import holds_secret, parse
from daemon.failure import BadSettings, Failure
from daemon.places import ownership
from daemon.places.durable import PRIVATE, write_synced
from daemon.places.locks import OF_DIRECTORY, alone

_OTHERS = 0o007

Value = str | Kept


def put_remote(path: Path, name: str, values: Mapping[str, Value], drop: Collection[str] = ()) -> None:
    """Writes *values* into ``[remotes.NAME]`` of the file *path*, which both may be new, and takes the keys
    *drop* out of it. BadSettings, Failure: then the file is as it was."""

    def change(text: str) -> str:
        document = _document(path, text)
        if name not in document.get("remotes", {}):
            return _with_section(text, name, values)
        section = document["remotes"][name]
        for key in drop:
            section.pop(key, None)
        for key, value in values.items():
            section[key] = _item(value)
        return tomlkit.dumps(document)

    rewrite(path, change)


def check_writable(path: Path) -> None:
    """BadSettings where ``rewrite`` would fail for want of rights: told before there is a secret that could
    be lost by it."""
    target = Path(os.path.realpath(path))
    _check_owner(path, target)
    folder = next(each for each in target.parents if each.exists())
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise BadSettings(f"{path}: this user may not write it; choose another file with --config FILE")


def _check_owner(path: Path, target: Path) -> None:
    if target.exists() and not target.is_file():
        raise BadSettings(f"{path}: is no file; choose another one with --config FILE")
    wrong = ownership.complaint(target, os.geteuid(), may_be_roots=True)
    if wrong is not None:
        raise BadSettings(f"{path}: not written, for another user could change it: {wrong}")


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Replaces the text of *path* by what *change* makes of it, as one step: also among processes, and for a
    machine that loses its power. BadSettings, Failure: then the file is as it was."""
    target = Path(os.path.realpath(path))  # a link, as into a folder of dot files, stays one
    try:
        ownership.make_private(target.parent)
        _check_owner(path, target)
        # What another process writes meanwhile is neither lost nor undone.
        with alone(target.parent, OF_DIRECTORY):
            before = target.read_text("utf-8") if target.exists() else ""
            after = change(before)
            tables = tomllib.loads(after)
            parse(path, tables)
            write_synced(target, after, _mode(target, holds_secret(tables)))
    except UnicodeDecodeError:
        raise BadSettings(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: cannot be changed by a command, edit it: {error}") from None
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None


def _document(path: Path, text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise BadSettings(f"{path}: is not valid TOML: {error}") from None


def _with_section(text: str, name: str, values: Mapping[str, Value]) -> str:
    """At the end: a table may stand anywhere, and nothing that is there has to move."""
    section = tomlkit.table()
    for key, value in values.items():
        section.add(key, _item(value))
    header = f"[remotes.{tomlkit.key(name).as_string()}]\n"
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{header}{section.as_string()}"


def _item(value: Value) -> tomlkit.items.Item:
    if not isinstance(value, Kept):
        return tomlkit.string(value)
    table = tomlkit.inline_table()
    table[value.keeper.value] = value.name
    return table


def _mode(target: Path, is_secret: bool) -> int:
    if not target.exists():
        return PRIVATE
    mode = target.stat().st_mode & 0o777
    if not is_secret:
        return mode
    # With 0644, the mode of any new file, nobody has chosen the group, which may be that of all users. Who
    # has shut out the others has: it is that of a unit's User=, say.
    return mode & (PRIVATE if mode & _OTHERS else PRIVATE | stat.S_IRGRP)
