"""What every command shares: the configuration, read when it is first asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import platformdirs
from rich.console import Console

from daemon.config.options import MountOptions
from daemon.config.settings import Settings, load
from daemon.printable import printable

SYSTEM_CONFIG = Path("/etc/mountfs/mountfs.toml")
SYSTEM_STATE_DIR = Path("/var/lib/mountfs")


def tell(line: str) -> None:
    """A line on standard output: what was asked for."""
    click.echo(printable(line))


class AnyPath(click.Path):
    """A path that nothing is asked about when the command line is read: one on a mount that hangs would never
    answer, and one on a dead mount is none."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,  # noqa: ARG002 - click's
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Path:
        return Path(value)


ANY_PATH = AnyPath()


def say(line: str) -> None:
    """A line on standard error, under our name."""
    click.echo(f"mountfs: {printable(line)}", err=True)


@dataclass(slots=True)
class Context:
    """The global options, and this process's view of the user."""

    config: Path | None = None
    verbosity: int = 0
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    out: Console = field(default_factory=lambda: Console(highlight=False))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def settings(self) -> Settings:
        """The configuration. BadSettings."""
        return load(config_candidates(), explicit=self.config)


def config_candidates() -> list[Path]:
    """Where the configuration is looked for, the user's own first."""
    return [platformdirs.user_config_path("mountfs") / "mountfs.toml", SYSTEM_CONFIG]


def default_options() -> MountOptions:
    """The options of a mount that nobody said anything about."""
    is_root = os.geteuid() == 0
    state_dir = SYSTEM_STATE_DIR if is_root else platformdirs.user_state_path("mountfs")
    return MountOptions(state_dir=state_dir, uid=os.getuid(), gid=os.getgid())
