"""No upload session stays open at Box that nobody will commit."""

from __future__ import annotations

import random
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from mountfs.model.hashing import HashKind
from tests.mounted.boxprocess import PARTS, SMALL_PARTS, SMALL_PARTS_REMOTE, BoxProcess
from tests.mounted.realmount import MakeMount, RealMount, hashes, real_mounts
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

pytestmark = pytest.mark.only_on("box", because="a session of Box can be ended")

LARGE_BYTES = 1_500_000
"""With SMALL_PARTS three parts, as of 25 MB otherwise."""
BOUND_BYTES = 25_000_000
DIRECT_BYTES = 40_000_000
CREATES = "sessions/create.*"
ABORTS = "sessions/abort"
FOR_GOOD_S = 600.0
"""Longer than a test: the machine may be slow with what is to happen meanwhile."""
STALLED = {"route": PARTS, "action": "stall", "stall_s": 0.5}


@pytest.fixture
def box(far_side: SandboxProcess) -> BoxProcess:
    assert isinstance(far_side, BoxProcess)
    return far_side


@pytest.fixture
def small_parts(box: BoxProcess, make_mount: MakeMount) -> RealMount:
    """A running mount whose large files are not so large."""
    box.switches(**SMALL_PARTS)
    mount = make_mount(remote=SMALL_PARTS_REMOTE)
    mount.start()
    return mount


def film(folder: Path, size_bytes: int = LARGE_BYTES, seed: int = 1) -> Path:
    path = folder / f"film {seed}"
    path.write_bytes(random.Random(seed).randbytes(size_bytes))
    return path


def await_no_session(box: BoxProcess) -> None:
    until(lambda: box.sessions() == [], "every session is ended")


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "version"])
def test_a_session_whose_file_lands_beside_is_ended(
    tmp_path: Path, box: BoxProcess, small_parts: RealMount, is_new: bool
) -> None:
    if not is_new:
        (small_parts.path / "film").write_text("the one before")
        small_parts.wait_committed()
    box.faults(STALLED)
    shutil.copyfile(film(tmp_path), small_parts.path / "film")
    until(lambda: box.sessions() != [], "the session is open")
    box.write("/film", "theirs")
    small_parts.wait_committed()
    await_no_session(box)
    assert box.read("/film") == b"theirs"
    assert len(box.files()) == 2


def begin_and_remove(tmp_path: Path, box: BoxProcess, mount: RealMount) -> None:
    """A large file that is removed while its parts are on their way."""
    shutil.copyfile(film(tmp_path), mount.path / "film")
    until(lambda: box.sessions() != [], "the session is open")
    (mount.path / "film").unlink()


def test_a_session_whose_end_is_refused_for_a_time_is_ended_later(
    tmp_path: Path, box: BoxProcess, small_parts: RealMount
) -> None:
    box.faults(STALLED, {"route": ABORTS, "status": 503, "count": 2})
    begin_and_remove(tmp_path, box, small_parts)
    await_no_session(box)
    assert box.statuses(ABORTS) == [503, 503, 204]


def test_a_clean_stop_ends_a_session_that_it_gives_up(
    tmp_path: Path, box: BoxProcess, small_parts: RealMount
) -> None:
    box.faults(STALLED, {"route": ABORTS, "status": 503, "count": 2})
    begin_and_remove(tmp_path, box, small_parts)
    assert small_parts.terminate() == 0
    assert box.sessions() == []


def test_a_session_whose_end_is_refused_at_a_clean_stop_is_ended_by_the_next_mount(
    tmp_path: Path, box: BoxProcess, small_parts: RealMount
) -> None:
    box.faults(STALLED, {"route": ABORTS, "status": 503})
    begin_and_remove(tmp_path, box, small_parts)
    assert small_parts.terminate() == 0
    assert len(box.sessions()) == 1
    box.faults()
    small_parts.start()
    await_no_session(box)


def test_a_session_whose_end_is_refused_until_a_kill_is_ended_by_the_next_mount(
    tmp_path: Path, box: BoxProcess, small_parts: RealMount
) -> None:
    box.faults(STALLED, {"route": ABORTS, "status": 503, "retry_after_s": 600})
    begin_and_remove(tmp_path, box, small_parts)
    until(lambda: 503 in box.statuses(ABORTS), "the end is refused")
    small_parts.kill9()
    assert len(box.sessions()) == 1
    box.faults()
    small_parts.start()
    await_no_session(box)


def test_a_session_is_ended_when_its_file_has_become_a_small_one(
    tmp_path: Path, box: BoxProcess, real_mount: RealMount
) -> None:
    """A restart with another bound finds half of its parts sent."""
    box.faults({"route": PARTS, "after": 1, "status": 503, "retry_after_s": 600})
    shutil.copyfile(film(tmp_path, BOUND_BYTES), real_mount.path / "film")
    until(lambda: 503 in box.statuses(PARTS), "some parts are there")
    real_mount.kill9()
    box.faults()
    with real_mount.config.open("a") as config:
        config.write("small_file_bytes = 50000000\n")
    real_mount.start()
    real_mount.wait_committed()
    await_no_session(box)
    assert box.statuses("files/upload") == [201]


def test_a_name_known_to_be_taken_costs_no_upload(
    tmp_path: Path, box: BoxProcess, real_mount: RealMount
) -> None:
    list(real_mount.path.iterdir())
    # The mount does not hear of the other's file before it sends its own.
    box.faults({"route": "events/get", "action": "stall", "stall_s": FOR_GOOD_S})
    box.write("/film", "theirs")
    box.reset_log()
    shutil.copyfile(film(tmp_path, DIRECT_BYTES), real_mount.path / "film")
    real_mount.wait_committed()
    assert box.statuses(CREATES)[0] == 409
    assert 409 not in box.statuses("files/upload")
    assert box.read("/film") == b"theirs"
    assert len(box.files()) == 2
    await_no_session(box)


def test_two_mounts_that_write_one_name_leave_each_other_s_session_alone(
    tmp_path: Path, box: BoxProcess
) -> None:
    box.switches(session_conflict=True, **SMALL_PARTS)
    box.faults(STALLED)
    with real_mounts(tmp_path, box, SMALL_PARTS_REMOTE) as make:
        mounts = [make(name="one"), make(name="two")]
        for mount in mounts:
            mount.start()
        box.reset_log()
        with ExitStack() as both:
            # New to both: a file that one of them had sent already would be replaced by the other one's.
            targets = [both.enter_context((mount.path / "film").open("xb")) for mount in mounts]
            for number, target in enumerate(targets):
                with film(tmp_path, 3_600_000, number).open("rb") as source:
                    shutil.copyfileobj(source, target)
        for mount in mounts:
            mount.wait_committed()
        await_no_session(box)
        assert len(box.files()) == 2
        assert box.statuses(ABORTS) == []
        assert sorted(box.files().values()) == sorted(hashes_of(tmp_path))


def hashes_of(folder: Path) -> list[str]:
    """Of both films."""
    sources = folder / "sources"
    sources.mkdir()
    for path in folder.glob("film *"):
        shutil.copyfile(path, sources / path.name)
    return list(hashes(sources, HashKind.SHA1).values())
