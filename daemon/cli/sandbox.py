"""``mountfs sandbox``: the stand-in of a service by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from daemon.cli.context import AnyPath
from daemon.process.embedded import check_installed

DIRECTORY = AnyPath(file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)


@click.group()
def sandbox() -> None:
    """Run a stand-in of a cloud service on this machine."""


def _command(service: str, api: str) -> click.Command:
    def run(**given: object) -> None:
        check_installed()
        order = [sys.executable, "-P", "-m", "cloudsandbox", service]
        for name, value in given.items():
            option = f"--{name.replace('_', '-')}"
            if value is True:
                order.append(option)
            elif value not in (None, False):
                order += [option, str(value)]
        os.execv(sys.executable, order)

    port = click.IntRange(0, 65535)
    token = "Opens the account and its control surface; without it a random one, which is printed."
    options = [
        click.Option(["--token"], help=token),
        click.Option(
            ["--lifelike"],
            is_flag=True,
            help="Take about as long as the service, and refuse calls beyond its rates.",
        ),
        click.Option(
            ["--switches"],
            type=FILE,
            help="Set switches from this file, TOML or JSON; cloudsandbox's README lists them.",
        ),
        click.Option(["--tls"], is_flag=True, help="Speak https; the certificate to trust is printed."),
        click.Option(["--port"], type=port, help="Listen here on 127.0.0.1; 0 picks a free port."),
        click.Option(["--data"], type=DIRECTORY, help="Keep the account's files in this directory."),
        click.Option(
            ["--latency-ms"], type=click.FloatRange(min=0), help="Answer every request so much later."
        ),
        click.Option(
            ["--faults"],
            type=FILE,
            help="Fail by the rules in this file, JSON; cloudsandbox's README describes them.",
        ),
    ]
    text = f"Speak {api} on 127.0.0.1 until interrupted."
    return click.Command(service, params=[*options], callback=run, help=text)


sandbox.add_command(_command("dropbox", "Dropbox's HTTP API"))
sandbox.add_command(_command("box", "Box's Content API"))
