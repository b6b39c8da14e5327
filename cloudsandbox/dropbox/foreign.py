"""Changes that another client of the account makes, for tests: past the gate, the log and the token."""

import base64
from typing import Any

from cloudsandbox.control import ControlError
from cloudsandbox.dropbox.commits import CommitInfo
from cloudsandbox.dropbox.errors import RouteError, SandboxError, WriteFailed
from cloudsandbox.dropbox.hashing import content_hash
from cloudsandbox.dropbox.records import Content, Entry, tagged_metadata
from cloudsandbox.dropbox.service import DropboxAccount


def write(
    account: DropboxAccount, path: str, data: bytes, client_modified: str | None, now_s: float
) -> Entry:
    """Write a file, over whatever file is there. On the state thread."""
    content = Content(len(data), content_hash(data), account.files.new_name())
    wish = CommitInfo(path, "overwrite", client_modified=client_modified)
    entry = account.committer.commit(wish, content, now_s)
    if entry.revision is not None and entry.revision.content.blob == content.blob:
        account.files.write_at(content.blob, 0, data)
    return entry


def apply_edit(account: DropboxAccount, change: dict[str, Any], now_s: float) -> dict[str, Any]:
    """One change as JSON: `{"op": "write", "path", "text" or "base64"}`, `{"op": "delete", "path"}`,
    `{"op": "mkdir", "path"}` or `{"op": "move", "from_path", "to_path"}`; gives the metadata.

    On the state thread.
    """
    try:
        match change.get("op"):
            case "write":
                data = _data(change)
                entry = write(account, change["path"], data, change.get("client_modified"), now_s)
            case "delete":
                entry = account.edits.delete(change["path"], None)
            case "mkdir":
                entry = account.edits.create_folder(change["path"], autorename=False)
            case "move":
                entry = account.edits.move(change["from_path"], change["to_path"], autorename=False)
            case other:
                raise ControlError(f"no such edit: {other}")
    except KeyError as missing:
        raise ControlError(f"the edit lacks {missing}") from missing
    except (RouteError, WriteFailed) as failure:
        raise ControlError(str(failure.error)) from failure
    except SandboxError as failure:
        raise ControlError(str(failure)) from failure
    return tagged_metadata(entry)


def _data(change: dict[str, Any]) -> bytes:
    if "base64" in change:
        return base64.b64decode(change["base64"])
    return str(change["text"]).encode()


def read(account: DropboxAccount, path: str) -> bytes:
    """The whole content of a file. On the state thread. Raises LookupFailed."""
    entry = account.tree.find(path)
    if entry.revision is None:
        raise ControlError(f"{path} is a folder")
    content = entry.revision.content
    return account.files.read_at(content.blob, 0, content.size_bytes)
