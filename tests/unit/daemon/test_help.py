"""The help, the completion and the manual page: made of the commands' own words, and quick."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from daemon.cli import _MODULES, cli, run
from daemon.cli.completion import SHELLS, VARIABLE, completion_script, manual_page
from daemon.cli.summaries import HIDDEN, SUMMARIES
from mountfs.tree.word import PENDING, Word

ROOT = Path(__file__).parents[3]
SHARE = ROOT / "share"
SCRIPTS = {"bash": "mountfs.bash", "zsh": "_mountfs", "fish": "mountfs.fish"}


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def test_summaries_are_the_commands_own_words() -> None:
    found = commands()
    assert {name for name, command in found.items() if command.hidden} == HIDDEN
    assert SUMMARIES.keys() <= found.keys() - HIDDEN
    for name, summary in SUMMARIES.items():
        own = " ".join((found[name].help or "").split())
        assert own.startswith(summary.rstrip(".")), name


def test_on_a_terminal_of_80_columns_no_summary_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for order in (["--help"], ["config", "--help"], ["sandbox", "--help"]):
        run(order)
        _, _, listed = capsys.readouterr().out.partition("Commands:\n")
        assert listed
        assert not [line for line in listed.splitlines() if line.endswith("...")]


def test_the_help_loads_no_command_and_nothing_that_draws() -> None:
    order = "import sys; bare = len(sys.modules); from daemon.cli import run; run(['--help']); "
    order += "print(len(sys.modules) - bare, *sys.modules)"
    done = subprocess.run([sys.executable, "-c", order], capture_output=True, text=True, check=True, cwd=ROOT)
    count, *names = done.stdout.split("\n")[-2].split()
    assert int(count) < 150, "it took 101 modules, and 57 ms of the processor more than Python alone"
    loaded = set(names)
    slow = {"rich.console", "requests", "fuse", "sqlite3", "importlib.metadata", "daemon.process.run"}
    assert not loaded & slow
    assert not loaded & {f"daemon.cli.{module}" for module in _MODULES.values()}
    for name in SUMMARIES:
        assert f"\n  {name} " in done.stdout


DRAW_TABLES = {"conflicts", "demo", "doctor", "pending", "remotes", "status"}
"""Or look at mounts as one of them does."""


def test_without_a_terminal_only_the_commands_with_tables_load_what_draws() -> None:
    modules = sorted(f"daemon.cli.{module}" for module in set(_MODULES.values()) - DRAW_TABLES)
    order = f"import sys, {', '.join(modules)}; from daemon.cli.context import Context; "
    order += "from daemon.cli.statusline import StatusLine; StatusLine(Context().terminal()); "
    order += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", order], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert loaded >= {*modules, "daemon.cli.statusline"}
    assert not [name for name in loaded if name.partition(".")[0] == "rich"]


def completed(words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is offered for the last of *words*."""
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    with pytest.raises(SystemExit):
        run([])
    return [line.partition(",")[2] for line in capsys.readouterr().out.split()]


def test_commands_options_and_choices_are_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed("mountfs st", capsys, monkeypatch) == ["status"]
    assert completed("mountfs conflicts --keep th", capsys, monkeypatch) == ["theirs"]
    assert completed("mountfs status --w", capsys, monkeypatch) == ["--watch"]
    assert "mount-helper" not in completed("mountfs ", capsys, monkeypatch)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_in_the_package_are_what_the_command_prints(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``MOUNTFS_WRITE_TABLES=1 pytest`` with this file writes them, and the manual page, anew."""
    made = completion_script(cli, shell)
    path = SHARE / SCRIPTS[shell]
    if os.environ.get("MOUNTFS_WRITE_TABLES"):
        path.write_text(f"{made}\n")
    assert path.read_text() == f"{made}\n"
    assert run(["completion", shell]) == 0
    assert capsys.readouterr().out == f"{made}\n"
    if shutil.which(shell):
        subprocess.run([shell, "-n", path], check=True)


def test_each_state_that_pending_shows_is_explained_by_its_help() -> None:
    told = commands()["pending"].help or ""
    assert [word.text for word in (*PENDING, Word.FAILED) if f'"{word.text}",' not in told] == []


def test_the_manual_page_in_the_package_is_that_of_the_commands() -> None:
    made = manual_page(click.Context(cli, info_name="mountfs"))
    path = SHARE / "mountfs.1"
    if os.environ.get("MOUNTFS_WRITE_TABLES"):
        path.write_text(made)
    assert path.read_text() == made
    for name in commands().keys() - HIDDEN:
        assert f".SS mountfs {name}".replace("-", "\\-") in made
    assert "helper" not in made.partition(".SH COMMANDS")[2].partition("install")[0]


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man(1) here")
def test_man_has_nothing_to_complain_of() -> None:
    order = ["man", "--warnings", "-E", "UTF-8", "-l", str(SHARE / "mountfs.1")]
    done = subprocess.run(order, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "mountfs - mount a Dropbox or Box account as a directory" in done.stdout
