"""The service's rules for paths and names. Pure; paths are absolute and begin with a slash."""

from cloudsandbox.dropbox.errors import LookupFailed, WriteFailed, tag

MAX_COMPONENT_CHARS = 255
# Names the service refuses or never syncs, compared without regard to case.
DISALLOWED = frozenset({"desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr"})


def fold(path: str) -> str:
    """The key of a path: two paths with the same key are one object."""
    return path.lower()


def with_one_slash(path: str) -> str:
    """*path* as the service reads it: the slashes that it begins with count as one."""
    return "/" + path.lstrip("/") if path.startswith("//") else path


def parent_of(path: str) -> str:
    """The path of the folder that holds *path*; the root is the empty string."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """The last component."""
    return path.rpartition("/")[2]


def ancestors(path: str) -> list[str]:
    """The folders above *path* from the outermost in, without the root."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def is_well_formed(path: str) -> bool:
    """Whether every component is one the service can store at all."""
    if path == "":
        return True
    if not path.startswith("/"):
        return False
    return all(_is_component(part) for part in path[1:].split("/"))


def _is_component(part: str) -> bool:
    if part in ("", ".", "..") or len(part) > MAX_COMPONENT_CHARS or part.endswith(" "):
        return False
    return not any(char in "\\\x7f\x00" or "\ud800" <= char <= "\udfff" for char in part)


def check_readable(path: str) -> None:
    """Raise LookupFailed when no object can have this path."""
    if not is_well_formed(path):
        raise LookupFailed("malformed_path")


def check_writable(path: str) -> None:
    """Raise WriteFailed when nothing may be written at this path."""
    if path == "" or not is_well_formed(path):
        raise WriteFailed(tag("malformed_path"))
    if any(part.lower() in DISALLOWED for part in path[1:].split("/")):
        raise WriteFailed(tag("disallowed_name"))


def with_suffix(path: str, suffix: str) -> str:
    """*path* with *suffix* put before the extension of its last component."""
    head, _, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not stem:
        return f"{head}/{name}{suffix}"
    return f"{head}/{stem}{suffix}{dot}{extension}"


def is_inside(key: str, folder_key: str) -> bool:
    """Whether *key* lies below *folder_key*; both folded."""
    return key.startswith(folder_key + "/")
