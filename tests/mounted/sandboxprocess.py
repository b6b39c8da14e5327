"""The far side of a mount, as a process: what tests do to it and ask of it, whatever service it is."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mountfs.model.hashing import HashKind
from tests.mounted.forks import ForkedStandIn
from tests.ports import OwnPort
from tests.waiting import DEADLINE_S

REPOSITORY = Path(__file__).resolve().parents[2]
PLENTY_BYTES = 2_000_000_000_000


class Asked(StrEnum):
    """What a mount asks of a service, in the words of the promises."""

    START = "the start of a session"
    BYTES = "the bytes"
    COMMIT = "the commit"
    OUTCOME = "the outcome of a commit"
    DELETE = "a removal"
    MOVE = "a rename"
    MKDIR = "a new folder"
    LISTING = "what is in a folder"
    STANDING = "what stands at a place"


class Refusal(StrEnum):
    """Why a service does not take a file that is committed."""

    PERMISSION = "no permission to write here"
    SPACE = "no room in the account"


class SandboxProcess(ABC):
    """A stand-in as a child, and its control surface. It ends with this process, however that
    ends; `start` after `stop` or `kill9` listens on the same port with the same account. Nobody else gets the
    port meanwhile: every connection to another server needs one."""

    service: str
    hash_kind: HashKind
    program = "cloudsandbox"
    """The module that is run."""
    token = "sandbox"
    """Opens the account and the control surface."""
    mountfs: tuple[str, ...] = ("daemon.cli",)
    """What mounts it, for ``python -m``."""
    quiet: Mapping[str, Any]
    """The switches that tests turn, as they are at the start."""
    routes: Mapping[Asked, tuple[str, ...]]
    """What the log and the faults call it: patterns, where several calls do the same."""
    refused_names: Mapping[str, int]
    """Names the service does not take -> errno."""
    keeps_times: bool
    """Whether a new time for old bytes is kept."""
    streams: bool
    """Whether bytes travel while their file is still being written."""

    def __init__(self, data: Path, **switches: Any) -> None:
        self.data = data
        self.port = 0
        """0: `start` takes one that nobody has."""
        self._own: OwnPort | None = None
        self._switches = switches
        self._process: ForkedStandIn | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authorization(self) -> dict[str, str]:
        """The header that shows the token."""
        return {"Authorization": f"Bearer {self.token}"}

    @abstractmethod
    def remote(self) -> dict[str, str]:
        """The keys of a remote that is this account."""

    def start(self) -> None:
        """Returns when it listens."""
        if self.port == 0:
            self._own = OwnPort()
            self.port = self._own.number
        self.data.mkdir(parents=True, exist_ok=True)
        chosen = self.data.with_name(f"{self.data.name}.switches.json")
        chosen.write_text(json.dumps(self._switches))
        order = [self.program, self.service, "--data", str(self.data), "--port", str(self.port)]
        order += ["--token", self.token, "--switches", str(chosen), "--parent-pipe"]
        self._process = ForkedStandIn(order)
        line = self._process.stdout.readline()
        assert line, "the sandbox did not start"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def kill9(self) -> None:
        """Ends it in the middle of whatever it does; what its disk has is kept."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it; harmless when it does not run."""
        self._end(signal.SIGTERM)

    def __enter__(self) -> SandboxProcess:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    # What goes wrong with it

    def pause(self) -> None:
        """The far side is down: every connection breaks, the control surface apart."""
        self._post("pause")

    def resume(self) -> None:
        self._post("resume")

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Puts these fault rules in force instead of all others; none ends all faults."""
        self._post("faults", list(rules))

    def spoil(self, asked: Asked, action: str, **how: Any) -> None:
        """From here on such requests fare as *action* says, instead of all other faults."""
        self.faults(*self.rules(asked, action, **how))

    def rules(self, asked: Asked, action: str, **how: Any) -> list[Mapping[str, Any]]:
        """What has such requests fare so, for `faults`."""
        return [{"route": route, "action": action, **how} for route in self.routes[asked]]

    def switches(self, **values: Any) -> None:
        self._post("switches", values)

    def calm_down(self) -> None:
        """Ends whatever tests made go wrong."""
        self.faults()
        self.switches(**self.quiet)
        self.resume()

    @abstractmethod
    def slow_commits(self, seconds: float) -> None:
        """Every commit takes that long."""

    @abstractmethod
    def refuse(self, name: str, why: Refusal) -> None:
        """Files whose name fits the pattern are refused at their commit, from here on."""

    def take_all(self) -> None:
        """Nothing is refused any more."""
        self.switches(**self.quiet)

    @abstractmethod
    def misstate_hash(self, path: str) -> None:
        """The next commit, one of the file that stands at *path*, is answered with a hash of other bytes."""

    # What other clients do and see

    def write(self, path: str, text: str) -> dict[str, Any]:
        """A file by another client."""
        return self._edit(op="write", path=path, text=text)

    def mkdir(self, path: str) -> None:
        """A folder by another client."""
        self._edit(op="mkdir", path=path)

    def remove(self, path: str) -> None:
        """A file, or a folder with all that is in it, goes by another client."""
        self._edit(op="delete", path=path)

    def move(self, source: str, target: str) -> None:
        """A move by another client."""
        self._edit(op="move", from_path=source, to_path=target)

    def tree(self) -> dict[str, dict[str, Any]]:
        """Path -> kind, id, and of files size, mtime_s and content_hash, in the service's own kind."""
        tree: dict[str, dict[str, Any]] = self._get("tree")
        return tree

    def files(self) -> dict[str, str]:
        """Path -> content hash, of all files."""
        return {path: each["content_hash"] for path, each in self.tree().items() if each["kind"] == "file"}

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The whole file, as another client gets it."""

    @abstractmethod
    def versions(self, path: str) -> list[dict[str, Any]]:
        """Every version of the file that the service knows, the oldest first: size and content_hash, as in
        `tree`."""

    def version_sizes(self, path: str) -> list[int]:
        """Bytes of every version of the file that the service knows, the oldest first."""
        return [int(version["size"]) for version in self.versions(path)]

    def revisions(self, path: str) -> int:
        """How many versions of the file the service knows."""
        return len(self.version_sizes(path))

    # What was asked of it

    def reset_log(self) -> None:
        """Forgets all requests and counts."""
        self._post("log/reset")

    def log(self, route: str = ".*") -> list[dict[str, Any]]:
        """The requests whose whole route fits the pattern, in order of arrival; times are monotonic."""
        records: list[dict[str, Any]] = self._get("log")["requests"]
        return [record for record in records if re.fullmatch(route, record["route"])]

    def asked(self, what: Asked) -> list[dict[str, Any]]:
        """The requests of one purpose, in order of arrival."""
        patterns = self.routes[what]
        return [record for record in self.log() if any(fnmatchcase(record["route"], p) for p in patterns)]

    def fault_counts(self) -> list[int]:
        """How many requests each fault rule befell, in the order in which `faults` was given them."""
        return [int(rule["fired"]) for rule in self._get("faults")["rules"]]

    def spoiled(self) -> list[dict[str, Any]]:
        """The requests that a fault befell."""
        return [record for record in self.log() if record["fault"]]

    def counts(self) -> dict[str, int]:
        """Requests by route."""
        counts: dict[str, int] = self._get("counts")["counts"]
        return counts

    @abstractmethod
    def uploads(self) -> int:
        """How many requests carried bytes up or committed them, questions after jobs included."""

    @abstractmethod
    def edits(self) -> int:
        """How many requests changed the account, or asked after such a change."""

    @abstractmethod
    def moves(self) -> int:
        """How many files and folders the mounts moved, each counted once by its top."""

    def peak(self, route: str) -> int:
        """The most requests of the route that were ever answered at once."""
        return int(self._get("counts")["peak_requests"].get(route, 0))

    def peak_jobs(self) -> int:
        """The most jobs that ever ran at once; 0 where there are none."""
        return 0

    def committed_names(self) -> list[str]:
        """The names of all small files whose commit was sent, so that one sent twice is in it twice."""
        return [path.rpartition("/")[2] for record in self.asked(Asked.COMMIT) for path in record["paths"]]

    def named(self) -> set[str]:
        """The last component of every path that any request named: not all services know paths."""
        return {path.rpartition("/")[2] for record in self.log() for path in record["paths"]}

    def check(self) -> None:
        """Fails when anything that was said to it or by it is not as the service describes it; where there
        is no description, nothing is."""
        return

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.signal(number)
        if process.wait(DEADLINE_S) is None:
            process.signal(signal.SIGKILL)
            assert process.wait(DEADLINE_S) is not None
        process.close()

    def _edit(self, **change: Any) -> dict[str, Any]:
        result: dict[str, Any] = self._post("edit", change)
        return result

    def _get(self, name: str) -> Any:
        return self._ask(urllib.request.Request(f"{self.url}/sandbox/{name}", headers=self.authorization))

    def _post(self, name: str, argument: Any = None) -> Any:
        body = json.dumps({} if argument is None else argument).encode()
        return self._ask(urllib.request.Request(f"{self.url}/sandbox/{name}", body, self.authorization))

    def _ask(self, request: urllib.request.Request) -> Any:
        return json.loads(self._fetch(request))

    def _fetch(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{request.full_url}: {error.read().decode()}") from None
