"""What Box gets: one request for a small file, one session for a large one, and every promise kept."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mountfs.backends.box.limits import BATCHES_AT_ONCE
from mountfs.model.hashing import HashKind
from tests.mounted.boxprocess import (
    COMMITS,
    PARTS,
    SMALL_PARTS,
    SMALL_PARTS_REMOTE,
    UPLOADS,
    BoxProcess,
)
from tests.mounted.realmount import MakeMount, RealMount, hashes, real_mounts
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

pytestmark = pytest.mark.only_on("box", because="this is how Box differs")

LARGE_BYTES = 50_000_000
LARGE_PARTS = 6
SMALL_PARTS_BYTES = 3_000_000
"""As many, with SMALL_PARTS."""
FILES = 60
ON_THE_WAY_S = 0.5
"""For what left before a refusal was read: on a busy machine a new connection takes a while to be made."""


@pytest.fixture
def box(far_side: SandboxProcess) -> BoxProcess:
    assert isinstance(far_side, BoxProcess)
    return far_side


def sha1s(folder: Path) -> dict[str, str]:
    return hashes(folder, HashKind.SHA1)


def film(folder: Path, size_bytes: int = LARGE_BYTES) -> Path:
    """A file that needs a session of parts."""
    folder.mkdir(exist_ok=True)
    path = folder / "film"
    path.write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return path


def tree(folder: Path) -> Path:
    """60 files of 1 KB to 60 KB, and one of 50 MB."""
    for number in range(1, FILES + 1):
        path = folder / f"d{number % 10}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 1000))
    film(folder)
    return folder


def test_small_files_take_a_request_each_and_a_large_one_a_session(
    tmp_path: Path, box: BoxProcess, real_mount: RealMount
) -> None:
    box.switches(pending_commits=2)
    # The first part takes far longer than another one to be sent: what is sent side by side then shows.
    box.faults({"route": PARTS, "action": "stall", "stall_s": 5, "count": 1})
    source = tree(tmp_path / "src")
    box.reset_log()
    subprocess.run(["cp", "-r", f"{source}/.", real_mount.path], check=True)
    real_mount.wait_committed()
    counts = box.counts()
    assert counts[UPLOADS] == FILES
    assert "files/preflight" not in counts
    assert box.statuses("sessions/create.*") == [201]
    assert counts[PARTS] == len(set(box.ranges())) == LARGE_PARTS
    assert box.peak(PARTS) >= 2
    assert box.statuses(COMMITS) == [202, 202, 201]
    assert box.sessions() == []
    assert box.files() == sha1s(source)
    assert {box.revisions(path) for path in box.files()} == {1}
    # Ten folders, each made by one call.
    assert box.statuses("folders/create") == [201] * 10


@dataclass(frozen=True)
class Death:
    """Where a large file is when the mount is killed, and what is still sent of it afterwards."""

    begin: Callable[[BoxProcess], None]
    is_time_to_kill: Callable[[BoxProcess], object]
    end: Callable[[BoxProcess], None]
    commits_after: list[int]
    parts_before: int = LARGE_PARTS


BUSY = {"action": "reply", "status": 503, "retry_after_s": 600}
DEATHS = {
    "in the middle of the parts": Death(
        lambda box: box.faults({"route": PARTS, "after": 3, **BUSY}),
        lambda box: len(box.ranges()) == 3 and 503 in box.statuses(PARTS),
        lambda box: box.faults(),
        [201],
        parts_before=3,
    ),
    "between the last part and the commit": Death(
        lambda box: box.faults({"route": COMMITS, **BUSY}),
        lambda box: 503 in box.statuses(COMMITS),
        lambda box: box.faults(),
        [201],
    ),
    "while the service thinks about the commit": Death(
        lambda box: box.switches(pending_commits=2, commit_retry_after_s=600),
        lambda box: 202 in box.statuses(COMMITS),
        # The next process knows nothing of the time it was told: what comes too early is only put off.
        lambda box: box.switches(commit_retry_after_s=0),
        [202, 201],
    ),
    "committed, and not told so": Death(
        lambda box: box.faults({"route": COMMITS, "action": "drop_after"}),
        lambda box: any(each["end_s"] and each["status"] is None for each in box.log(COMMITS)),
        lambda box: box.faults(),
        [],  # the service is asked what stands there, and nothing is sent again
    ),
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "version"])
def test_after_a_kill_only_what_is_missing_is_sent(
    tmp_path: Path, box: BoxProcess, make_mount: MakeMount, death: Death, is_new: bool
) -> None:
    box.switches(**SMALL_PARTS)
    real_mount = make_mount(remote=SMALL_PARTS_REMOTE)
    real_mount.start()
    if not is_new:
        (real_mount.path / "film").write_text("the one before")
        real_mount.wait_committed()
    source = film(tmp_path / "src", SMALL_PARTS_BYTES).parent
    death.begin(box)
    box.reset_log()
    subprocess.run(["cp", "-r", f"{source}/.", real_mount.path], check=True)
    until(lambda: death.is_time_to_kill(box), "its time has come")
    real_mount.kill9()
    assert len(box.ranges()) == death.parts_before
    death.end(box)
    box.reset_log()
    real_mount.start()
    assert sha1s(real_mount.path) == sha1s(source)
    real_mount.wait_committed()
    assert box.statuses(PARTS) == [200] * (LARGE_PARTS - death.parts_before)
    assert len(set(box.ranges())) == len(box.ranges()) == LARGE_PARTS
    assert box.statuses("sessions/create.*") == []
    assert box.statuses(COMMITS) == death.commits_after
    assert box.files() == sha1s(source)
    assert box.revisions("/film") == (1 if is_new else 2)
    assert box.sessions() == []


def test_two_mounts_rotate_the_refresh_token_and_never_present_an_old_one(
    tmp_path: Path, box: BoxProcess
) -> None:
    # Replaced five minutes ahead: that is after a second.
    box.switches(token_lifetime_s=301, access_tokens=[])
    keys = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    keys |= {"refresh_token": "sandbox-refresh", "access_token": ""}
    with real_mounts(tmp_path, box, keys) as make:
        mounts = [make(name="one"), make(name="two")]
        for mount in mounts:
            mount.start()
        for number in range(6):
            # The service forgets tokens before their time as well.
            box.faults({"route": "files/upload", "action": "expired_token", "count": 2})
            for mount in mounts:
                (mount.path / f"{mount.path.name} {number}").write_text(f"{mount.path} {number}")
            for mount in mounts:
                mount.wait_committed()
        assert len(box.files()) == 12
        asked = box.log("oauth2/token")
        assert len(asked) >= 6
        assert {record["status"] for record in asked} == {200}
        presented = [
            each.request_body["refresh_token"] for each in box.exchanges() if each.path == "/oauth2/token"
        ]
        assert len(set(presented)) == len(presented) == len(asked)
        # What the first two rotated is what the next ones go on with.
        for mount in mounts:
            mount.kill9()
        mounts[0].cleanup()
        mounts[0].start()
        (mounts[0].path / "after").write_text("1")
        mounts[0].wait_committed()
        assert {record["status"] for record in box.log("oauth2/token")} == {200}


def test_retry_after_holds_back_every_call_of_the_account(
    tmp_path: Path, box: BoxProcess, real_mount: RealMount
) -> None:
    # Listings are known, and the follower asks whenever something happens.
    box.write("/theirs", "1")
    until(lambda: "theirs" in os.listdir(real_mount.path), "the mount follows")
    box.faults({"route": UPLOADS, "status": 429, "retry_after_s": 2, "nth": 5})
    box.reset_log()
    for number in range(30):
        (real_mount.path / f"f{number}").write_text(str(number))
    until(lambda: 429 in box.statuses(".*"), "the service has had enough")
    box.write("/theirs too", "2")
    real_mount.wait_committed()
    refused = next(record for record in box.log() if record["status"] == 429)
    quiet_from_s, quiet_until_s = refused["end_s"] + ON_THE_WAY_S, refused["end_s"] + 2
    early = [record for record in box.log() if quiet_from_s < record["start_s"] < quiet_until_s]
    assert early == []
    # Four were there by then, and as many as go side by side may have been on their way.
    late = [record for record in box.log(UPLOADS) if record["start_s"] >= quiet_until_s]
    assert len(late) >= 30 - 4 - BATCHES_AT_ONCE
    assert len(box.files()) == 32


def test_everything_said_in_an_ordinary_day_is_as_the_service_describes_it(
    tmp_path: Path, box: BoxProcess, make_mount: MakeMount
) -> None:
    mount = make_mount()
    box.switches(pending_commits=1, early_commits=1)
    box.write("/old/report", "1")
    mount.start()
    source = film(tmp_path / "src", 21_000_000)
    (mount.path / "new" / "below").mkdir(parents=True)
    (mount.path / "new" / "small").write_text("small")
    subprocess.run(["cp", source, mount.path / "new" / "film"], check=True)
    assert (mount.path / "old" / "report").read_text() == "1"
    mount.wait_committed()
    with (mount.path / "old" / "report").open("a") as file:
        file.write("2")
    os.utime(mount.path / "new" / "small", (1_500_000_000, 1_500_000_000))
    subprocess.run(["cp", source, mount.path / "old" / "report 2"], check=True)
    mount.wait_committed()
    os.truncate(mount.path / "old" / "report 2", 20_500_000)
    mount.wait_committed()
    (mount.path / "new" / "film").rename(mount.path / "old" / "film")
    (mount.path / "new").rename(mount.path / "newer")
    (mount.path / "newer" / "below").rmdir()
    (mount.path / "newer" / "small").unlink()
    os.statvfs(mount.path)
    assert mount.terminate() == 0
    assert set(box.tree()) == {"/old", "/old/report", "/old/report 2", "/old/film", "/newer"}
    assert box.revisions("/old/report") == box.revisions("/old/report 2") == 2
    assert box.sessions() == []
