"""What the JSON bodies say: each field checked when it is taken."""

from typing import Any

from cloudsandbox.box.errors import Refusal, bad_parameter
from cloudsandbox.box.names import number_of
from cloudsandbox.box.records import Attributes
from cloudsandbox.box.times import parsed

MOST_TAGS = 100


def attributes_of(argument: dict[str, Any]) -> Attributes:
    """The attributes in the body of an upload, a commit or an update. Raises Refusal."""
    return Attributes(
        name=text_of(argument, "name"),
        parent=parent_of(argument),
        content_created_s=_time_of(argument, "content_created_at"),
        content_modified_s=_time_of(argument, "content_modified_at"),
        description=text_of(argument, "description"),
        tags=_tags_of(argument),
    )


def text_of(argument: dict[str, Any], name: str) -> str | None:
    """A field that is text, None when it is missing. Raises Refusal."""
    value = argument.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_parameter(name, f"Invalid value {value!r}")
    return value


def required_text(argument: dict[str, Any], name: str) -> str:
    """A field that must be there. Raises Refusal."""
    value = text_of(argument, name)
    if value is None:
        raise bad_parameter(name, f"'{name}' is required", "missing_parameter")
    return value


def parent_of(argument: dict[str, Any]) -> int | None:
    """The id in `parent`, None when the body has none. Raises Refusal."""
    parent = argument.get("parent")
    if parent is None:
        return None
    number = parent.get("id") if isinstance(parent, dict) else None
    try:
        return number_of(number)
    except Refusal:
        raise bad_parameter("parent", f"Invalid value {parent!r}") from None


def required_parent(argument: dict[str, Any]) -> int:
    """The id in `parent`. Raises Refusal."""
    parent = parent_of(argument)
    if parent is None:
        raise bad_parameter("parent", "'parent' is required", "missing_parameter")
    return parent


def _tags_of(argument: dict[str, Any]) -> tuple[str, ...] | None:
    tags = argument.get("tags")
    if tags is None:
        return None
    is_good = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    if not is_good or not 1 <= len(tags) <= MOST_TAGS:
        raise bad_parameter("tags", f"Invalid value {tags!r}")
    return tuple(tags)


def _time_of(argument: dict[str, Any], name: str) -> int | None:
    value = argument.get(name)
    return None if value is None else parsed(name, value)
