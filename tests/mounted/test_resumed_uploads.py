"""A large file that is cut on its way: of what the service has, nothing is sent again."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.mounted.boxprocess import PARTS
from tests.mounted.dropboxprocess import APPENDS
from tests.mounted.realmount import RealMount, real_mounts, write_config
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.mounted.services import SERVICES
from tests.waiting import until

PART_BYTES = 8 * 1024 * 1024
SIZE_BYTES = 6 * PART_BYTES + 1000
WORKERS = 4
ROUTES = {"dropbox": APPENDS, "box": PARTS}
TAKEN = 2
FOR_GOOD_S = 600.0
"""Longer than a test: the machine may be slow with what is to happen meanwhile."""

with_large_files = pytest.mark.only_on("dropbox", "box", because="the counters are the stand-ins' own")


def body() -> bytes:
    return random.Random(1).randbytes(SIZE_BYTES)


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
    far_side: SandboxProcess, real_mount: RealMount, cut: Any
) -> None:
    hold_up(far_side)
    (real_mount.path / "film").write_bytes(body())
    await_held_up(far_side)
    cut(real_mount)
    far_side.calm_down()
    far_side.reset_log()
    real_mount.start()
    real_mount.wait_committed()
    # A part that was held up may have been taken after all, by a service that does not notice who hangs up.
    assert 0 < sent_bytes(far_side) <= SIZE_BYTES - TAKEN * PART_BYTES
    assert far_side.asked(Asked.START) == []
    assert far_side.read("/film") == body()


@pytest.mark.only_on("dropbox", because="Box takes no part of a file that is still being written")
def test_the_copy_of_a_file_that_was_open_sends_what_was_not_acknowledged(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    hold_up(far_side)
    with pytest.raises(OSError), (real_mount.path / "film").open("wb", buffering=0) as film:
        film.write(body())
        await_held_up(far_side)
        real_mount.kill9()
        film.write(b"more")
    far_side.calm_down()
    far_side.reset_log()
    real_mount.start()
    [copy] = real_mount.path.iterdir()
    assert "recovered copy" in copy.name
    assert sent_bytes(far_side) == 0
    copy.rename(real_mount.path / "film")
    real_mount.wait_committed()
    assert sent_bytes(far_side) == SIZE_BYTES - TAKEN * PART_BYTES
    assert far_side.read("/film") == body()


@pytest.mark.only_on("box", because="only its sessions have addresses of their own")
def test_a_service_that_listens_elsewhere_after_the_cut_gets_the_rest(tmp_path: Path, service: str) -> None:
    """As the built-in stand-in does at each start: what the journal has of a session names the old port."""
    with SERVICES[service](tmp_path / "far-side") as far_side, real_mounts(tmp_path, far_side) as make:
        mount = make()
        mount.start()
        hold_up(far_side)
        (mount.path / "film").write_bytes(body())
        await_held_up(far_side)
        mount.kill9()
        far_side.stop()
        far_side.port = 0
        far_side.start()
        write_config(mount.config, far_side)
        mount.start()
        mount.wait_committed()
        # What was on its way may have been taken before the service stopped.
        assert sent_bytes(far_side) <= SIZE_BYTES - TAKEN * PART_BYTES
        assert far_side.asked(Asked.START) == []
        assert far_side.read("/film") == body()
