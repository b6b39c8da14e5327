"""Names of the configuration, completed by real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import run
from daemon.cli.completion import VARIABLE
from tests.terminal import Terminal

ROOT = Path(__file__).parents[3]
CONFIG = '[remotes.work]\ntype = "dropbox"\n[mounts.scans]\nremote = "work:"\nmountpoint = "/mnt"\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of somebody with an account and a mount."""
    config = tmp_path / ".config" / "mountfs" / "mountfs.toml"
    config.parent.mkdir(parents=True, mode=0o700)
    config.write_text(CONFIG)
    path = f"{Path(sys.prefix) / 'bin'}:/usr/bin:/bin"
    return {"HOME": str(tmp_path), "PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("mountfs mount wo", ["work:"]),
        ("mountfs mount sandbox-d", ["sandbox-dropbox:"]),
        ("mountfs mount --instance ", ["scans"]),
        ("mountfs fsck wo", ["work:"]),
        ("mountfs doctor wo", ["work:"]),
        ("mountfs export --of wo", ["work:"]),
        ("mountfs logout ", ["work"]),
        ("mountfs --config CONFIG login o", ["other"]),
        ("mountfs --config /absent login ", []),
    ],
)
def test_remotes_and_mounts_are_completed(
    words: str,
    offered: list[str],
    environ: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", environ["HOME"])
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "c.toml").write_text('[remotes.other]\ntype = "box"\n')
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words.replace("CONFIG", str(tmp_path / "c.toml")))
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    with pytest.raises(SystemExit):
        run([])
    assert [line.partition(",")[2] for line in capsys.readouterr().out.split()] == offered


SETUPS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {share}/mountfs.bash"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D; source {share}/_mountfs"),
}


@pytest.mark.parametrize("shell", SETUPS)
def test_a_shell_completes_a_remote_as_it_is_typed(
    shell: str, environ: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    order, setup = SETUPS[shell]
    with Terminal(order, environ, tmp_path) as terminal:
        terminal.type(setup.format(share=ROOT / "share") + "; echo re''ady\n")
        terminal.expect("ready")
        terminal.type("echo mo''untfs; mountfs mount wo\t")
        terminal.expect("wo" + "rk:")
        terminal.type("\x03exit\n")


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish on this machine")
def test_fish_completes_a_remote(environ: dict[str, str], tmp_path: Path) -> None:
    order = f"source {ROOT}/share/mountfs.fish; complete -C 'mountfs mount wo'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", order],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "work:" in done.stdout, done.stderr
