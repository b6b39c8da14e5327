"""Which Dropbox, seen through which namespace, and how it is written to."""

from __future__ import annotations

from dataclasses import dataclass

FINISH_BATCH = "finish_batch"
FINISH_BATCH_V2 = "finish_batch_v2"
OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class DropboxSettings:
    """The defaults are the public service and the user's own home.

    ``path_root`` is ``home``, ``root`` (the team's space) or a namespace id. ``commit_route`` is
    FINISH_BATCH, a job that is asked after, or FINISH_BATCH_V2, which answers when all is done. The others
    are fields of CommitInfo (API reference): *mute*: the user's other devices show no notices of what is
    written; *commit_mode*: ``update`` or ``overwrite``; *property_groups*: of each group the id of its
    template, and its fields with their values.
    """

    api_url: str = "https://api.dropboxapi.com"
    content_url: str = "https://content.dropboxapi.com"
    notify_url: str = "https://notify.dropboxapi.com"
    path_root: str = "home"
    select_user: str | None = None
    select_admin: str | None = None
    commit_route: str = FINISH_BATCH
    mute: bool = False
    commit_mode: str = "update"
    autorename: bool = False
    strict_conflict: bool = False
    client_modified: bool = True
    property_groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
