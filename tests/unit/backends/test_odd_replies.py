"""Whatever a service replies, only errors of ours leave the port, and what is sound of it is kept."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.wire import Response
from mountfs.errors import MountfsError, ServerFault
from mountfs.model.entry import File, Folder, Odd
from mountfs.model.path import RemotePath
from mountfs.ports import Backend
from tests.contract.boxfar import UNLIMITED, BoxFar
from tests.contract.far import (
    DropboxFar,
    Far,
    OneToken,
    delete_order,
    finish,
    large_order,
    mkdir_order,
    move_order,
    pack,
    place,
    put_file,
    sent,
    time_order,
    upload_parts,
)
from tests.doubles.sources import append_pack, append_part, upload_whole
from tests.fakes.clock import FakeClock
from tests.unit.backends.tampering import Call, Recorder, Replay, assert_sound, tampered

BODY = b"hello world\n"
REMEMBERED = frozenset({"read", "append again", "upload"})
"""Calls whose replies change what the next of them asks for."""
LARGE = bytes(range(256)) * 40


@dataclass
class Kept:
    """A call, and what the stand-in replied to it."""

    call: Call
    replies: list[Response]


@dataclass
class Service:
    """The calls of one service with their replies, and unconnected backends to repeat them on."""

    connect: Callable[[], Backend]
    kept: dict[str, Kept]


def record(backend: Any, call: Call) -> Kept:
    http = backend._http
    recorder = Recorder(http.exchange)
    http.exchange = recorder
    try:
        call(backend)
    finally:
        del http.exchange
    # However often it had to be asked whether it is done: twice tells as much.
    replies = [
        reply
        for at, reply in enumerate(recorder.replies)
        if at < 2 or any(reply.body != before.body for before in recorder.replies[at - 2 : at])
    ]
    return Kept(call, replies)


def _common(far: Far) -> dict[str, Kept]:
    """Calls that every service answers; what they change they change for once."""
    backend = far.backend
    far.write("/f/a.txt", BODY)
    far.write("/f/b.txt", BODY)
    far.mkdir("/f/d")
    folder = backend.stat(place("/f"))
    file = backend.stat(place("/f/a.txt"))
    assert isinstance(file, File)
    for body in (LARGE, BODY, LARGE):
        far.write("/f/a.txt", body)
    newest = backend.stat(place("/f/a.txt"))
    assert isinstance(newest, File)
    cursor = backend.latest_cursor()
    far.write("/f/c.txt", BODY)
    far.remove("/f/b.txt")
    far.write("/f/b.txt", LARGE)
    kept: dict[str, Kept] = {}

    def keep(name: str, call: Call) -> None:
        kept[name] = record(backend, call)

    keep("account", lambda it: it.account())
    keep("space", lambda it: it.space())
    keep("list_folder", lambda it: it.list_folder(RemotePath("/f"), folder.id))
    keep("stat", lambda it: it.stat(replace(place("/f/a.txt"), folder_id=folder.id)))
    keep("revisions_before", lambda it: it.revisions_before(newest, file.revision))
    keep("read", lambda it: it.read(file, 2, 5))
    keep("latest_cursor", lambda it: it.latest_cursor())
    keep("changes", lambda it: it.changes(cursor))
    keep("wait_for_changes", lambda it: it.wait_for_changes(cursor, 1.0))
    keep("make folder", lambda it: finish(it, [mkdir_order("/new", backend.root_id)]))
    keep("make folder that stands", lambda it: finish(it, [mkdir_order("/new", backend.root_id)]))
    new = sent(backend, "/put.txt", BODY, folder_id=backend.root_id)
    keep("put", lambda it: finish(it, [new]))
    old = put_file(backend, "/old.txt", b"old", folder_id=backend.root_id)
    again = sent(backend, "/old.txt", BODY, old.revision, folder_id=backend.root_id)
    keep("put again", lambda it: finish(it, [again]))
    taken = sent(backend, "/old.txt", LARGE, folder_id=backend.root_id)
    keep("put refused", lambda it: finish(it, [taken]))
    moved = move_order("/put.txt", "/moved.txt", item_id=backend.stat(place("/put.txt")).id, folder_id="")
    keep("move", lambda it: finish(it, [moved]))
    keep("move again", lambda it: finish(it, [moved]))
    session, parts = upload_parts(backend, "/large.bin", LARGE)
    keep("upload", lambda it: upload_parts(it, "/other.bin", LARGE))
    commit = large_order(backend, "/large.bin", LARGE, session, parts)
    keep("put large", lambda it: finish(it, [commit]))
    gone = delete_order("/moved.txt", backend.stat(place("/moved.txt")).revision, folder_id=backend.root_id)  # type: ignore[union-attr]
    keep("delete", lambda it: finish(it, [gone]))
    keep("delete again", lambda it: finish(it, [gone]))
    return kept


@pytest.fixture(scope="module")
def dropbox() -> Iterator[Service]:
    with DropboxSandbox(token="sandbox") as sandbox:
        far = DropboxFar(sandbox)
        kept = _common(far)
        backend = far.backend
        small = pack(backend, [BODY, b"x"])
        kept["new_sessions"] = record(backend, lambda it: it.new_sessions(2))
        kept["append_pack"] = record(backend, lambda it: append_pack(it, small))
        kept["upload_whole"] = record(backend, lambda it: upload_whole(it, BODY))
        renamed = move_order("/old.txt", "/OLD.txt")
        kept["rename case"] = record(backend, lambda it: finish(it, [renamed]))
        sandbox.set_switches(job_duration_s=0.05)
        slow = sent(backend, "/slow.txt", BODY)
        kept["put slowly"] = record(backend, lambda it: finish(it, [slow]))
        far.close()
    settings = DropboxSettings("http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1")
    yield Service(lambda: DropboxBackend(settings, OneToken("t"), FakeClock()), kept)


@pytest.fixture(scope="module")
def box() -> Iterator[Service]:
    with BoxSandbox(token="sandbox") as sandbox:
        far = BoxFar(sandbox)
        sandbox.set_switches(part_size_bytes=1024 * 4)
        kept = _common(far)
        backend = far.backend
        dated = time_order("/old.txt", backend.stat(place("/old.txt")).revision, 10**18)  # type: ignore[union-attr]
        kept["set time"] = record(backend, lambda it: finish(it, [dated]))
        far.slow_jobs()
        session, parts = upload_parts(backend, "/slow.bin", LARGE)
        slow = large_order(backend, "/slow.bin", LARGE, session, parts)
        kept["put slowly"] = record(backend, lambda it: finish(it, [slow]))
        token = upload_parts(backend, "/never.bin", LARGE)[0]
        kept["append again"] = record(
            far.another(),
            lambda it: append_part(it, token, 0, LARGE[:4096], closing=False, size_bytes=None),
        )
        kept["abandon"] = record(backend, lambda it: it.abandon(token))
        api_url, upload_url = sandbox.api_url, sandbox.upload_url
        far.close()
    settings = BoxSettings(api_url, upload_url, uploads_per_minute=UNLIMITED, calls_per_minute=UNLIMITED)
    yield Service(lambda: BoxBackend(settings, OneToken("t"), FakeClock()), kept)


@pytest.fixture(params=["dropbox", "box"])
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


def repeated(backend: Any, call: Call, replies: list[Response]) -> Any:
    """What the call gives when these are the replies: a value, or an error of ours."""
    backend._http.exchange = Replay(replies)
    backend._http.pause = lambda seconds: None
    try:
        return call(backend)
    except MountfsError as error:
        return error


def test_the_kept_replies_give_what_they_gave(service: Service) -> None:
    assert len(service.kept) > 20
    for name, kept in service.kept.items():
        assert kept.replies, name
        outcome = repeated(service.connect(), kept.call, kept.replies)
        assert not isinstance(outcome, MountfsError), name
        assert_sound(outcome)


def test_only_our_errors_and_sound_values_leave_the_port(service: Service) -> None:
    count = 0
    for name, kept in service.kept.items():
        backend = service.connect()
        for odd in tampered(kept.replies):
            count += 1
            if name in REMEMBERED:
                backend = service.connect()
            try:
                assert_sound(repeated(backend, kept.call, odd.replies))
            except Exception as error:
                error.add_note(f"{name}: reply {odd.number} at {odd.path}: {odd.what}")
                raise
    assert count > 5000


def test_the_other_entries_of_a_page_are_listed(service: Service) -> None:
    kept = service.kept["list_folder"]
    backend = service.connect()
    whole = repeated(backend, kept.call, kept.replies)
    seen = set()
    for odd in tampered(kept.replies):
        if odd.path[:1] != ("entries",) or len(odd.path) < 2:
            continue
        listed = repeated(backend, kept.call, odd.replies)
        spoiled = whole[odd.path[1]]
        others = [entry for entry in whole if entry is not spoiled]
        assert [entry for entry in others if entry not in listed] == [], f"{odd.path}: {odd.what}"
        seen |= {type(entry) for entry in listed if entry not in others}
    assert seen == {File, Folder, Odd}


@pytest.mark.parametrize("order", ["put", "put again", "put large", "put slowly"])
def test_an_odd_reply_to_an_order_is_no_commit_of_other_bytes(service: Service, order: str) -> None:
    """An outcome counts only with the hash and the size of what was sent."""
    kept = service.kept[order]
    backend = service.connect()
    (good,) = repeated(backend, kept.call, kept.replies)
    hash_key = "content_hash" if isinstance(backend, DropboxBackend) else "sha1"
    count = 0
    for odd in tampered(kept.replies):
        if odd.number != len(kept.replies) - 1 or odd.path[2:] not in ((hash_key,), ("size",)):
            continue
        count += 1
        outcome = repeated(backend, kept.call, odd.replies)
        (one,) = outcome if isinstance(outcome, tuple) else (outcome,)
        same = isinstance(one, File) and (one.content_hash, one.size_bytes) == (
            good.content_hash,
            good.size_bytes,
        )
        assert not same, f"{odd.path}: {odd.what}"
    assert count > 40


def test_a_page_of_many_small_things_takes_bounded_memory(service: Service) -> None:
    kept = service.kept["list_folder"]
    page = json.loads(kept.replies[-1].body)
    backend = service.connect()
    pages: tuple[list[object], ...] = ([[]] * 400_000, [{}] * 8000)
    for many in pages:
        body = json.dumps({**page, "entries": many}).encode()
        tracemalloc.start()
        outcome = repeated(backend, kept.call, [*kept.replies[:-1], replace(kept.replies[-1], body=body)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 1024 * 1024
        assert isinstance(outcome, ServerFault) == (len(many) > 8000)
