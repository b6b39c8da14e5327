"""``mountfs log``: the story of one file."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from daemon.cli.context import ANY_PATH, say, tell
from daemon.control.changes import Story, StoryRequest
from daemon.control.client import Client, find_place, last_of


@click.command()
@click.argument("path", type=ANY_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, one for each event.")
def log(path: Path, as_json: bool) -> int:
    """Tell what happened to the file or folder PATH. Says when it was written, closed, sent, ordered, and
    committed as which revision.

    The mount remembers the latest 20,000 events of all files together, from its start on. Exits with 1 when
    it knows of none.
    """
    place = find_place(path, is_itself=True)
    story = last_of(Client.at(place.mountpoint, path).ask(StoryRequest(place.inner)), Story, path)
    for event in story.events:
        when = datetime.fromtimestamp(event.wall_s).astimezone()
        if as_json:
            click.echo(json.dumps(asdict(event)))
        else:
            tell(f"{when.isoformat(sep=' ', timespec='milliseconds')}  {event.what}")
    if not story.events:
        say(f"{path}: nothing happened to it since the mount began, or too long ago to be remembered")
    return 0 if story.events else 1
