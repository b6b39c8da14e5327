"""``mountfs login`` and its like, run at the stand-ins of both services."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from daemon.cli import run
from tests.doubles.person import Person

BROWSER = Path(__file__).parents[2] / "doubles" / "browser.py"
ADDRESS = re.compile(r"^(https?://\S+[?]\S+)$", re.MULTILINE)


class Answers(io.StringIO):
    """Standard input of a script whose lines are worked out when they are asked for."""

    def __init__(self, answer: Callable[[], str]) -> None:
        super().__init__()
        self._answer = answer

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        return f"{self._answer()}\n"


@dataclass
class Site:
    """One stand-in, a configuration of the test's own, and somebody who has the account."""

    service: str
    sandbox: DropboxSandbox | BoxSandbox
    folder: Path
    person: Person
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    told: str = field(default="", init=False)

    @property
    def config(self) -> Path:
        return self.folder / "config" / "mountfs.toml"

    @property
    def state(self) -> Path:
        """The state directory of commands that run in this process."""
        return self.folder / "mountfs"

    @property
    def urls(self) -> dict[str, str]:
        url = self.sandbox.base_url
        if self.service == "box":
            return {
                "api_url": f"{url}/2.0",
                "upload_url": f"{url}/api/2.0",
                "token_url": f"{url}/oauth2/token",
                "authorize_url": f"{url}/api/oauth2/authorize",
            }
        names = ("api_url", "content_url", "notify_url")
        return {**dict.fromkeys(names, url), "authorize_url": f"{url}/oauth2/authorize"}

    @property
    def order(self) -> list[str]:
        """The options that name the service and the application."""
        sets = [part for key, value in self.urls.items() for part in ("--set", f"{key}={value}")]
        application = "sandbox-client" if self.service == "box" else "sandbox-app"
        named = ["--service", self.service, "--app-key", application, *sets]
        if self.service == "box":
            named += ["--secret-file", str(self.kept("secret", "sandbox-secret"))]
        return named

    def kept(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text + "\n")
        return path

    def run(self, *arguments: str | Path, stdin: str | Callable[[], str] = "") -> int:
        given = io.StringIO(stdin) if isinstance(stdin, str) else Answers(stdin)
        self.monkeypatch.setattr(sys, "stdin", given)
        return run(["--config", str(self.config), *(str(each) for each in arguments)])

    def copied(self) -> str:
        """What somebody copies from the page whose address the command has just printed."""
        url = self.asked()
        return self.person.copies_code(url) if self.service == "dropbox" else self.person.is_sent_to(url)

    def asked(self) -> str:
        self.told = self.capsys.readouterr().err
        (url,) = ADDRESS.findall(self.told)
        return str(url)

    def login(self, *more: str | Path) -> None:
        """Signs in without a browser, as ``work``."""
        code = self.run("login", "work", *self.order, "--no-browser", *more, stdin=self.copied)
        captured = self.capsys.readouterr()
        assert code == 0, captured.err

    def complaint(self, *arguments: str | Path, stdin: str | Callable[[], str] = "") -> str:
        """Of a command that must fail: the line it says."""
        assert self.run(*arguments, stdin=stdin) != 0
        captured = self.capsys.readouterr()
        assert captured.out == ""
        line = captured.err.rstrip("\n").rpartition("\n")[2]
        assert line.startswith("mountfs: ")
        return line.removeprefix("mountfs: ")

    def in_browser(
        self, *arguments: str, decision: str = "allow", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """``mountfs login`` as a program of its own, on a machine with a browser."""
        order = [sys.executable, "-m", "daemon.cli", "--config", str(self.config), "login", *arguments]
        environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PYTHONPATH": str(BROWSER.parents[2]),
            "BROWSER": f"{sys.executable} {BROWSER} {decision} %s",
            **more,
        }
        out, err = self.folder / "out", self.folder / "err"
        # No pipes: a browser that stays open would hold them open, too.
        with out.open("w") as stdout, err.open("w") as stderr:
            done = subprocess.run(order, stdout=stdout, stderr=stderr, env=environ, timeout=60, check=False)
        return subprocess.CompletedProcess(order, done.returncode, out.read_text(), err.read_text())


@contextmanager
def site_of(
    service: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A new account at *service*, and a user in *folder* with neither configuration nor browser."""
    for name in ("XDG_CONFIG_HOME", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setattr("daemon.cli.context.SYSTEM_CONFIG", folder / "etc.toml")
    monkeypatch.setattr("daemon.cli.context.SYSTEM_STATE_DIR", folder / "mountfs")
    person = Person()
    with BoxSandbox(token="sandbox") if service == "box" else DropboxSandbox(token="sandbox") as sandbox:
        yield Site(service, sandbox, folder, person, capsys, monkeypatch)
    person.close()
