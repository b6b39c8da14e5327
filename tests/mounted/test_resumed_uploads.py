"""A large file that is cut on its way: of what the service has, nothing is sent again."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.mounted.boxprocess import PARTS, SMALL_PARTS, SMALL_PARTS_REMOTE
from tests.mounted.dropboxprocess import APPENDS
from tests.mounted.realmount import MakeMount, RealMount, real_mounts, write_config
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.mounted.services import SERVICES
from tests.waiting import until

PART_BYTES = {"dropbox": 8 * 1024 * 1024, "box": SMALL_PARTS["part_size_bytes"]}
PARTS_OF_IT = 6
WORKERS = 4
ROUTES = {"dropbox": APPENDS, "box": PARTS}
TAKEN = 2
FOR_GOOD_S = 600.0
"""Longer than a test: the machine may be slow with what is to happen meanwhile."""

with_large_files = pytest.mark.only_on("dropbox", "box", because="the counters are the stand-ins' own")


@pytest.fixture
def resuming(far_side: SandboxProcess, make_mount: MakeMount) -> RealMount:
    """A running mount; where the service can be told of smaller parts, they are smaller."""
    mount = mounted(far_side, make_mount)
    mount.start()
    return mount


def mounted(far_side: SandboxProcess, make: MakeMount) -> RealMount:
    if far_side.service != "box":
        return make()
    far_side.switches(**SMALL_PARTS)
    return make(remote=SMALL_PARTS_REMOTE)


def body(far_side: SandboxProcess) -> bytes:
    return random.Random(1).randbytes(PARTS_OF_IT * PART_BYTES[far_side.service] + 1000)


def left_bytes(far_side: SandboxProcess) -> int:
    """What the service has not taken of it before it was held up."""
    return (PARTS_OF_IT - TAKEN) * PART_BYTES[far_side.service] + 1000


def hold_up(far_side: SandboxProcess) -> None:
    """The service takes so many parts, and none of those that come after them until it calms down."""
    rule = {"route": ROUTES[far_side.service], "action": "stall", "stall_s": FOR_GOOD_S, "after": TAKEN}
    far_side.faults(rule)


def await_held_up(far_side: SandboxProcess, workers: int = WORKERS) -> None:
    """Every worker waits for a part of its own, so the mount knows of all that were taken before."""

    def is_held_up() -> bool:
        asked = far_side.log(ROUTES[far_side.service])
        taken = [each for each in asked if each["status"] in (200, 201)]
        return len(taken) == TAKEN and len(asked) == TAKEN + workers

    until(is_held_up, "some parts are there, the others on their way")


def kill(mount: RealMount) -> None:
    mount.kill9()


def interrupt_twice(mount: RealMount) -> None:
    mount.signal(signal.SIGINT)
    until(lambda: mount.status()["phase"] == "draining", "the drain begins")
    mount.signal(signal.SIGINT)
    assert mount.ended() == 3


def sent_bytes(far_side: SandboxProcess) -> int:
    return sum(each["request_bytes"] for each in far_side.asked(Asked.BYTES))


@with_large_files
@pytest.mark.parametrize("cut", [kill, interrupt_twice])
def test_a_closed_file_that_was_cut_sends_what_was_not_acknowledged(
    far_side: SandboxProcess, resuming: RealMount, cut: Any
) -> None:
    hold_up(far_side)
    (resuming.path / "film").write_bytes(body(far_side))
    await_held_up(far_side)
    cut(resuming)
    far_side.calm_down()
    far_side.reset_log()
    resuming.start()
    resuming.wait_committed()
    # A part that was held up may have been taken after all, by a service that does not notice who hangs up.
    assert 0 < sent_bytes(far_side) <= left_bytes(far_side)
    assert far_side.asked(Asked.START) == []
    assert far_side.read("/film") == body(far_side)


@pytest.mark.only_on("dropbox", because="Box takes no part of a file that is still being written")
def test_the_copy_of_a_file_that_was_open_sends_what_was_not_acknowledged(
    far_side: SandboxProcess, resuming: RealMount
) -> None:
    hold_up(far_side)
    with pytest.raises(OSError), (resuming.path / "film").open("wb", buffering=0) as film:
        film.write(body(far_side))
        await_held_up(far_side)
        resuming.kill9()
        film.write(b"more")
    far_side.calm_down()
    far_side.reset_log()
    resuming.start()
    [copy] = resuming.path.iterdir()
    assert "recovered copy" in copy.name
    assert sent_bytes(far_side) == 0
    copy.rename(resuming.path / "film")
    resuming.wait_committed()
    assert sent_bytes(far_side) == left_bytes(far_side)
    assert far_side.read("/film") == body(far_side)


@pytest.mark.only_on("box", because="only its sessions have addresses of their own")
def test_a_service_that_listens_elsewhere_after_the_cut_gets_the_rest(tmp_path: Path, service: str) -> None:
    """As the built-in stand-in does at each start: what the journal has of a session names the old port."""
    with SERVICES[service](tmp_path / "far-side") as far_side, real_mounts(tmp_path, far_side) as make:
        mount = mounted(far_side, make)
        mount.start()
        hold_up(far_side)
        (mount.path / "film").write_bytes(body(far_side))
        await_held_up(far_side)
        mount.kill9()
        far_side.stop()
        far_side.port = 0
        far_side.start()
        write_config(mount.config, far_side, **SMALL_PARTS_REMOTE)
        mount.start()
        mount.wait_committed()
        # What was on its way may have been taken before the service stopped.
        assert sent_bytes(far_side) <= left_bytes(far_side)
        assert far_side.asked(Asked.START) == []
        assert far_side.read("/film") == body(far_side)
