"""The service's rules for names and ids. Pure."""

import unicodedata

from cloudsandbox.box.errors import Refusal, method_not_allowed

MAX_NAME_CHARS = 255


def fold(name: str) -> str:
    """The key of a name in its folder: two items of a folder never share one."""
    return unicodedata.normalize("NFC", name).lower()


def check_name(name: object, refused_characters: str) -> str:
    """*name* if an item may have it. Raises Refusal: item_name_invalid or item_name_too_long."""
    if not isinstance(name, str) or name in ("", ".", "..") or name.endswith(" "):
        raise _invalid()
    if len(name) > MAX_NAME_CHARS:
        raise Refusal(400, "item_name_too_long", "Item name too long")
    if any(char in "/\\" or char in refused_characters for char in name):
        raise _invalid()
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        raise _invalid()
    return name


def _invalid() -> Refusal:
    return Refusal(400, "item_name_invalid", "Item name invalid")


def number_of(item_id: object) -> int:
    """The number in an id. Raises Refusal: 405, as for any id of an unknown form."""
    if not isinstance(item_id, str) or not item_id.isascii() or not item_id.isdigit() or len(item_id) > 18:
        raise method_not_allowed()
    return int(item_id)


def extension_of(name: str) -> str:
    """What follows the last dot of a name."""
    stem, dot, extension = name.rpartition(".")
    return extension if dot and stem else ""
