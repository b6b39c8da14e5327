"""What both services have in common of what a server hosts: an account, its switches, its control surface."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from aiohttp import web

from cloudsandbox.account import Account
from cloudsandbox.control import Control
from cloudsandbox.gate import Service
from cloudsandbox.requestlog import RequestLog
from cloudsandbox.switches import updated

A = TypeVar("A", bound=Account)


class AccountService(Service, ABC, Generic[A]):
    """Hosts one account. Routes, faults and edits are the service's own."""

    def __init__(self, account: A, log: RequestLog, token: str) -> None:
        self.account = account
        self.surface = Control(self, log, token)

    async def start(self) -> None:
        """Get the account ready."""
        await self.account.start()

    async def stop(self) -> None:
        """Close the account."""
        await self.account.stop()

    def latency_s(self) -> float:
        """The switch latency_ms in seconds."""
        return float(self.account.switches.latency_ms) / 1000

    async def control(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the control surface."""
        return await self.surface.handle(request)

    def switch(self, values: dict[str, Any]) -> None:
        """Change switches. Raises SwitchError."""
        self.account.apply(updated(self.account.switches, values))

    def switch_values(self) -> dict[str, Any]:
        """All switches as they are."""
        return dataclasses.asdict(self.account.switches)

    async def tree(self) -> Any:
        """Path -> what is there, as `snapshot` of the account tells it."""
        return await self.account.run(self.account.snapshot)

    async def disk(self) -> Any:
        """Bytes on the disk."""
        return await self.account.run(self.account.history.report)

    @abstractmethod
    async def edit(self, change: dict[str, Any]) -> Any:
        """Change the account as another client would. Raises ControlError."""

    @abstractmethod
    async def census(self) -> Any:
        """How many files and folders there are."""

    async def service_report(self, name: str) -> Any:
        """A report only this service has. Raises KeyError when there is none."""
        raise KeyError(name)

    @abstractmethod
    async def service_control(self, name: str, argument: dict[str, Any]) -> Any:
        """A command only this service has. Raises ControlError, KeyError when there is none."""
