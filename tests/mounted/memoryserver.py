"""An account in memory as a process: the port's calls and the stand-ins' control surface over HTTP.

``POST /call/METHOD`` takes and gives pickles: the far side of mounts in tests, and of nobody else. What
follows the method, as in ``submit/put``, is for the log and the faults.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import pickle
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from aiohttp import web

from cloudsandbox.control import Control, ControlError
from cloudsandbox.faults import FaultRule, FaultSchedule
from cloudsandbox.gate import Passage
from cloudsandbox.requestlog import RequestLog
from cloudsandbox.server import SandboxServer
from cloudsandbox.switches import read_mapping, updated
from mountfs.errors import Forbidden, MountfsError, NoSpace
from mountfs.model.entry import NS_PER_S, Entry, File, Place
from mountfs.model.order import Delete, MakeFolder, Move, Order, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.ports import Done, Launch
from tests.doubles.faulty import FaultyBackend
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MemoryAccount

CALL_PREFIX = "/call/"
WAITING_CALLS = 64
"""Calls answered at once; those that wait for changes hold one each."""

ORDERS = (Put, MakeFolder, Delete, Move, SetTime)

REFUSALS: dict[str, type[MountfsError]] = {"permission": Forbidden, "space": NoSpace}


@dataclass(frozen=True, slots=True)
class Switches:
    """What tests turn."""

    job_duration_s: float = 0.0
    latency_ms: float = 0.0
    quota_bytes: int = 0
    refusals: list[dict[str, str]] = field(default_factory=list)
    """Each: {"name": glob, "why": a word of REFUSALS}; what is committed under such a name is refused."""
    misstatements: int = 0
    """So many commits are answered with a hash of other bytes."""


class SteeredBackend(FaultyBackend):
    """An account that refuses by name and misstates hashes as the switches say."""

    def __init__(self, account: MemoryAccount) -> None:
        super().__init__(MemoryBackend(account))
        self.switches = Switches()

    def refusals(self, orders: Sequence[Order]) -> dict[int, MountfsError]:
        found = super().refusals(orders)
        for at, order in enumerate(orders):
            for rule in self.switches.refusals:
                if fnmatchcase(order.place.name, rule["name"]):
                    found[at] = REFUSALS[rule["why"]](f"{rule['why']} is refused here")
        return found

    def poll(self, job: str, orders: Sequence[Order]) -> Launch:
        launch = super().poll(job, orders)
        if isinstance(launch, Done) and self.switches.misstatements:
            self.switches = replace(self.switches, misstatements=self.switches.misstatements - 1)
            launch = Done(
                tuple(
                    replace(each, content_hash="0" * 64) if isinstance(each, File) else each
                    for each in launch.outcomes
                )
            )
        return launch


class MemoryService:
    """The memory account behind a stand-in's gate."""

    def __init__(self, log: RequestLog, switches: Switches, token: str) -> None:
        self.account = MemoryAccount()
        self.account.tree.moves_renew_revisions = False  # so that what is told as a version is one
        self.backend = SteeredBackend(self.account)
        self.surface = Control(self, log, token)
        self._pool = ThreadPoolExecutor(WAITING_CALLS)
        self._apply(switches)

    async def start(self) -> None:
        """Nothing is to be read."""

    async def stop(self) -> None:
        self.backend.close()
        self._pool.shutdown()

    def route_of(self, request: web.Request) -> str:
        return request.path.removeprefix(CALL_PREFIX)

    def latency_s(self) -> float:
        return self.backend.switches.latency_ms / 1000

    async def handle(self, passage: Passage) -> web.StreamResponse:
        method = self.route_of(passage.request).partition("/")[0]
        arguments, named = pickle.loads(await passage.request.read())
        _describe(passage, arguments)
        call = getattr(self.backend, method)
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._pool, lambda: call(*arguments, **named))
        except MountfsError as error:
            answer = error
        return web.Response(body=pickle.dumps(answer))

    async def control(self, request: web.Request) -> web.StreamResponse:
        return await self.surface.handle(request)

    async def fault(self, rule: FaultRule, request: web.Request) -> web.StreamResponse | None:
        return None

    def switch(self, values: dict[str, Any]) -> None:
        self._apply(updated(self.backend.switches, values))

    def switch_values(self) -> dict[str, Any]:
        return dataclasses.asdict(self.backend.switches)

    def _apply(self, switches: Switches) -> None:
        self.backend.switches = switches
        self.account.job_polls = 1 if switches.job_duration_s else 0
        self.account.poll_after_s = switches.job_duration_s or None
        self.account.tree.quota_bytes = switches.quota_bytes or None

    async def edit(self, change: dict[str, Any]) -> Any:
        account = self.account
        try:
            match change["op"]:
                case "write":
                    account.write(change["path"], change["text"].encode())
                case "mkdir":
                    account.mkdir(change["path"])
                case "delete":
                    account.remove(change["path"])
                case "move":
                    account.move(change["from_path"], change["to_path"])
                case other:
                    raise ControlError(f"no such edit: {other}")
        except (KeyError, MountfsError) as error:
            raise ControlError(str(error)) from error
        return {}

    async def tree(self) -> Any:
        with self.account.changed:
            found = {path.text: entry for path, entry in self.account.tree.walk()}
        return {path: _described(entry) for path, entry in sorted(found.items())}

    async def census(self) -> Any:
        kinds = [each["kind"] for each in (await self.tree()).values()]
        return {"files": kinds.count("file"), "folders": kinds.count("folder")}

    async def disk(self) -> Any:
        return None

    async def service_report(self, name: str) -> Any:
        if name == "most_at_once":
            return self.account.most_at_once
        raise KeyError(name)

    async def service_control(self, name: str, argument: dict[str, Any]) -> Any:
        with self.account.changed:
            if name == "content":
                return self.account.files()[argument["path"]].decode("latin-1")
            if name == "versions":
                file = self.account.get(argument["path"])
                assert isinstance(file, File)
                versions = {
                    record.entry.revision: _described(record.entry)
                    for record in self.account.tree.log
                    if isinstance(record.entry, File) and record.item_id == file.id
                }
                return list(versions.values())
        raise KeyError(name)


def _described(entry: Entry) -> dict[str, Any]:
    if not isinstance(entry, File):
        return {"kind": "folder", "id": entry.id}
    return {
        "kind": "file",
        "id": entry.id,
        "rev": entry.revision,
        "size": entry.size_bytes,
        "content_hash": entry.content_hash,
        "mtime_s": entry.mtime_ns // NS_PER_S,
    }


def _describe(passage: Passage, arguments: Sequence[Any]) -> None:
    """Into the log: which paths a call names, and how many orders it brings."""
    for argument in arguments:
        orders = [each for each in _listed(argument) if isinstance(each, ORDERS)]
        places = [each for each in _listed(argument) if isinstance(each, Place)]
        named = [each for each in _listed(argument) if isinstance(each, RemotePath)]
        places += [order.place for order in orders]
        places += [order.source for order in orders if isinstance(order, Move)]
        passage.record.paths += [path.text for path in (*(place.path for place in places), *named)]
        passage.record.entries += len(orders)


def _listed(argument: Any) -> Sequence[Any]:
    return argument if isinstance(argument, list | tuple) else [argument]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("service", choices=["memory"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--switches", type=Path)
    parser.add_argument("--token", required=True)
    parser.add_argument("--parent-pipe", action="store_true")
    arguments = parser.parse_args(argv)
    log = RequestLog()
    service = MemoryService(log, updated(Switches(), read_mapping(arguments.switches)), arguments.token)
    server = SandboxServer(service, log, FaultSchedule(), port=arguments.port)
    service.surface.gate = server.gate
    asyncio.run(_serve(server))
    return 0


async def _serve(server: SandboxServer) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.request_stop)
    threading.Thread(target=_watch_parent, args=(loop, server), daemon=True).start()
    await server.serve(lambda url: print(json.dumps({"url": url}), flush=True))


def _watch_parent(loop: asyncio.AbstractEventLoop, server: SandboxServer) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(server.request_stop)


if __name__ == "__main__":
    raise SystemExit(main())
