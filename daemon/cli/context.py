"""What every command shares: the configuration, read when it is first asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click
import platformdirs

from daemon.config.options import MountOptions, layered
from daemon.config.settings import Settings, load
from daemon.failure import BadSettings
from daemon.places.answering import check_answers
from daemon.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

SYSTEM_CONFIG = Path("/etc/mountfs/mountfs.toml")
SYSTEM_STATE_DIR = Path("/var/lib/mountfs")


UNBOUNDED_COLUMNS = 10_000
"""More than two paths of PATH_MAX side by side."""


def tell(line: str) -> None:
    """A line on standard output: what was asked for."""
    click.echo(printable(line))


class AnyPath(click.Path):
    """A path that nothing is asked about when the command line is read: one on a mount that hangs would never
    answer, and one on a dead mount is none.

    An empty one is refused, as the kernel does it (path_resolution(7)): ``discard "$unset" --yes`` would give
    up what is pending in the directory where it is called.
    """

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        if not os.fspath(value):
            self.fail("it is empty; name a path", param, ctx)
        return Path(value)


ANY_PATH = AnyPath()


def say(line: str) -> None:
    """A line on standard error, under our name."""
    click.echo(f"mountfs: {printable(line)}", err=True)


def told_of(error: OSError) -> str:
    """What the machine refused, in one line: the file, where there is one, and why."""
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"


def _console(*, stderr: bool) -> Console:
    """Loaded here: most commands need none where no terminal is.

    Where nobody says how wide a file or a pipe is, rich takes 80 columns, and cuts paths to fit them. Where
    nobody reads on, it ends the process with 1, which says something else of a mount (``status``).
    """
    from rich.console import Console  # noqa: PLC0415

    class TellingConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    console = TellingConsole(stderr=stderr, highlight=False)
    if not console.file.isatty() and "COLUMNS" not in os.environ:  # is_terminal is true by FORCE_COLOR
        console.width = UNBOUNDED_COLUMNS
    return console


@dataclass
class Context:
    """The global options, and this process's view of the user."""

    config: Path | None = None
    verbosity: int = 0
    log_level: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def out(self) -> Console:
        """Standard output, for tables."""
        return _console(stderr=False)

    def terminal(self) -> Console | None:
        """Standard error, if it is a terminal."""
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        return _console(stderr=True) if is_terminal else None

    def settings(self, *, may_be_new: bool = False) -> Settings:
        """The configuration. BadSettings, also where the file that was named is missing, unless it
        *may_be_new*."""
        if self.config is not None:
            check_answers(self.config)
        if may_be_new and self.config is not None and not os.path.lexists(self.config):
            return Settings()
        return load(config_candidates(), explicit=self.config)


def written_file(context: Context, settings: Settings) -> Path:
    """The configuration that a command changes: the one it was read from, or else the user's own."""
    if context.config is not None:
        return context.config.absolute()
    own = config_candidates()[0]
    if settings.unread is not None and settings.unread == own:
        raise BadSettings(f"{own}: may not be read by this user")
    if settings.file is None or (settings.file != own and not os.access(settings.file, os.W_OK)):
        return own
    return settings.file


def config_candidates() -> list[Path]:
    """Where the configuration is looked for, the user's own first."""
    return [platformdirs.user_config_path("mountfs") / "mountfs.toml", SYSTEM_CONFIG]


def kept_in(settings: Settings) -> Path:
    """The state directory of mounts that say no other one. Failure: it is on a mount that hangs."""
    state_dir = layered(default_options(), settings.options).state_dir
    check_answers(state_dir)
    return state_dir


def default_options() -> MountOptions:
    """The options of a mount that nobody said anything about."""
    is_root = os.geteuid() == 0
    state_dir = SYSTEM_STATE_DIR if is_root else platformdirs.user_state_path("mountfs")
    return MountOptions(state_dir=state_dir, uid=os.getuid(), gid=os.getgid())
