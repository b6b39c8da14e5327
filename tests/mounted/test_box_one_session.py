"""A large file takes one session of Box, whatever is done with names while it is copied in."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.mounted.boxprocess import BoxProcess
from tests.mounted.corner import Corner, Shared
from tests.mounted.realmount import real_mounts
from tests.mounted.services import SERVICES

pytestmark = pytest.mark.only_on("box", because="elsewhere a session has no name")

LARGE_BYTES = 25_000_000
LARGE_PARTS = 3

SINGLE_SESSION = {
    "rsync": "rsync -a $W/film film",
    "a download": "cp $W/film film.part; mv film.part film",
    "a name changed at once": "cp $W/film fim; mv fim film",
    "over a file": "echo old > film; cp $W/film film",
    "in a new folder": "mkdir d; cp $W/film d/film",
    "in a new folder that is renamed": "mkdir tmp; cp $W/film tmp/film; mv tmp d",
    "in a folder that is renamed": "mv known d; cp $W/film d/film",
    "in a folder where a file was": "rm file; mkdir file; cp $W/film file/film",
    "in a folder that was made again": "rmdir empty; mkdir empty; cp $W/film empty/film",
}


@pytest.fixture(scope="module")
def shared(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Names settle when the test waits for what was done, and no sooner: a busy machine takes seconds from
    the end of a copy to the rename after it."""
    folder = tmp_path_factory.mktemp("shared")
    with SERVICES[service](folder / "far-side") as far_side, real_mounts(folder, far_side) as make:
        mount = make(settle_s="600")
        mount.start()
        yield Shared(far_side, mount)


@pytest.mark.parametrize("command", SINGLE_SESSION.values(), ids=SINGLE_SESSION)
def test_a_large_file_takes_one_session_whatever_is_done_around_it(corner: Corner, command: str) -> None:
    film = corner.work / "film"
    film.write_bytes(os.urandom(LARGE_BYTES))  # else the service copies what it has of the last one
    corner.run("mkdir known empty; echo 1 > known/old; echo 2 > file")
    corner.settle()
    corner.far_side.reset_log()
    corner.run(command)
    corner.settle()
    box = corner.far_side
    assert isinstance(box, BoxProcess)
    assert box.statuses("sessions/create.*") == [201]
    assert box.statuses("sessions/part") == [200] * LARGE_PARTS
    assert box.sessions() == []
    assert corner.arrived() == corner.seen()
    assert {path for path, entry in corner.there().items() if entry["kind"] == "folder"} == {
        str(path.relative_to(corner.path)) for path in corner.path.rglob("*") if path.is_dir()
    }
