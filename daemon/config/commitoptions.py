"""How a Dropbox is asked to commit files: keys of its section, beside those of the account."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from daemon.config.keys import Key, boolean, choice

PropertyGroups = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Of each group the id of its template, and its fields with their values."""


class CommitMode(StrEnum):
    """Whether a file that somebody else changed meanwhile is replaced."""

    UPDATE = "update"
    OVERWRITE = "overwrite"


def property_groups(value: object) -> PropertyGroups:
    """A list of tables, as TOML has it: ``{ template_id = "ptid:...", fields = { customer = "ACME" } }``."""
    hint = 'must be a list like [{ template_id = "ptid:...", fields = { customer = "ACME" } }]'
    if not isinstance(value, list | tuple):
        raise ValueError(hint)
    found = []
    for group in value:
        if not isinstance(group, dict) or group.keys() != {"template_id", "fields"}:
            raise ValueError(hint)
        template, fields = group["template_id"], group["fields"]
        if not isinstance(template, str) or not template or not isinstance(fields, dict):
            raise ValueError(hint)
        if not all(isinstance(each, str) for each in fields.values()):
            raise ValueError(f"{hint}; each value is text in quotes")
        found.append((template, tuple(fields.items())))
    return tuple(found)


def in_tables(groups: PropertyGroups) -> list[dict[str, object]]:
    """The inverse of ``property_groups``."""
    return [{"template_id": template, "fields": dict(fields)} for template, fields in groups]


COMMIT_KEYS: Mapping[str, Key] = {
    "mute": Key("mute", boolean),
    "commit_mode": Key("commit_mode", choice(*CommitMode)),
    "autorename": Key("autorename", boolean),
    "strict_conflict": Key("strict_conflict", boolean),
    "client_modified": Key("client_modified", boolean),
    "property_groups": Key("property_groups", property_groups),
}
