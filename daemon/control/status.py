"""What a mount says about itself: to ``mountfs status``, the status line and the service manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mountfs.errors import MountfsError, NotSignedIn, Offline, Throttled
from mountfs.model.rates import UNLIMITED, Rates

FAILED = "failed"
"""The word for a change that was refused for good, or waits for one that was (``tree.word``)."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of changes and the bytes they carry."""

    count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """A change that did not go through: *state* says whether it will be tried again."""

    path: str
    state: str
    reason: str
    age_s: float


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A file whose bytes are being sent: *sent_bytes* of them have arrived at the service."""

    path: str
    size_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far the mount is with what was pending at once: *done* since the last time that nothing was, and
    *left* to do. The rates are those of the last seconds; *eta_s* is None while nothing moves. *files* are
    some of those under way, the large ones first; *others* are on their way besides."""

    done: Tally = Tally()
    left: Tally = Tally()
    bytes_per_s: float = 0.0
    changes_per_s: float = 0.0
    eta_s: float | None = None
    files: tuple[UnderWay, ...] = ()
    others: int = 0


class Condition(StrEnum):
    """How the service is. The names are what ``status --json`` says."""

    ANSWERS = "answers"
    UNREACHABLE = "unreachable"
    SIGNED_OUT = "signed_out"
    THROTTLED = "throttled"
    FAILING = "failing"


CONDITION_IN_WORDS: Mapping[Condition, str] = {
    Condition.ANSWERS: "answers",
    Condition.UNREACHABLE: "unreachable",
    Condition.SIGNED_OUT: "refuses the credentials",
    Condition.THROTTLED: "asks for a pause",
    Condition.FAILING: "answers with errors",
}


@dataclass(frozen=True, slots=True)
class FarSide:
    """How the service is; *detail* is the failure that it shows itself by, empty while it answers."""

    is_reachable: bool = True
    detail: str = ""
    condition: Condition = Condition.ANSWERS

    @property
    def in_words(self) -> str:
        """Such as ``unreachable: connection refused``."""
        condition = self.condition if self.is_reachable else Condition.UNREACHABLE
        words = CONDITION_IN_WORDS[condition]
        return f"{words}: {self.detail}" if self.detail else words


def far_side(error: MountfsError | None, *, detail: str | None = None, is_away: bool = False) -> FarSide:
    """How the service is. *error*: the gravest that it meets just now; *detail*: what keeps something that is
    pending here from being sent, in words; *is_away*: whether one of those who ask had no answer."""
    if isinstance(error, NotSignedIn):
        return FarSide(detail=str(error), condition=Condition.SIGNED_OUT)
    told = str(error) if error is not None else detail or ""
    if is_away or isinstance(error, Offline):
        return FarSide(False, told, Condition.UNREACHABLE)
    if isinstance(error, Throttled):
        return FarSide(detail=told, condition=Condition.THROTTLED)
    return FarSide(detail=told, condition=Condition.FAILING) if told else FarSide()


@dataclass(frozen=True, slots=True)
class Stray:
    """Pending changes of another account in the same state directory, which this mount cannot send."""

    account: str
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that mountfs has put beside another: *kind* says of which sort, *advice* what to do about it."""

    path: str
    kind: str
    age_s: float
    advice: str


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The machines that share the account. *holder* has the turn to commit since *held_s* ("": nobody);
    *waiting*: who waits for it, and for how many seconds; *calls* of the last minute, by machine. *trouble*:
    why the fleet's server is of no use, empty while it is. *is_alone*: this machine commits all the same."""

    holder: str = ""
    held_s: float = 0.0
    waiting: tuple[tuple[str, float], ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Transport:
    """Calls that the service counts by the month, of all mounts of the account on this machine. *month* is
    empty where it counts none; *limit*: the most that the configuration allows."""

    month: str = ""
    calls: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Cache:
    """What is kept of remote files for reading. *limit_bytes* is for what is not pinned. *hits*: reads that
    it answered alone, since the process began; *misses*: those that waited for the service."""

    used_bytes: int = 0
    limit_bytes: int = 0
    pinned_bytes: int = 0
    hits: int = 0
    misses: int = 0
    hit_bytes: int = 0
    missed_bytes: int = 0
    wanted_bytes: int = 0
    """Of what is pinned, as far as it is known: so much will be here."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The account behind a mount. *states* is keyed by the words for how far a change is;
    *pending* is what is not yet committed and still going there; *calls* are requests by route. *paused*:
    why no file is sent until somebody makes room or signs in, and what to do; empty while files are sent.
    *copies*: what lies beside other files until somebody looks at it. *unsent*: of *pending*, the files that
    the service makes of other ones, so that their bytes are not sent.
    """

    account: str
    states: Mapping[str, Tally] = field(default_factory=dict)
    pending: Tally = Tally()
    oldest_pending_age_s: float | None = None
    current_job: str | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    far_side: FarSide = FarSide()
    workers: Mapping[str, str] = field(default_factory=dict)
    """What this machine, or a bug, keeps a background worker from, by the worker; until a step goes well."""
    strays: tuple[Stray, ...] = ()
    paused: str = ""
    copies: tuple[Copy, ...] = ()
    fleet: FleetStatus | None = None
    """None: this machine has the account for itself."""
    transfer: Transfer = Transfer()
    rates: Rates = UNLIMITED
    """The bounds of the line, where somebody has set some."""
    transport: Transport = Transport()
    unsent: Tally = Tally()
    cache: Cache = Cache()
    retried: int = 0
    """Of *pending*, the changes that met an error and are tried again: all, also beyond *troubles*."""


@dataclass(frozen=True, slots=True)
class MountStatus:
    """A running mount: *phase* is the lifecycle's, *remote* as it was given to ``mount``."""

    remote: str
    mountpoint: str
    pid: int
    phase: str
    uptime_s: float
    is_read_only: bool
    state_dir: str
    account: AccountStatus
    page: str = ""
    """The address of its page, with the token; empty: it has none."""


def in_words(status: MountStatus) -> str:
    """One line for people: what is pending, failed and running."""
    account = status.account
    pending = account.pending
    words = [status.phase]
    if pending.count:
        words.append(f"{plural(pending.count, 'change')} pending, {in_bytes(pending.size_bytes)}")
    else:
        words.append("all committed")
    if (failed := account.states.get(FAILED, Tally())).count:
        words.append(f"{failed.count} failed")
    if account.current_job:
        words.append(account.current_job)
    if account.paused:
        words.append(f"uploads pause: {account.paused}")
    if account.far_side != FarSide():
        words.append(f"service {account.far_side.in_words}")
    if account.fleet is not None and account.fleet.trouble:
        words.append(f"the fleet: {account.fleet.trouble}")
    words += [f"{worker} fails: {reason}" for worker, reason in account.workers.items()]
    return "; ".join(words)


def plural(count: int, noun: str) -> str:
    """``1 change``, ``2 changes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def stays(count: int) -> str:
    """What *count* of something does that is kept: ``1 change stays``, ``2 changes stay``."""
    return "stays" if count == 1 else "stay"


def in_bytes(size_bytes: int) -> str:
    """Rounded, in binary units: ``0 B``, ``1.5 MiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
