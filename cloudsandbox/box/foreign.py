"""Changes that another client makes, for tests: by path, past the gate, the log and the token."""

import base64
from typing import Any

from cloudsandbox.box.database import ROOT
from cloudsandbox.box.errors import Refusal, not_found
from cloudsandbox.box.records import FILE, FOLDER, Attributes, Content, Item, sha1_of
from cloudsandbox.box.service import BoxAccount
from cloudsandbox.box.times import parsed
from cloudsandbox.control import ControlError


def find(account: BoxAccount, path: str) -> Item:
    """The item at a path; the root's is empty. On the state thread. Raises Refusal."""
    item = account.items.get(ROOT, FOLDER)
    for name in _names(path):
        below = account.items.child(item.id, name)
        if below is None:
            raise not_found()
        item = below
    return item


def make_folder(account: BoxAccount, path: str) -> Item:
    """The folder at a path, made with those above it where they are missing. On the state thread."""
    item = account.items.get(ROOT, FOLDER)
    for name in _names(path):
        below = account.items.child(item.id, name)
        item = account.items.create_folder(item.id, name) if below is None else below
    return item


def write(account: BoxAccount, path: str, data: bytes, content_modified_at: str | None) -> Item:
    """Write a file, as a new version of whatever file is there. On the state thread. Raises Refusal."""
    folder, _, name = path.rpartition("/")
    parent = make_folder(account, folder)
    content = Content(len(data), sha1_of(data), account.files.new_name())
    modified_s = None
    if content_modified_at is not None:
        modified_s = parsed("content_modified_at", content_modified_at)
    existing = account.items.child(parent.id, name)
    if existing is None:
        wish = Attributes(name, parent.id, content_modified_s=modified_s)
        item = account.items.create_file(wish, content)
    elif existing.kind != FILE:
        raise account.items.name_in_use(existing, FILE)
    else:
        wish = Attributes(content_modified_s=modified_s)
        item = account.items.create_version(existing.id, wish, content, None)
    if item.version is not None and item.version.content.blob == content.blob:
        account.files.write_at(content.blob, 0, data)
    return item


def move(account: BoxAccount, from_path: str, to_path: str) -> Item:
    """Rename and move at once. On the state thread. Raises Refusal."""
    folder, _, name = to_path.rpartition("/")
    wish = Attributes(name, make_folder(account, folder).id)
    return account.items.update(find(account, from_path), wish, None)


def apply_edit(account: BoxAccount, change: dict[str, Any]) -> dict[str, Any]:
    """One change as JSON: `{"op": "write", "path", "text" or "base64"}`, `{"op": "delete", "path"}`,
    `{"op": "mkdir", "path"}`, `{"op": "move", "from_path", "to_path"}`, `{"op": "unshare", "path"}` of a
    folder that the account sees no more, or `{"op": "touch", "path", "content_modified_at"}`; gives the item.

    On the state thread.
    """
    try:
        return account.views.standard(_applied(account, change))
    except KeyError as missing:
        raise ControlError(f"the edit lacks {missing}") from missing
    except (Refusal, ValueError) as refused:
        raise ControlError(str(refused)) from refused


def _applied(account: BoxAccount, change: dict[str, Any]) -> Item:
    match change.get("op"):
        case "write":
            data = base64.b64decode(change["base64"]) if "base64" in change else str(change["text"]).encode()
            return write(account, change["path"], data, change.get("content_modified_at"))
        case "delete":
            item = find(account, change["path"])
            account.items.delete(item, recursive=True, if_match=None)
            return item
        case "unshare":
            item = find(account, change["path"])
            account.items.unshare(item)
            return item
        case "mkdir":
            return make_folder(account, change["path"])
        case "move":
            return move(account, change["from_path"], change["to_path"])
        case "touch":
            wish = Attributes(content_modified_s=parsed("content_modified_at", change["content_modified_at"]))
            return account.items.update(find(account, change["path"]), wish, None)
        case other:
            raise ControlError(f"no such edit: {other}")


def read(account: BoxAccount, path: str) -> bytes:
    """The whole content of a file. On the state thread. Raises Refusal or ControlError."""
    item = find(account, path)
    if item.version is None:
        raise ControlError(f"{path} is a folder")
    content = item.version.content
    return account.files.read_at(content.blob, 0, content.size_bytes)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
