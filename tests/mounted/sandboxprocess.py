"""The stand-ins as processes, for tests of the whole product."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mountfs.model.hashing import HashKind

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 40.0
UPLOAD_ROUTES = re.compile(r"files/(upload|upload_session/.*)")
EDIT_ROUTES = re.compile(r"files/(upload.*|create_folder.*|delete.*|move.*|copy.*)")


def until(is_so: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Returns once *is_so* gives something true; fails with *what* after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end_s, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.02)


class SandboxProcess:
    """The Dropbox stand-in as a child, and its control surface. It ends with this process, however that
    ends; `start` after `stop` or `kill9` listens on the same port with the same account."""

    service = "dropbox"
    hash_kind = HashKind.DROPBOX
    quiet: Mapping[str, Any] = {
        "entry_failures": [],
        "job_duration_s": 0.05,
        "latency_ms": 0.0,
        "quota_bytes": 2_000_000_000_000,
    }
    """The switches that tests turn, as they are at the start."""

    def __init__(self, data: Path, **switches: Any) -> None:
        self.data = data
        self.port = 0
        self._switches = switches
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it listens."""
        self.data.mkdir(parents=True, exist_ok=True)
        chosen = self.data.with_name(f"{self.data.name}.switches.json")
        chosen.write_text(json.dumps(self._switches))
        order = [sys.executable, "-m", "mountfs.sandbox", self.service, "--data", str(self.data)]
        order += ["--port", str(self.port), "--switches", str(chosen), "--parent-pipe"]
        self._process = subprocess.Popen(
            order, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the sandbox did not start"
        self.port = int(json.loads(line)["url"].rpartition(":")[2])

    def kill9(self) -> None:
        """Ends it in the middle of whatever it does; what its disk has is kept."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it; harmless when it does not run."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """The far side is down: every connection breaks, the control surface apart."""
        self._post("pause")

    def resume(self) -> None:
        self._post("resume")

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Puts these fault rules in force instead of all others; none ends all faults."""
        self._post("faults", list(rules))

    def switches(self, **values: Any) -> None:
        self._post("switches", values)

    def edit(self, **change: Any) -> dict[str, Any]:
        """A change by another client: op="write", path=, text=; "delete"; "mkdir"; "move"."""
        result: dict[str, Any] = self._post("edit", change)
        return result

    def write(self, path: str, text: str) -> dict[str, Any]:
        """A file by another client."""
        return self.edit(op="write", path=path, text=text)

    def reset_log(self) -> None:
        """Forgets all requests and counts."""
        self._post("log/reset")

    def log(self, route: str = ".*") -> list[dict[str, Any]]:
        """The requests whose whole route fits the pattern, in order of arrival; times are monotonic."""
        records: list[dict[str, Any]] = self._get("log")["requests"]
        return [record for record in records if re.fullmatch(route, record["route"])]

    def counts(self) -> dict[str, int]:
        """Requests by route."""
        counts: dict[str, int] = self._get("counts")["counts"]
        return counts

    def uploads(self) -> int:
        """Requests that carry bytes up or commit them, questions after jobs included."""
        return sum(count for route, count in self.counts().items() if UPLOAD_ROUTES.fullmatch(route))

    def edits(self) -> int:
        """Requests that change the account, or ask after such a change."""
        return sum(count for route, count in self.counts().items() if EDIT_ROUTES.fullmatch(route))

    def peak(self, route: str) -> int:
        """The most requests of the route that were ever answered at once."""
        return int(self._get("counts")["peak_requests"].get(route, 0))

    def peak_jobs(self) -> int:
        """The most finish_batch jobs that ever ran at once."""
        return int(self._get("counts")["peak_jobs"].get("finish_batch", 0))

    def named(self) -> set[str]:
        """Every path that any request named."""
        return {path for record in self.log() for path in record["paths"]}

    def tree(self) -> dict[str, dict[str, Any]]:
        """Path -> kind, and of files rev, size, content_hash."""
        tree: dict[str, dict[str, Any]] = self._get("tree")
        return tree

    def files(self) -> dict[str, str]:
        """Path -> content hash, of all files."""
        return {path: each["content_hash"] for path, each in self.tree().items() if each["kind"] == "file"}

    def committed_paths(self) -> list[str]:
        """The paths of all entries of all finish_batch calls, so that one sent twice is in it twice."""
        finishes = self.log("files/upload_session/finish_batch(_v2)?")
        return [path for record in finishes for path in record["paths"]]

    def content(self, path: str) -> bytes:
        """The whole file, as another client gets it."""
        headers = {"Authorization": "Bearer sandbox", "Dropbox-API-Arg": json.dumps({"path": path})}
        request = urllib.request.Request(f"{self.url}/2/files/download", headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            content: bytes = response.read()
            return content

    def revisions(self, path: str) -> int:
        """How many versions of the file the service knows, by its own API."""
        body = json.dumps({"path": path, "limit": 100}).encode()
        headers = {"Authorization": "Bearer sandbox", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/2/files/list_revisions", body, headers)
        return len(self._ask(request)["entries"])

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def _get(self, name: str) -> Any:
        return self._ask(urllib.request.Request(f"{self.url}/sandbox/{name}"))

    def _post(self, name: str, argument: Any = None) -> Any:
        body = json.dumps({} if argument is None else argument).encode()
        return self._ask(urllib.request.Request(f"{self.url}/sandbox/{name}", data=body, method="POST"))

    def _ask(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{request.full_url}: {error.read().decode()}") from None


@contextlib.contextmanager
def sandbox_process(data: Path, **switches: Any) -> Iterator[SandboxProcess]:
    """A sandbox that runs while the block does."""
    sandbox = SandboxProcess(data, **switches)
    try:
        sandbox.start()
        yield sandbox
    finally:
        sandbox.stop()
