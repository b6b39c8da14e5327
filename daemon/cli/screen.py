"""The tables of ``status``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table

from daemon.cli.bars import in_time, render_transfer, table, text
from daemon.control.health import trouble_of
from daemon.control.status import (
    Cache,
    FleetStatus,
    MountStatus,
    Tally,
    Transport,
    in_bytes,
    plural,
)
from mountfs.model.rates import UNLIMITED

MACHINES_SHOWN = 8


def render_status(status: MountStatus) -> RenderableType:
    """Everything ``mountfs status`` tells about one mount."""
    account = status.account
    head = Table.grid(padding=(0, 2))
    for _ in ("label", "value"):
        head.add_column(overflow="fold")
    for label, value in _facts(status):
        head.add_row(text(label, "dim"), text(value))
    parts: list[RenderableType] = [text(f"{status.remote} on {status.mountpoint}", "bold"), head]
    parts += [text(f"! {each}", "yellow") for each in trouble_of(status)]
    if account.transfer.left.count:
        parts.append(render_transfer(account.transfer))
    if account.states:
        parts.append(_tallies(account.states))
    if account.calls:
        calls = table("API calls", "count", numbers=1)
        for route, count in sorted(account.calls.items(), key=lambda item: (-item[1], item[0])):
            calls.add_row(text(route), str(count))
        parts.append(calls)
    if account.troubles:
        troubles = table("path", "state", "ago", "what")
        for trouble in account.troubles:
            path, state, reason = text(trouble.path), text(trouble.state), text(trouble.reason)
            troubles.add_row(path, state, in_time(trouble.age_s), reason)
        parts.append(troubles)
    if account.copies:
        copies = table("copy", "kind", "ago", "what to do")
        for copy in account.copies:
            copies.add_row(text(copy.path), text(copy.kind), in_time(copy.age_s), text(copy.advice))
        parts.append(copies)
    for stray in account.strays:
        parts.append(
            text(
                f"{plural(stray.count, 'change')} ({in_bytes(stray.size_bytes)}) of account {stray.account} "
                "wait for a mount of that account",
                "yellow",
            )
        )
    return Group(*parts)


def _facts(status: MountStatus) -> list[tuple[str, str]]:
    account = status.account
    oldest = account.oldest_pending_age_s
    pending = f"{plural(account.pending.count, 'change')}, {in_bytes(account.pending.size_bytes)}"
    if oldest is not None:
        pending += f", the oldest since {in_time(oldest)}"
    if account.unsent.count:
        told = f"{plural(account.unsent.count, 'file')}, {in_bytes(account.unsent.size_bytes)}"
        pending += f"; of that the service copies {told}, which need not be sent"
    # How long ago a drain began is not known.
    phase = f"{status.phase}, read-only" if status.is_read_only else status.phase
    since = "since" if status.phase == "ready" else "mounted since"
    return [
        ("state", f"{phase}, {since} {in_time(status.uptime_s)}"),
        ("process", str(status.pid)),
        ("account", account.account),
        ("service", account.far_side.in_words),
        ("pending", pending),
        *([("uploads pause", account.paused)] if account.paused else []),
        *(
            [("bandwidth", f"at most {account.rates} bytes a second, up:down")]
            if account.rates != UNLIMITED
            else []
        ),
        *([("data transport", _transport(account.transport))] if account.transport.month else []),
        *([("cache", _cache(account.cache))] if account.cache.used_bytes or account.cache.misses else []),
        ("current job", account.current_job or "none"),
        *_fleet_facts(account.fleet),
        ("kept in", status.state_dir),
        *([("page", status.page)] if status.page else []),
        *((f"{worker} fails", reason) for worker, reason in account.workers.items()),
    ]


def _fleet_facts(fleet: FleetStatus | None) -> Iterator[tuple[str, str]]:
    if fleet is None:
        return
    if fleet.trouble:
        goes_on = "; this machine commits alone" if fleet.is_alone else "; commits wait"
        yield "fleet", f"{fleet.trouble}{goes_on}"
        return
    yield "turn", f"{fleet.holder}, since {in_time(fleet.held_s)}" if fleet.holder else "nobody has it"
    shown = [f"{name} for {in_time(waited_s)}" for name, waited_s in fleet.waiting[:MACHINES_SHOWN]]
    if more := len(fleet.waiting) - len(shown):
        shown.append(f"{more} more")
    yield "wait for it", ", ".join(shown) or "nobody"
    calls = sorted(fleet.calls.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{name} {count}" for name, count in calls[:MACHINES_SHOWN]]
    if more := len(calls) - len(told):
        told.append(f"{more} more")
    total = sum(fleet.calls.values())
    yield "calls a minute", f"{total}: {', '.join(told)}" if told else "none"


def _cache(cache: Cache) -> str:
    """``1.2 GiB of 10.0 GiB, 300 MiB of it pinned; 93 % of 1200 reads needed no network``."""
    told = f"{in_bytes(cache.used_bytes)} of {in_bytes(cache.limit_bytes)}"
    if cache.pinned_bytes < cache.wanted_bytes:
        told += (
            f"; of what is pinned {in_bytes(cache.pinned_bytes)} of {in_bytes(cache.wanted_bytes)} are here"
        )
    elif cache.pinned_bytes:
        told += f", {in_bytes(cache.pinned_bytes)} of it pinned"
    if reads := cache.hits + cache.misses:
        told += f"; {100 * cache.hits // reads} % of {plural(reads, 'read')} needed no network"
    return told


def _transport(transport: Transport) -> str:
    most = "" if transport.limit is None else f" of {transport.limit}"
    return f"{transport.calls}{most} calls in {transport.month}"


def _tallies(states: Mapping[str, Tally]) -> Table:
    changes = table("changes", "count", "bytes", numbers=2)
    for state, tally in states.items():
        changes.add_row(text(state), str(tally.count), in_bytes(tally.size_bytes))
    return changes
