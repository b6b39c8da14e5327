"""``mountfs completion`` and ``mountfs manual``: made of the commands' own help."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from inspect import cleandoc

import click
from click.shell_completion import get_completion_class

VARIABLE = "_MOUNTFS_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the completion for a shell: bash, zsh or fish.

    \b
    bash: mountfs completion bash > ~/.local/share/bash-completion/completions/mountfs
    zsh:  mountfs completion zsh > "${fpath[1]}/_mountfs"
    fish: mountfs completion fish > ~/.config/fish/completions/mountfs.fish
    """
    click.echo(completion_script(context.find_root().command, shell))
    return 0


@click.command()
@click.pass_context
def manual(context: click.Context) -> int:
    """Print the manual page: mountfs manual | man -l -"""
    click.echo(manual_page(context.find_root()), nl=False)
    return 0


def completion_script(command: click.Command, shell: str) -> str:
    """What the shell is to read."""
    found = get_completion_class(shell)
    assert found is not None
    made = found(command, {}, "mountfs", VARIABLE)
    # Not source(): for bash it starts one to see whether it is new enough, which a package need not have.
    return made.source_template % made.source_vars()


def manual_page(root: click.Context) -> str:
    """In the language of man(7)."""
    return "\n".join(_manual(root)) + "\n"


def _manual(root: click.Context) -> Iterator[str]:
    group = root.command
    assert isinstance(group, click.Group)
    yield f'.TH MOUNTFS 1 "" "mountfs {version("mountfs")}" "User Commands"'
    yield ".SH NAME"
    yield "mountfs \\- mount a Dropbox or Box account as a directory"
    yield ".SH SYNOPSIS"
    yield ".B mountfs"
    yield r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(group.help or "")
    yield ".SH OPTIONS"
    yield from _options(group, root)
    yield ".SH COMMANDS"
    for name in group.list_commands(root):
        command = group.get_command(root, name)
        if command is not None and not command.hidden:
            yield from _command(command, click.Context(command, info_name=name, parent=root))
    yield ".SH FILES"
    for path, what in FILES.items():
        yield from (".TP", f".I {_plain(path)}", _plain(what))
    yield ".SH EXIT STATUS"
    yield "0: it is done. 1: it failed, or something is left, and is listed. 2: it was called wrongly."
    yield "Commands that mean more by it say so above."
    yield ".SH SEE ALSO"
    yield ".BR fstab (5),\n.BR fuse (4),\n.BR mount (8),\n.BR systemctl (1)"


FILES = {
    "~/.config/mountfs/mountfs.toml": "Your configuration; mountfs config init writes one with all keys.",
    "/etc/mountfs/mountfs.toml": "That of the machine, where you have none.",
    "~/.local/state/mountfs, /var/lib/mountfs": "Journals, pending bytes, the cache; of root the second.",
}


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    pieces = " ".join(command.collect_usage_pieces(context))
    yield ".SS " + _plain(f"{context.command_path} {pieces}")
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _command(below, click.Context(below, info_name=name, parent=context))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or not record[1] or "--help" in record[0]:
            continue
        yield ".TP"
        yield f".B {_plain(record[0])}"
        yield _plain(record[1])


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *(_plain(line) for line in paragraph.split("\n")[1:]), ".fi")
        else:
            yield _plain(" ".join(paragraph.split()))


def _plain(text: str) -> str:
    """As roff takes it for text: no line begins with a control character."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
