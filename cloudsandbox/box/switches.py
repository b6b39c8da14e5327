"""What the service leaves open, as values: each switch picks one of the answers a client must survive."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from cloudsandbox.ranges import PastEnd

MIB = 1024 * 1024


class ConflictShape(StrEnum):
    """How `context_info.conflicts` names the item that has the name already."""

    USUAL = "usual"  # one object where a file is to have the name, a list where a folder is
    OBJECT = "object"
    ARRAY = "array"


class CommitResult(StrEnum):
    """The body of a commit's 201."""

    FILES = "files"  # {"total_count": 1, "entries": [File]}
    FILE = "file"


class Recommit(StrEnum):
    """The answer to committing a session that was committed before."""

    RESULT = "result"  # the same 201 again
    NOT_FOUND = "not_found"  # 404
    GONE = "gone"  # 410 session_expired
    CONFLICT = "conflict"  # 409 item_name_in_use


class GoneSession(StrEnum):
    """The answer about a session that has expired."""

    GONE = "gone"  # 410 session_expired
    NOT_FOUND = "not_found"  # 404
    INVALID = "invalid"  # 400 invalid_upload_session_id


class SameBytes(StrEnum):
    """What uploading the bytes that are there already does."""

    NEW_VERSION = "new_version"
    KEEP = "keep"


LIFELIKE: dict[str, Any] = {
    "latency_ms": 150.0,
    "uploads_per_minute": 240,
    "calls_per_minute": 1000,
    "pending_commits": 1,
}
"""Rates as the service publishes them, times about as it has them."""


@dataclass(frozen=True, slots=True)
class BoxSwitches:
    """All switches and limits; the defaults are the stricter or the more common answer."""

    # Direct uploads.
    max_direct_bytes: int = 50 * MIB  # the guide says 50 MB; clients that send 50 MiB are served
    new_version_status: int = 201  # or 200
    conflict_shape: ConflictShape = ConflictShape.USUAL
    same_bytes: SameBytes = SameBytes.NEW_VERSION
    # Upload sessions.
    min_session_bytes: int = 20_000_000
    part_size_bytes: int = 8 * MIB
    session_lifetime_s: float = 7 * 24 * 3600.0
    session_prefix: str = "/upload-las/api/2.0"  # where session_endpoints lead
    only_session_urls: bool = False  # answer 404 where a client builds the URLs itself
    session_conflict: bool = False  # a second session for the same name is 409 session_conflict
    wrapped_part: bool = True  # {"part": {...}} or the part alone
    expired_session: GoneSession = GoneSession.GONE
    # Commits. Each count is per session.
    pending_commits: int = 0  # so many 202 before the 201
    commit_retry_after_s: float = 1.0
    early_commits: int = 0  # so many 400 parts_mismatch after the last part
    commit_result: CommitResult = CommitResult.FILES
    recommit: Recommit = Recommit.NOT_FOUND
    # Downloads.
    unready_downloads: int = 0  # so many 202 for each file
    download_retry_after_s: float = 1.0
    download_host: str = ""  # host name of the second URL; empty: that of the request
    download_lifetime_s: float = 15 * 60.0
    refuse_forwarded_token: bool = True  # answer 400 when the token reaches the second URL
    direct_downloads: bool = False  # 200 with the content, no redirect
    range_past_end: PastEnd = PastEnd.NOT_SATISFIABLE
    # Names.
    refused_name_characters: str = ""  # besides slash, backslash and control characters
    # Each: {"name": glob, "status": number, "code": text}: what a policy forbids to make, name or write.
    refusals: list[dict[str, Any]] = field(default_factory=list)
    # Globs of folders' names: what others share with the account as a viewer, with all that is in it.
    viewed_folders: list[str] = field(default_factory=list)
    # Moves.
    moves_alone: bool = False  # a folder's parent together with anything else is 403 operation_limit_exceeded
    # Events.
    repeated_events: int = 0  # so many of the events before the position come again
    disordered_events: bool = False
    string_positions: bool = False
    realtime_timeout_s: float = 610.0
    realtime_max_retries: int = 10
    # Rates; 0: no limit. A bucket holds what is allowed in one window.
    uploads_per_minute: int = 0
    calls_per_minute: int = 0
    rate_window_s: float = 60.0
    parts_are_uploads: bool = True
    # The account and its keys. Without a choice: TOKEN alone, the one that the sandbox is started with,
    # TOKEN-secret, TOKEN-refresh and TOKEN-code. Refresh tokens and codes are good once.
    max_upload_bytes: int = 5 * 1024 * MIB
    quota_bytes: int = 2_000_000_000_000
    history_bytes: int = 1024 * MIB  # of old revisions that are kept; the oldest are forgotten first
    access_tokens: list[str] | None = None
    client_id: str = "sandbox-client"
    client_secret: str | None = None
    refresh_tokens: list[str] | None = None
    authorization_codes: list[str] | None = None
    redirect_uris: list[str] = field(default_factory=list)  # of the application; none: any on this machine
    subjects: list[str] = field(default_factory=lambda: ["enterprise:sandbox", "user:11446498"])
    token_lifetime_s: int = 3600
    refresh_lifetime_s: float = 60 * 24 * 3600.0
    user_id: str = "11446498"
    login: str = "sandbox@example.com"
    # The wire.
    utc_offset_hours: int = -8  # of the times in replies
    record_exchanges: bool = False
    latency_ms: float = 0.0  # before each call is looked at
    up_bytes_per_s: float = 0.0  # of contents, shared by all connections; 0: no limit
    down_bytes_per_s: float = 0.0

    def __post_init__(self) -> None:
        if self.new_version_status not in (200, 201):
            raise ValueError("switch new_version_status: expected 200 or 201")
        if self.history_bytes < 0:
            raise ValueError("switch history_bytes: expected at least 0")
        if self.part_size_bytes < 1:
            raise ValueError("switch part_size_bytes: expected at least 1")
        if not -24 < self.utc_offset_hours < 24:
            raise ValueError("switch utc_offset_hours: expected less than a day")
        if any(rule.keys() != {"name", "status", "code"} for rule in self.refusals):
            raise ValueError("switch refusals: expected each to have name, status and code")

    def with_keys(self, token: str) -> "BoxSwitches":
        """These switches, the keys that nobody chose made of *token*: who does not know it knows none."""
        codes = self.authorization_codes
        return replace(
            self,
            access_tokens=[token] if self.access_tokens is None else self.access_tokens,
            client_secret=f"{token}-secret" if self.client_secret is None else self.client_secret,
            refresh_tokens=[f"{token}-refresh"] if self.refresh_tokens is None else self.refresh_tokens,
            authorization_codes=[f"{token}-code"] if codes is None else codes,
        )
