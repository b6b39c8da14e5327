"""A stand-in as an object, on a thread of this process or as the body of its own."""

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from cloudsandbox.accountservice import AccountService
from cloudsandbox.bearer import chosen
from cloudsandbox.faults import FaultRule, FaultSchedule, parse_rules
from cloudsandbox.requestlog import RequestLog
from cloudsandbox.server import LOOPBACK_HOSTS, SandboxServer
from cloudsandbox.tls import Authority

CA_FILE = "ca.pem"
"""Beside the data: the certificate that clients have to trust, another one at each start."""


class Keyed(Protocol):
    """Switches, some of which are the keys of the account."""

    def with_keys(self, token: str) -> Self:
        """These switches, the keys that nobody chose made of *token*."""


S = TypeVar("S", bound=AccountService[Any])
W = TypeVar("W", bound=Keyed)


class Sandbox(ABC, Generic[S, W]):
    """A stand-in on loopback. Without *data* its state lives in a temporary directory that `stop` removes.

    *token* opens the account and the control surface; a random one when it is None. The other keys, unless
    switches choose them, are made of it. Raises TokenError.

    With an *authority* it speaks TLS, as a server of these *names*; `ca_file` is what clients have to trust.

    `start` and `stop` may be called again and again; state in *data* carries over. Methods are for any thread
    but the sandbox's own.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        authority: Authority | None = None,
        names: Sequence[str] = LOOPBACK_HOSTS,
        switches: W | None = None,
        faults: list[FaultRule] | None = None,
    ) -> None:
        self.token = chosen(token)
        self._switches = (switches or self._usual_switches()).with_keys(self.token)
        self._data = data
        self._scratch: Path | None = None
        self._host = host
        self._port = port
        self._authority = authority
        self._names = names
        self.ca_file: Path | None = None
        self._faults = faults or []
        self._server: SandboxServer | None = None
        self._service: S | None = None
        self.log = RequestLog()
        self.base_url = ""

    @abstractmethod
    def _usual_switches(self) -> W:
        """Those of a service that nobody has changed."""

    @abstractmethod
    def _make_service(self, data: Path) -> S:
        """The service with its state in *data*."""

    @abstractmethod
    def _apply_edit(self, service: S, change: dict[str, Any]) -> dict[str, Any]:
        """Change the account as another client would. On the state thread. Raises ControlError."""

    @abstractmethod
    def _content(self, service: S, path: str) -> bytes:
        """The content of the file at *path*. On the state thread."""

    def build(self) -> SandboxServer:
        """The server, not yet listening: for a process that brings its own loop and calls its `serve`."""
        data = self._data
        if data is None:
            data = self._scratch = Path(tempfile.mkdtemp(prefix="cloudsandbox-"))
        service = self._make_service(data)
        try:
            ssl_context = None
            if self._authority is not None:
                self.ca_file = data / CA_FILE
                self._authority.write(self.ca_file)
                ssl_context = self._authority.server_context(*self._names)
            server = SandboxServer(
                service,
                self.log,
                FaultSchedule(self._faults),
                host=self._host,
                port=self._port,
                ssl_context=ssl_context,
            )
        except BaseException:
            service.account.close()
            raise
        service.surface.gate = server.gate
        self._service, self._server = service, server
        return server

    def start(self) -> str:
        """Listen on a thread of its own; gives the base URL, which all roles share."""
        try:
            self.base_url = self.build().start()
        except BaseException:
            self.stop()
            raise
        return self.base_url

    def stop(self) -> None:
        """Stop listening and close the state; harmless when not running."""
        if self._server is not None:
            self._server.stop()
        self._server = self._service = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch)
            self._scratch = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def set_faults(self, rules: list[FaultRule | dict[str, Any]]) -> None:
        """Put fault rules in force, their counters at zero; an empty list ends all faults."""
        parsed = [rule if isinstance(rule, FaultRule) else parse_rules([rule])[0] for rule in rules]
        server = self._running()[0]
        server.call(lambda: server.gate.faults.replace(parsed))

    def set_switches(self, **values: Any) -> None:
        """Change switches. Raises SwitchError."""
        server, service = self._running()
        server.call(lambda: service.switch(values))

    def switches(self) -> dict[str, Any]:
        """All switches as they are."""
        return self._running()[1].switch_values()

    def pause(self) -> None:
        """Be down: every connection breaks, until `resume`."""
        server = self._running()[0]
        server.call(server.gate.pause)

    def resume(self) -> None:
        """Be up again."""
        server = self._running()[0]
        server.call(server.gate.resume)

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Change the account as another client, as `POST /sandbox/edit` does. Raises ControlError."""
        result: dict[str, Any] = self._on_state(self._apply_edit, self._running()[1], change)
        return result

    def delete(self, path: str) -> None:
        """Delete a file or folder as another client."""
        self.edit({"op": "delete", "path": path})

    def move(self, from_path: str, to_path: str) -> None:
        """Move a file or folder as another client."""
        self.edit({"op": "move", "from_path": from_path, "to_path": to_path})

    def create_folder(self, path: str) -> None:
        """Create a folder as another client."""
        self.edit({"op": "mkdir", "path": path})

    def read(self, path: str) -> bytes:
        """The content of a file, straight from the state."""
        data: bytes = self._on_state(self._content, self._running()[1], path)
        return data

    def tree(self) -> dict[str, dict[str, Any]]:
        """Path -> what is there: its kind, its id, and for files size, hash, version and time."""
        snapshot: dict[str, dict[str, Any]] = self._on_state(self._running()[1].account.snapshot)
        return snapshot

    def disk(self) -> dict[str, int]:
        """Bytes on the disk: `content_bytes` of all revisions, `history_bytes` of what only old ones name."""
        report: dict[str, int] = self._on_state(self._running()[1].account.history.report)
        return report

    def files(self) -> dict[str, dict[str, Any]]:
        """The files of `tree`."""
        return {path: each for path, each in self.tree().items() if each["kind"] == "file"}

    def _on_state(self, work: Callable[..., Any], *args: Any) -> Any:
        return self._running()[1].account.state.submit(work, *args).result()

    def _running(self) -> tuple[SandboxServer, S]:
        if self._server is None or self._service is None:
            raise RuntimeError("the sandbox is not running")
        return self._server, self._service
