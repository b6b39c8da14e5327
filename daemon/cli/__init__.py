"""The ``mountfs`` command."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from daemon.cli.context import ANY_PATH, Context, say, told_of
from daemon.cli.summaries import HIDDEN, SUMMARIES
from daemon.config.options import LogLevel
from daemon.failure import Failure
from mountfs.errors import MountfsError

EXIT_USAGE = 2
OUTPUT = "standard output"


_MODULES = {
    **dict.fromkeys(("wait", "sync", "umount"), "inspect"),
    **dict.fromkeys(("cache", "pin", "unpin", "versions", "restore", "undelete"), "paths"),
    **dict.fromkeys(("retry", "export", "discard"), "parked"),
    **{name: name for name in ("login", "logout", "remotes", "mount", "fsck", "sandbox", "demo")},
    **{name: name for name in ("attributes", "conflicts", "doctor", "pending", "rehearse", "status")},
    **dict.fromkeys(("pause", "resume", "bwlimit"), "steer"),
    **dict.fromkeys(("mount-helper", "umount-helper"), "mounthelper"),
    **dict.fromkeys(("completion", "manual"), "completion"),
    "install-service": "install",
    "log": "story",
    "config": "configure",
}
"""Command -> the module of this package that has it under this name."""


def shortened(summary: str, room: int) -> str:
    """Whole words of it, as click shortens the help of a command."""
    return click.Command("", help=summary).get_short_help_str(room)


class _NobodyReads(Exception):
    """Whoever read the output has left. click would end the process with 1 for a BrokenPipeError, which says
    something else of a mount (``status``) or a folder (``fsck``)."""


class _Commands(click.Group):
    """A command is imported when it is run: what one of them needs, such as HTTP, takes longer to load than
    most of the others take to run. The help and the completion of names load none."""

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*given, **more)  # which shows help and version
        except BrokenPipeError:
            raise _NobodyReads from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _NobodyReads from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _MODULES.get(cmd_name)
        if module is None:
            return None
        found = getattr(importlib.import_module(f"{__name__}.{module}"), cmd_name.replace("-", "_"))
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = [name for name in self.list_commands(ctx) if name not in HIDDEN]
        room = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(ctx, name, room)) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self.list_commands(ctx) if name not in HIDDEN]
        found = [
            CompletionItem(name, help=self._summary(ctx, name, 60))
            for name in names
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def _summary(self, ctx: click.Context, name: str, room: int) -> str:
        if name in SUMMARIES:
            return shortened(SUMMARIES[name], max(20, room))
        command = self.get_command(ctx, name)
        return command.get_short_help_str(max(20, room)) if command is not None else ""


def _tell_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        # Loaded here, for it takes as long as all else.
        from importlib.metadata import version  # noqa: PLC0415

        click.echo(f"mountfs {version('mountfs')}")
        context.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=ANY_PATH, help="The configuration file.")
@click.option("-v", "--verbose", count=True, help="Log more; twice for everything.")
@click.option(
    "--log-level",
    type=click.Choice([*map(str, LogLevel)]),
    help="A mount logs what is of this level or worse.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_tell_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(context: click.Context, config: Path | None, verbose: int, log_level: str | None) -> None:
    """Mount a cloud account as a directory: copies close at once and are committed in batches."""
    context.obj = Context(config=config, verbosity=verbose, log_level=log_level)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; the exit code. What can be expected to fail is told in one line."""
    try:
        result = cli.main(args=list(arguments), prog_name="mountfs", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.UsageError as error:
        return _complain(_usage(error), EXIT_USAGE)
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except Failure as failure:
        return _complain(str(failure), failure.exit_code)
    except MountfsError as error:
        return _complain(str(error), 1)
    except _NobodyReads:
        _write_no_more()
        return 128 + signal.SIGPIPE
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", 128 + signal.SIGINT)
    except OSError as error:
        if error.filename == OUTPUT:
            _write_no_more()
        return _complain(told_of(error), 1)
    return result if isinstance(result, int) else 0


def _write_no_more() -> None:
    """Python must not try to flush the output again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: click.UsageError) -> str:
    """What is wrong with the command line, and where to read on."""
    words = error.format_message().rstrip(".")
    if error.ctx is None:
        return words
    command = error.ctx.command_path
    everywhere = {name for option in cli.params for name in option.opts}
    if isinstance(error, click.NoSuchOption) and error.option_name in everywhere:
        where = command.removeprefix("mountfs ")
        return f"{error.option_name} goes before the command: mountfs {error.option_name} ... {where}"
    return f"{words} See {command} --help" if words.endswith("?") else f"{words}; see {command} --help"


def _complain(message: str, exit_code: int) -> int:
    """Messages of click and of libraries have several lines; blanks within one may be those of a path."""
    say(" ".join(line.strip() for line in message.splitlines()))
    return exit_code


def _open_standard_streams() -> None:
    """Opens those that the caller has closed, where Python has None: a user's file would get the number of
    standard error, and libraries write there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


class _Output(io.FileIO):
    """Standard output, which is named where it cannot be written to: ``No space left on device`` alone would
    be about the mount, the state directory or the account."""

    def write(self, piece: Any, /) -> int:
        try:
            return super().write(piece)
        except OSError as error:
            error.filename = OUTPUT
            raise


def _name_output() -> None:
    was = sys.stdout
    if isinstance(was, io.TextIOWrapper):
        output = io.BufferedWriter(_Output(was.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(output, was.encoding, was.errors, line_buffering=was.line_buffering)


def main() -> None:
    """The entry point of the ``mountfs`` program. What the encoding of a terminal lacks is escaped."""
    _open_standard_streams()
    _name_output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
