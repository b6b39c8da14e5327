"""What ``mountfs status`` finds out of all mounts, and how it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from daemon.cli.context import Context, default_options, say
from daemon.cli.screen import render_status
from daemon.config.options import layered
from daemon.control.client import Client, Elsewhere, all_mounts, find_mount, last_of
from daemon.control.health import Health, health_of, trouble_of, worst
from daemon.control.protocol import StatusReply, StatusRequest
from daemon.control.status import MountStatus, in_bytes, plural
from daemon.failure import Failure
from daemon.places.answering import check_answers
from daemon.places.statedir import Journaled, StateDir

SHAPE = 1
"""The number of the shape of ``status --json``; docs/OPERATIONS.md describes it."""


@dataclass(slots=True)
class Overview:
    """What every mount that was asked said, why others said nothing, and what waits for a mount."""

    mounts: list[MountStatus] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    """Why a mount gave no status, by its mount point."""
    journaled: list[Journaled] = field(default_factory=list)

    @property
    def health(self) -> Health:
        """The worst of all; DOWN where nothing is mounted."""
        return worst([*map(health_of, self.mounts), *(Health.DOWN for _ in self.silent)])

    def as_json(self) -> dict[str, Any]:
        told: list[dict[str, Any]] = [
            {**asdict(each), "health": health_of(each), "trouble": trouble_of(each)} for each in self.mounts
        ]
        told += [
            {"mountpoint": place, "health": Health.DOWN, "trouble": [why]}
            for place, why in self.silent.items()
        ]
        journaled = [asdict(each) for each in self.journaled]
        return {"version": SHAPE, "health": self.health, "mounts": told, "journaled": journaled}


def look(context: Context, mountpoint: Path | None) -> Overview:
    found = Overview()
    for place in all_mounts() if mountpoint is None else [mountpoint]:
        try:
            found.mounts.append(ask_status(place if mountpoint is None else find_mount(place)))
        except Failure as failure:
            if mountpoint is None and isinstance(failure, Elsewhere):
                continue
            found.silent[str(place)] = str(failure)
    if not found.mounts and not found.silent:
        found.journaled = _journaled(context)
    return found


def _journaled(context: Context) -> list[Journaled]:
    """What waits in the state directories that this user's mounts have."""
    try:
        settings = context.settings()
        layers = [
            settings.options,
            *({**settings.options, **each.options} for each in settings.mounts.values()),
        ]
    except Failure as failure:
        say(str(failure))
        layers = [{}]
    places = dict.fromkeys(layered(default_options(), layer).state_dir for layer in layers)
    found: list[Journaled] = []
    for place in places:
        try:
            check_answers(place)
            found += StateDir(place).all_pending()
        except Failure as failure:
            say(str(failure))
    return found


def ask_status(mountpoint: Path) -> MountStatus:
    """Failure."""
    return last_of(Client.at(mountpoint).ask(StatusRequest()), StatusReply, mountpoint).status


def render_overview(found: Overview) -> Group:
    """Everything that ``mountfs status`` tells people."""
    parts: list[RenderableType] = [render_status(each) for each in found.mounts]
    if not parts and not found.silent:
        parts.append("nothing is mounted")
    for each in found.journaled:
        names = ", ".join(f"{name}:" for name in each.remotes) or each.account
        if each.count:
            what = f"{plural(each.count, 'change')}, {in_bytes(each.size_bytes)}"
            parts.append(f"{names} {what} journaled in {each.state_dir}, to be sent once it is mounted again")
        if each.local_count:
            what = f"{plural(each.local_count, 'file')}, {in_bytes(each.local_bytes)}"
            parts.append(f"{names} {what} in {each.state_dir} stay on this machine by their names")
    return Group(*parts)
