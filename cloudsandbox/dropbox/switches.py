"""What the service leaves open, as values: each switch picks one of the answers a client must survive."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from cloudsandbox.ranges import PastEnd

MIB = 1024 * 1024


class SessionReuse(StrEnum):
    """The answer to finishing a session that was committed before."""

    SUCCESS = "success"
    NOT_FOUND = "not_found"
    CLOSED = "closed"


class ResentClose(StrEnum):
    """The answer to a closing append that was applied before."""

    CLOSED = "closed"
    INCORRECT_OFFSET = "incorrect_offset"


class Overlap(StrEnum):
    """What a finish_batch gets while another one is running."""

    ENTRIES = "entries"  # a job whose entries all fail with too_many_write_operations
    TOO_MANY = "429"


class Launch(StrEnum):
    """How a batch call answers: with a job id, or when it is done with the entries."""

    ASYNC = "async"
    COMPLETE = "complete"


class CaseOnlyMove(StrEnum):
    """What moving a path onto itself in another case does."""

    NOTHING = "nothing"
    RENAME = "rename"
    CONFLICT = "conflict"


class FutureTime(StrEnum):
    """What becomes of a client_modified later than the server's clock."""

    ACCEPT = "accept"
    CLAMP = "clamp"
    REFUSE = "refuse"


LIFELIKE: dict[str, Any] = {
    "latency_ms": 100.0,
    "job_duration_s": 1.0,
    "job_entry_s": 0.002,
    "write_duration_s": 0.05,
}
"""Times about as the service has them; it publishes no rate of calls."""


@dataclass(frozen=True, slots=True)
class DropboxSwitches:
    """All switches and limits; the defaults are the stricter or the more common answer."""

    # Sessions.
    session_reuse: SessionReuse = SessionReuse.NOT_FOUND
    resent_close: ResentClose = ResentClose.CLOSED
    late_concurrent_append: bool = True  # an append to a concurrent session after its closing one is taken
    session_lifetime_s: float = 7 * 24 * 3600.0
    max_session_bytes: int = 350_000_000_000
    max_body_bytes: int = 150 * MIB
    append_batch_entries: int = 1000  # the published specification; SDK 12.2 still says 500
    append_batch_status: int = 200  # anything else: append_batch is refused with this status
    # Jobs.
    overlapping_finish: Overlap = Overlap.ENTRIES
    launch_result: Launch = Launch.ASYNC
    job_duration_s: float = 0.05
    job_entry_s: float = 0.0  # so much longer for each entry
    job_lifetime_s: float = 24 * 3600.0
    write_duration_s: float = 0.0  # of a single write; another one meanwhile is 429 too_many_write_operations
    # Each: {"path": glob, "error": tag or object, "route": glob, "count": n}; fails n times, or for ever.
    entry_failures: list[dict[str, Any]] = field(default_factory=list)
    # The tree.
    move_changes_rev: bool = True
    case_only_move: CaseOnlyMove = CaseOnlyMove.NOTHING
    strict_identical_conflicts: bool = True  # strict_conflict refuses identical bytes in every mode
    future_client_modified: FutureTime = FutureTime.ACCEPT
    lists_gone_folders: bool = False  # list_folder with include_deleted of a deleted folder is no not_found
    autorename_first: int = 1  # "name (1).txt"; the reference text has an example beginning with 2
    quota_bytes: int = 2_000_000_000_000
    history_bytes: int = 1024 * MIB  # of old revisions that are kept; the oldest are forgotten first
    # The wire.
    max_arg_header_bytes: int = 1024 * 1024
    range_past_end: PastEnd = PastEnd.NOT_SATISFIABLE
    latency_ms: float = 0.0  # before each call is looked at
    up_bytes_per_s: float = 0.0  # of contents, shared by all connections; 0: no limit
    down_bytes_per_s: float = 0.0
    calls_per_minute: int = 0  # 0: no limit; a bucket holds what is allowed in one window
    rate_window_s: float = 60.0
    longpoll_time_scale: float = 1.0  # seconds of a longpoll's timeout are multiplied by this
    longpoll_backoff_s: int = 0  # 0: the reply has no backoff
    link_lifetime_s: float = 4 * 3600.0
    # The account and its keys. Token -> its scopes, None for all. Without a choice: TOKEN alone, the one that
    # the sandbox is started with, TOKEN-secret and TOKEN-refresh.
    access_tokens: dict[str, list[str] | None] | None = None
    app_key: str = "sandbox-app"
    app_secret: str | None = None
    app_scopes: list[str] = field(default_factory=list)  # ticked in its console; none: all that there are
    redirect_uris: list[str] = field(default_factory=list)  # registered there; none: any on this machine
    refresh_tokens: list[str] | None = None
    token_lifetime_s: int = 14400
    root_namespace_id: str = "3235641"
    select_users: list[str] = field(default_factory=lambda: ["dbmid:sandbox"])
    email: str = "sandbox@example.com"

    def __post_init__(self) -> None:
        if self.history_bytes < 0:
            raise ValueError("switch history_bytes: expected at least 0")

    def with_keys(self, token: str) -> "DropboxSwitches":
        """These switches, the keys that nobody chose made of *token*: who does not know it knows none."""
        return replace(
            self,
            access_tokens={token: None} if self.access_tokens is None else self.access_tokens,
            app_secret=f"{token}-secret" if self.app_secret is None else self.app_secret,
            refresh_tokens=[f"{token}-refresh"] if self.refresh_tokens is None else self.refresh_tokens,
        )


class EntryFailures:
    """Counts down the failures that entries of batches were told to have."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self._rules = rules
        self._left = [rule.get("count") for rule in rules]

    def take(self, route: str, path: str) -> dict[str, Any] | None:
        """The error this entry fails with, or None; a rule with a count is used up by it."""
        for number, rule in enumerate(self._rules):
            left = self._left[number]
            if left == 0 or not fnmatchcase(path, rule.get("path", "*")):
                continue
            if not fnmatchcase(route, rule.get("route", "*")):
                continue
            if left is not None:
                self._left[number] = left - 1
            error = rule["error"]
            return {".tag": error} if isinstance(error, str) else dict(error)
        return None
