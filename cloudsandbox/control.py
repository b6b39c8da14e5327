"""The control surface under /sandbox/: how a test that is another process watches and steers a stand-in."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web

from cloudsandbox.bearer import is_shown
from cloudsandbox.faults import parse_rules
from cloudsandbox.gate import Gate
from cloudsandbox.requestlog import RequestLog
from cloudsandbox.server import CONTROL_PREFIX


class Controlled(Protocol):
    """What the control surface needs of a service. All methods run on the server's loop."""

    def switch(self, values: dict[str, Any]) -> None:
        """Change switches. Raises SwitchError."""

    def switch_values(self) -> dict[str, Any]:
        """All switches as they are."""

    async def edit(self, change: dict[str, Any]) -> Any:
        """Change the account as another client would. Raises ControlError."""

    async def tree(self) -> Any:
        """Everything there is, by path."""

    async def census(self) -> Any:
        """How many `files` and `folders` there are, the root not counted: cheap, also of many."""

    async def disk(self) -> Any:
        """Bytes on the disk: of all contents that revisions name, and of those that only old ones do."""

    async def service_report(self, name: str) -> Any:
        """A report only this service has. Raises KeyError when there is none."""

    async def service_control(self, name: str, argument: dict[str, Any]) -> Any:
        """A command only this service has. Raises ControlError, KeyError when there is none."""


class ControlError(ValueError):
    """A control request that makes no sense; its text is for the caller."""


class Control:
    """Answers the requests under CONTROL_PREFIX that show *token*, as the service's own API has it shown."""

    def __init__(self, service: Controlled, log: RequestLog, token: str) -> None:
        self._service = service
        self._log = log
        self._token = token
        self.gate: Gate | None = None  # set when the server stands
        self._gets: dict[str, Callable[[], Awaitable[Any]]] = {
            "log": self._get_log,
            "counts": self._get_counts,
            "tree": service.tree,
            "census": service.census,
            "switches": self._get_switches,
            "faults": self._get_faults,
            "disk": service.disk,
        }
        self._posts: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "log/reset": self._reset_log,
            "faults": self._set_faults,
            "switches": self._set_switches,
            "pause": self._pause,
            "resume": self._resume,
            "edit": self._edit,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The response to one control request: JSON, or 400 with a line of text; 401 without the token."""
        if not is_shown(self._token, request.headers.get("Authorization")):
            return web.Response(status=401, text="the control surface wants the sandbox's token")
        name = request.path.removeprefix(CONTROL_PREFIX)
        try:
            if request.method == "GET":
                report = self._gets.get(name)
                result = await (report() if report is not None else self._service.service_report(name))
            elif request.method == "POST":
                text = (await request.read()).decode("utf-8")
                argument = json.loads(text) if text.strip() else {}
                if name in self._posts:
                    result = await self._posts[name](argument)
                elif isinstance(argument, dict):
                    result = await self._service.service_control(name, argument)
                else:
                    raise ControlError(f"what {name} is given is an object")
            else:
                return web.Response(status=404, text=f"no control {name}")
        except KeyError:
            return web.Response(status=404, text=f"no control {name}")
        except (
            ValueError,
            RecursionError,
        ) as error:  # ControlError, FaultError, SwitchError; no JSON or text
            return web.Response(status=400, text=str(error))
        return web.json_response(result)

    async def _get_log(self) -> Any:
        return {**self._log.summary(), "requests": self._log.as_json()}

    async def _get_counts(self) -> Any:
        return self._log.summary()

    async def _get_switches(self) -> Any:
        return self._service.switch_values()

    async def _get_faults(self) -> Any:
        return {"rules": self._gate().faults.report()}

    async def _reset_log(self, _argument: Any) -> Any:
        self._log.reset()

    async def _set_faults(self, argument: Any) -> Any:
        self._gate().faults.replace(parse_rules(argument))

    async def _set_switches(self, argument: Any) -> Any:
        if not isinstance(argument, dict):
            raise ControlError("switches are an object")
        self._service.switch(argument)
        return self._service.switch_values()

    async def _pause(self, _argument: Any) -> Any:
        self._gate().pause()

    async def _resume(self, _argument: Any) -> Any:
        self._gate().resume()

    async def _edit(self, argument: Any) -> Any:
        if not isinstance(argument, dict):
            raise ControlError("an edit is an object")
        return await self._service.edit(argument)

    def _gate(self) -> Gate:
        if self.gate is None:
            raise ControlError("the sandbox is not running")
        return self.gate
