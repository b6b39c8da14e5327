"""rclone as a client of one stand-in, in a folder of the test's own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox

TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Rclone:
    """The program with a configuration that has a remote for each service."""

    program: str
    home: Path
    proxy_url: str
    ca_file: Path

    @property
    def config(self) -> Path:
        """Where the remotes and their tokens stand; rclone writes new tokens into it."""
        return self.home / "rclone.conf"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the caller's but PATH: a failing call is not tried again unless a test says so."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HTTPS_PROXY": self.proxy_url,
            "HTTP_PROXY": self.proxy_url,
            "RCLONE_CONFIG": str(self.config),
            "RCLONE_CACHE_DIR": str(self.home / "cache"),
            "RCLONE_CA_CERT": str(self.ca_file),
            "SSL_CERT_FILE": str(self.ca_file),  # for the long poll, which does not go by --ca-cert
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
            "RCLONE_DROPBOX_BATCH_TIMEOUT": "100ms",
            "RCLONE_DROPBOX_BATCH_COMMIT_TIMEOUT": "30s",
        }

    def configure(self, token: dict[str, Any]) -> None:
        """Write the two remotes with this token."""
        kept = json.dumps(token)
        self.config.write_text(
            "[dropbox]\ntype = dropbox\nclient_id = sandbox-app\nclient_secret = sandbox-secret\n"
            f"token = {kept}\n"
            "[box]\ntype = box\nclient_id = sandbox-client\nclient_secret = sandbox-secret\n"
            f"token = {kept}\n"
        )

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """One command to its end, whatever its exit code."""
        command = [self.program, *map(str, arguments)]
        return subprocess.run(
            command, input=stdin, capture_output=True, env=self.environment, timeout=TIMEOUT_S
        )


def find_rclone() -> str | None:
    """The program of the tests' extra, else one of the machine's."""
    beside_python = str(Path(sys.executable).parent)
    return shutil.which("rclone", path=os.pathsep.join([beside_python, os.environ["PATH"]]))


def files_on_disk(top: Path) -> dict[str, bytes]:
    """Path below *top* -> bytes, of all files."""
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@dataclass(frozen=True, slots=True)
class Remote:
    """A folder of one account, seen from both sides: by rclone, and in the state of the stand-in."""

    service: str
    sandbox: DropboxSandbox | BoxSandbox
    rclone: Rclone
    folder: str

    def at(self, path: str = "", folder: str | None = None) -> str:
        """What rclone calls *path*."""
        return f"{self.service}:{folder or self.folder}/{path}".removesuffix("/")

    def call(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run a command that must succeed; gives what it printed."""
        done = self.rclone.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def refused(self, *arguments: str | Path) -> str:
        """Run a command that must fail; gives its complaint."""
        done = self.rclone.run(*arguments)
        assert done.returncode != 0, done.stdout.decode()
        return done.stderr.decode()

    def calls_of(self, work: Callable[[], Any]) -> dict[str, int]:
        """How often *work* makes rclone call each route."""
        before = self.sandbox.log.counts.copy()
        work()
        return dict(self.sandbox.log.counts - before)

    def write(self, path: str, data: bytes) -> None:
        """Put a file into the folder, as somebody else."""
        self.sandbox.write(f"/{self.folder}/{path}", data)

    def read(self, path: str) -> bytes:
        """The bytes that the service has of a file."""
        return self.sandbox.read(f"/{self.folder}/{path}")

    def tree(self) -> dict[str, dict[str, Any]]:
        """What the service has in the folder, by path below it."""
        start = f"/{self.folder}/"
        everything = self.sandbox.tree().items()
        return {path.removeprefix(start): each for path, each in everything if path.startswith(start)}

    def files(self) -> dict[str, bytes]:
        """Path -> bytes of the files the service has in the folder."""
        return {path: self.read(path) for path, each in self.tree().items() if each["kind"] == "file"}
