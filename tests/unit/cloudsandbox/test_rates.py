"""Lines of so many bytes a second, windows of so many calls, and writes that exclude each other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.dropbox.dispatch import SINGLE_WRITES, Call, Dispatcher, Route
from cloudsandbox.dropbox.errors import Refused
from cloudsandbox.rates import Line, Link

NEVER_S = 1e-9  # bytes a second: nothing comes through while a test runs
PATIENCE_S = 0.5


def test_a_link_carries_one_after_the_other() -> None:
    link = Link(bytes_per_s=100)
    assert link.take(50, now_s=10.0) == 0.5
    assert link.take(100, now_s=10.0) == 1.5  # behind the first
    assert link.take(10, now_s=20.0) == pytest.approx(0.1)  # it was idle


def test_a_link_without_a_limit_keeps_nobody_waiting() -> None:
    link = Link()
    assert [link.take(10**12, now_s=0.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_line_lets_through_what_its_rate_allows() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 200
        yield b"y" * 100

    async def work() -> list[bytes]:
        line = Line(lambda: 0.0, sleep)
        line.apply(100.0, 50.0)
        through = [piece async for piece in line.uploaded(body())]
        await line.download(25)
        return through

    assert asyncio.run(work()) == [b"x" * 200, b"y" * 100]
    assert waits == [2.0, 3.0, 0.5]


@pytest.mark.parametrize("size", [1000, 2_000_000])  # in one piece, and streamed
@pytest.mark.parametrize("way", ["up_bytes_per_s", "down_bytes_per_s"])
def test_contents_of_a_dropbox_take_the_line(sandbox: DropboxSandbox, wire: Any, way: str, size: int) -> None:
    wire.upload("/f", bytes(size))
    sandbox.set_switches(**{way: NEVER_S})
    assert wire.ok("files/get_metadata", {"path": "/f"})["size"] == size
    headers = {"Authorization": "Bearer sandbox", "Content-Type": "application/octet-stream"}
    route, argument = ("upload", '{"path": "/g"}') if way.startswith("up") else ("download", '{"path": "/f"}')
    headers["Dropbox-API-Arg"] = argument
    url, body = f"{wire.url}/2/files/{route}", bytes(size) if route == "upload" else b""
    with pytest.raises(OSError, match="timed out"):
        wire.session.post(url, data=body, headers=headers, timeout=PATIENCE_S)
    sandbox.set_switches(**{way: 0.0})
    assert list(sandbox.files()) == ["/f"]


def test_contents_of_a_box_take_the_line(tmp_path: Path) -> None:
    with BoxSandbox(tmp_path, token="sandbox") as box, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer sandbox"
        number = box.write("/f", b"abc")["id"]
        box.set_switches(up_bytes_per_s=NEVER_S, down_bytes_per_s=NEVER_S, refuse_forwarded_token=False)
        assert session.get(f"{box.api_url}/files/{number}", timeout=20).json()["size"] == 3
        with pytest.raises(requests.exceptions.Timeout):
            session.get(f"{box.api_url}/files/{number}/content", timeout=PATIENCE_S)
        parts: dict[str, tuple[str | None, bytes]] = {
            "attributes": (None, b'{"name": "g", "parent": {"id": "0"}}'),
            "file": ("g", b"abc"),
        }
        with pytest.raises(requests.exceptions.Timeout):
            session.post(f"{box.upload_url}/files/content", files=parts, timeout=PATIENCE_S)
        assert list(box.files()) == ["/f"]


def test_a_dropbox_takes_so_many_calls_in_a_window(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_switches(calls_per_minute=1, rate_window_s=180.0)
    answers = [wire.rpc("files/list_folder", {"path": ""}) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    error = answers[-1].json()["error"]
    assert error["reason"] == {".tag": "too_many_requests"}
    assert 1 <= error["retry_after"] <= 60
    assert answers[-1].headers["Retry-After"] == str(error["retry_after"])


def on_loop(sandbox: DropboxSandbox, work: Callable[[Dispatcher], Any]) -> Any:
    server, service = sandbox._running()
    return server.call(lambda: work(service._dispatcher))


def call_of(sandbox: DropboxSandbox) -> Call:
    return Call(sandbox._running()[1].account, cast(Any, None), {})  # no handler here uses the request


async def done(_call: Call) -> dict[str, str]:
    return {"done": "yes"}


@pytest.mark.parametrize("name", sorted(SINGLE_WRITES))
def test_a_write_while_another_one_lasts_is_refused(sandbox: DropboxSandbox, name: str) -> None:
    sandbox.set_switches(write_duration_s=3600.0)
    call = call_of(sandbox)

    async def work(dispatcher: Dispatcher) -> str:
        write = Route(name, lambda value, _where: value, done)
        first = asyncio.ensure_future(dispatcher._carried_out(write, call))
        await asyncio.sleep(0)
        try:
            await dispatcher._carried_out(Route("files/list_folder", write.argument, done), call)
            with pytest.raises(Refused) as caught:
                await dispatcher._carried_out(write, call)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        return str(caught.value.error["reason"][".tag"])

    assert on_loop(sandbox, work) == "too_many_write_operations"


def test_writes_one_after_the_other_are_taken(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_switches(write_duration_s=0.001)
    for name in ("/a", "/b"):
        wire.upload(name, b"1")
        wire.ok("files/create_folder_v2", {"path": name + " folder"})
    assert len(sandbox.tree()) == 4
