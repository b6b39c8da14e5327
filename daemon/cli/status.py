"""``mountfs status``: one mount or all of them, once or live, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.cli.context import ANY_PATH, Context, say
from daemon.cli.overview import look, render_overview
from daemon.control.health import EXIT_CODES


@click.command()
@click.argument("mountpoint", type=ANY_PATH, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--watch", is_flag=True, help="Follow it on the whole screen, until q or Ctrl-C.")
@click.pass_obj
def status(context: Context, mountpoint: Path | None, as_json: bool, watch: bool) -> int:
    """Show what is pending, failed and running. Without MOUNTPOINT, in all mounts.

    Exits with 0 when all is well, 1 when something is in trouble, 2 when a mount does not run, or nothing is
    mounted: then it lists what is journaled, and for which account.
    """
    if watch:
        from daemon.cli.watch import watch_on  # noqa: PLC0415 - few need it, and it takes a while to load

        return watch_on(context, lambda: look(context, mountpoint))
    found = look(context, mountpoint)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return EXIT_CODES[found.health]
    context.out.print(render_overview(found))
    for why in found.silent.values():
        say(why)
    return EXIT_CODES[found.health]
