"""A sandbox as far away as a service: over TLS, at the hosts that clients have built in, as a child."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.tls import Authority
from tests.bench.apart import PORT, is_apart
from tests.bench.filled import fill
from tests.bench.hosts import BOX_DOWNLOADS, HOSTS

TOKEN = "sandbox"
FAST: dict[str, dict[str, Any]] = {
    "dropbox": {"job_duration_s": 0.3, "job_entry_s": 0.002, "quota_bytes": 10**13},
    "box": {
        "refuse_forwarded_token": False,
        "commit_retry_after_s": 0,
        "record_exchanges": False,
    },
}


class LifelikeSandbox:
    """``url``, ``ca_file``, ``port``: where it is; it ends with this process."""

    def __init__(
        self,
        service: str,
        folder: Path,
        latency_ms: float,
        link_mb_s: float = 0.0,
        *,
        filled: tuple[int, int] = (0, 0),
    ) -> None:
        """*link_mb_s*: of contents in each direction, in MB/s; 0: no limit. Clients are led here from the
        service's own hosts, so Box sends downloads to another host, as it does.
        *filled*: the account has so many folders, of so many files; of Dropbox alone."""
        self.service = service
        folder.mkdir(parents=True)
        self.ca_file = folder / "ca.pem"
        link = dict.fromkeys(("up_bytes_per_s", "down_bytes_per_s"), link_mb_s * 1e6)
        switches = {**FAST[service], "latency_ms": latency_ms, **link}
        if service == "box":
            switches["download_host"] = BOX_DOWNLOADS
        order = [sys.executable, "-m", "tests.bench.lifelike", service, str(folder), json.dumps(switches)]
        order += map(str, filled)
        self._process = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the sandbox did not start"
        self.url = json.loads(line)["url"]
        self.port = int(self.url.rpartition(":")[2])
        self._context = ssl.create_default_context(cafile=str(self.ca_file))

    def files(self) -> int:
        """How many the account has."""
        found: int = self._get("census")["files"]
        return found

    def hashes(self) -> dict[str, str]:
        """Path -> hash of all files: for accounts with few."""
        return {
            path: each.get("content_hash") or each["sha1"]
            for path, each in self._get("tree").items()
            if each["kind"] == "file"
        }

    def count_below(self, start: str) -> int:
        """How many paths begin with *start*."""
        return sum(path.startswith(start) for path in self._get("tree"))

    def counts(self) -> dict[str, int]:
        """Calls by route."""
        found: dict[str, int] = self._get("counts")["counts"]
        return found

    def _get(self, what: str) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        request = urllib.request.Request(f"{self.url}/sandbox/{what}", headers=headers)
        with urllib.request.urlopen(request, context=self._context) as reply:
            return json.load(reply)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def main(service: str, folder: str, switches: str, folders: str, files: str) -> None:
    """The child: serves until standard input ends."""
    data = Path(folder) / "data"
    if int(folders):
        with DropboxSandbox(data, token=TOKEN) as sandbox:
            sandbox.write("/first", b"x")
        fill(data, int(folders), int(files))
    authority = Authority()
    authority.write(Path(folder) / "ca.pem")
    kind = BoxSandbox if service == "box" else DropboxSandbox
    names = [*HOSTS[service], "127.0.0.1"]
    port = PORT if is_apart() else 0
    with kind(data, token=TOKEN, authority=authority, names=names, port=port) as sandbox:
        sandbox.set_switches(**json.loads(switches))
        print(json.dumps({"url": sandbox.base_url}), flush=True)
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
