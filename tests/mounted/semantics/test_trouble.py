"""What happens when something is in the way: a refusal, no room, no far side, no process, a stop."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable

import pytest

from daemon.control.protocol import Settled, WaitRequest
from tests.mounted.corner import ERROR, STATE, Corner, recovered
from tests.mounted.networkprocess import kill_network
from tests.mounted.realmount import MakeMount, RealMount, mountfs, write_config
from tests.mounted.sandboxprocess import Asked, Refusal, SandboxProcess
from tests.waiting import until

MIB = 1024 * 1024


# S-NODROP


def test_s_nodrop_what_is_refused_is_kept_listed_and_sent_when_asked(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.refuse("refused*", Refusal.PERMISSION)
    refused = real_mount.path / "refused.txt"
    refused.write_text("kept")
    waited = mountfs("wait", real_mount.path)
    assert waited.returncode == 1
    assert "refused.txt" in waited.stderr
    assert real_mount.terminate() == 0
    real_mount.start()
    assert refused.read_text() == "kept"
    assert os.getxattr(refused, STATE) == b"failed"
    assert b"permission" in os.getxattr(refused, ERROR)
    assert real_mount.status()["account"]["states"]["failed"]["count"] == 1
    subprocess.run(["cp", refused, real_mount.folder / "exported"], check=True)
    assert (real_mount.folder / "exported").read_text() == "kept"
    refused.rename(real_mount.path / "accepted.txt")
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/accepted.txt"}


def test_s_nodrop_what_is_refused_is_sent_exported_or_given_up_by_command(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.refuse("refused*", Refusal.PERMISSION)
    for name in ("refused1", "refused2"):
        (real_mount.path / name).write_text("kept")
    waited = mountfs("wait", real_mount.path)
    assert waited.returncode == 1
    assert waited.stderr.count("run mountfs retry") == 2
    assert mountfs("export", real_mount.path, real_mount.folder / "exported").returncode == 0
    assert (real_mount.folder / "exported" / "refused1").read_text() == "kept"
    assert mountfs("discard", real_mount.path / "refused1").returncode == 1
    assert mountfs("discard", real_mount.path / "refused1", "--yes").returncode == 0
    far_side.take_all()
    assert mountfs("retry", real_mount.path / "refused2").returncode == 0
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/refused2"}
    assert os.listdir(real_mount.path) == ["refused2"]


def test_s_nodrop_what_was_removed_is_brought_back_wherever_its_removal_had_got_to(corner: Corner) -> None:
    folder = corner.path / "d"
    (folder / "sub" / "empty").mkdir(parents=True)
    for name in ("x", "sub/y", "sub/\u00e4"):
        (folder / name).write_text(name)
    corner.settle()
    before = set(corner.there()), corner.arrived()

    def undelete() -> None:
        done = mountfs("undelete", folder)
        assert done.returncode == 0, done.stderr
        corner.settle()
        assert (set(corner.there()), corner.arrived()) == before
        assert {path.name for path in folder.rglob("*")} == {"x", "sub", "empty", "y", "\u00e4"}
        assert (folder / "sub" / "\u00e4").read_text() == "sub/\u00e4"

    assert mountfs("pause", corner.mount.path).returncode == 0
    subprocess.run(["rm", "-r", folder], check=True)
    undelete()
    assert mountfs("resume", corner.mount.path).returncode == 0
    subprocess.run(["rm", "-r", folder], check=True)
    corner.settle()
    assert not folder.exists()
    undelete()


def test_s_nodrop_local_bytes_go_only_when_the_service_states_their_hash(corner: Corner) -> None:
    corner.committed("file", "old")
    corner.far_side.misstate_hash(corner.remote("file"))
    (corner.path / "file").write_text("new")
    corner.settle()
    assert any("another hash" in trouble for trouble in corner.troubles())
    assert set(corner.there()) == {"file"}
    assert corner.content("file") == b"new"


def test_s_nodrop_what_the_service_fails_at_says_so_while_it_does(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.spoil(Asked.BYTES, "reply", status=500)
    file = real_mount.path / "file"
    file.write_bytes(b"x" * 9 * MIB)
    until(lambda: os.getxattr(file, ERROR) != b"", "the file says what its last attempt met")
    until(lambda: real_mount.status()["account"]["far_side"]["detail"] != "", "the status says it")
    assert real_mount.status()["account"]["far_side"]["is_reachable"]
    assert [each["path"] for each in real_mount.status()["account"]["troubles"]] == ["/file"]
    until(lambda: "trouble, tried again" in real_mount.log_file.read_text(), "the log says it")
    far_side.calm_down()
    real_mount.wait_committed()
    assert os.getxattr(file, ERROR) == b""
    until(lambda: real_mount.status()["account"]["far_side"]["detail"] == "", "the trouble is over")
    assert real_mount.status()["account"]["troubles"] == ()


# S-DOWN


def test_s_down_what_is_known_reads_and_writes_queue(corner: Corner) -> None:
    corner.theirs("read before", "cached")
    corner.far_side.write(corner.remote("never read"), "elsewhere")
    corner.far_side.write(corner.remote("folder/file"), "elsewhere")
    until(lambda: corner.names() == {"read before", "never read", "folder"}, "all is listed")
    corner.far_side.pause()
    assert (corner.path / "read before").read_text() == "cached"
    assert corner.names() == {"read before", "never read", "folder"}
    uncached: list[Callable[[], object]] = [
        (corner.path / "never read").read_text,
        lambda: os.listdir(corner.path / "folder"),
        lambda: (corner.path / "folder" / "new").write_text("text"),
    ]
    for call in uncached:
        with pytest.raises(OSError) as failed:
            call()
        assert failed.value.errno == errno.EIO
    (corner.path / "queued").write_text("text")
    (corner.path / "made").mkdir()
    (corner.path / "made" / "queued").write_text("text")
    (corner.path / "never read").rename(corner.path / "renamed")
    until(lambda: not corner.mount.status()["account"]["far_side"]["is_reachable"], "the status says so")
    corner.far_side.resume()
    corner.settle()
    assert set(corner.there()) >= {"queued", "made/queued", "renamed"}
    assert (corner.path / "renamed").read_text() == "elsewhere"


def test_s_down_a_known_account_is_mounted_while_the_far_side_is_away(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    (real_mount.path / "first").write_text("text")
    real_mount.wait_committed()
    far_side.pause()
    (real_mount.path / "pending").write_text("text")
    real_mount.kill9()
    real_mount.start()
    assert (real_mount.path / "pending").read_text() == "text"
    far_side.resume()
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/first", "/pending"}


@pytest.mark.only_on("dropbox", "box", because="an account in memory answers all or nothing")
def test_s_down_a_known_account_is_mounted_though_the_far_side_is_silent(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    (real_mount.path / "first").write_text("text")
    real_mount.wait_committed()
    far_side.faults({"route": "*", "action": "stall", "stall_s": 50.0})
    (real_mount.path / "pending").write_text("text")
    real_mount.kill9()
    real_mount.start()
    assert real_mount.status()["account"]["far_side"]["condition"] == "unreachable"
    assert (real_mount.path / "pending").read_text() == "text"
    assert sorted(os.listdir(real_mount.path)) == ["first", "pending"]
    real_mount.kill9()
    far_side.faults()
    real_mount.start()
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/first", "/pending"}


@pytest.mark.only_on("dropbox", "box", because="nothing is on the way to an account in memory")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        *(
            (status, "<!DOCTYPE html><title>Welcome to the hotel</title>")
            for status in (200, 400, 401, 404, 413)
        ),
        *((status, None) for status in (400, 403, 404, 409, 410, 451)),
        *((status, "blocked by policy") for status in (200, 403, 404, 409, 451)),
        (404, {"message": "no Route matched with those values"}),
        (403, {"error": "Forbidden"}),
    ],
)
def test_s_down_the_page_of_a_portal_is_trouble_and_nothing_else(
    real_mount: RealMount, far_side: SandboxProcess, status: int, body: object
) -> None:
    far_side.write("/known/unread", "0123456789")
    far_side.write("/unknown/file", "text")
    until((real_mount.path / "known" / "unread").is_file, "the folder is seen")
    far_side.faults({"route": "*", "action": "reply", "status": status, "body": body})
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            (real_mount.path / "known" / "unread").read_text()
        with pytest.raises(OSError, match="Input/output error"):
            os.listdir(real_mount.path / "unknown")
    (real_mount.path / "pending").write_text("ours")
    assert real_mount.status()["account"]["far_side"]["condition"] == "failing"
    assert os.listdir(real_mount.path / "known") == ["unread"]
    far_side.faults()
    assert (real_mount.path / "known" / "unread").read_text() == "0123456789"
    assert os.listdir(real_mount.path / "unknown") == ["file"]
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/known/unread", "/unknown/file", "/pending"}


@pytest.mark.only_on("dropbox", "box", because="nothing is on the way to an account in memory")
def test_s_down_what_something_on_the_way_never_passes_on_stays_pending_and_says_why(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    """A gateway that takes no body as long as a part."""
    how = {"status": 413, "body": "<html><head><title>413 Request Entity Too Large</title></head></html>"}
    mount = make_mount()
    mount.start()
    carriers = [
        rule for asked in (Asked.START, Asked.BYTES) for rule in far_side.rules(asked, "reply", **how)
    ]
    far_side.faults(*carriers)
    (mount.path / "large").write_bytes(os.urandom(40 * MIB))
    (mount.path / "small").write_bytes(b"small")
    host = far_side.url.partition("//")[2]
    told = f"came from {host} (HTTP 413)"
    until(lambda: mountfs("pending", mount.path).stdout.count(told) == 2, "both say why they wait")
    for name in ("large", "small"):
        assert os.getxattr(mount.path / name, STATE) != b"failed"
    assert mount.status()["account"]["far_side"]["condition"] == "failing"
    assert "HTTP 413" in mountfs("status", mount.path).stdout
    far_side.faults()
    mount.wait_committed()
    assert set(far_side.files()) == {"/large", "/small"}


@pytest.mark.only_on("dropbox", "box", because="an account in memory has no credentials")
def test_s_down_refused_credentials_are_told_and_new_ones_are_taken(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.mkdir("/folder")
    until((real_mount.path / "folder").is_dir, "the folder is seen")
    tokens: dict[str, object] = {"dropbox": {"other": None}, "box": ["other"]}
    far_side.switches(access_tokens=tokens[far_side.service])
    for _ in range(5):
        with pytest.raises(PermissionError):
            os.listdir(real_mount.path / "folder")
    (real_mount.path / "pending").write_text("text")
    assert real_mount.status()["account"]["far_side"]["condition"] == "signed_out"
    assert "refuses the credentials" in mountfs("status", real_mount.path).stdout
    assert real_mount.log_file.read_text().count("trouble with the service") == 1
    write_config(real_mount.config, far_side, access_token="other")
    assert os.listdir(real_mount.path / "folder") == []
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/pending"}
    assert real_mount.status()["account"]["far_side"]["condition"] == "answers"


@pytest.mark.only_on("dropbox", because="processes of one machine share files, not services")
def test_s_down_what_one_mount_of_an_account_has_read_another_one_does_not_fetch(
    far_side: SandboxProcess, make_mount: MakeMount
) -> None:
    big = "0123456789abcdef" * (3 * 1024 * 1024 // 16)
    for number in range(60):
        far_side.write(f"/f{number:02}", f"{number}")
    far_side.write("/big", big)
    first, second = make_mount(name="first"), make_mount(name="second")
    first.start()
    for path in first.path.iterdir():
        path.read_bytes()
    second.start()
    # Downwards by two: nothing is fetched ahead of that.
    numbers = iter(range(58, 0, -2))

    def downloads() -> int:
        return far_side.counts()["files/download"]

    def is_lent() -> bool:
        number, before = next(numbers), downloads()
        assert (second.path / f"f{number:02}").read_text() == f"{number}"
        return downloads() == before

    until(is_lent, "the second mount has looked what the first one has")
    before = downloads()
    assert (second.path / "big").read_text() == big
    assert (second.path / "f00").read_text() == "0"
    assert downloads() == before


def test_s_down_a_dead_process_is_an_error_and_never_an_empty_folder(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    (real_mount.path / "file").write_text("text")
    real_mount.kill9()
    calls: list[Callable[[], object]] = [
        lambda: os.listdir(real_mount.path),
        (real_mount.path / "file").read_text,
        lambda: (real_mount.path / "new").write_text("text"),
        lambda: os.stat(real_mount.path / "file"),
    ]
    for call in calls:
        with pytest.raises(OSError) as failed:
            call()
        assert failed.value.errno == errno.ENOTCONN
    assert "has ended" in mountfs("status", real_mount.path).stderr
    real_mount.start()  # over the dead mount
    assert (real_mount.path / "file").read_text() == "text"


# S-UMOUNT


def test_s_umount_sends_what_is_pending_first(real_mount: RealMount, far_side: SandboxProcess) -> None:
    far_side.slow_commits(0.5)
    for number in range(20):
        (real_mount.path / f"file{number}").write_text(str(number))
    done = mountfs("umount", real_mount.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not os.path.ismount(real_mount.path)
    assert len(far_side.files()) == 20


def test_s_umount_whose_time_runs_out_says_what_stays(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    os.listdir(real_mount.path)
    far_side.pause()
    (real_mount.path / "left").write_text("text")
    done = mountfs("umount", real_mount.path, "--timeout", "0.5")
    assert done.returncode == 3
    assert "1 change stay" in done.stderr
    assert real_mount.ended() == 3
    far_side.resume()
    real_mount.start()
    assert (real_mount.path / "left").read_text() == "text"
    real_mount.wait_committed()
    assert set(far_side.files()) == {"/left"}


def test_s_umount_ends_soon_while_the_far_side_is_away_and_says_why(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount(drain_timeout="600", drain_idle_timeout="1")
    mount.start()
    os.listdir(mount.path)
    far_side.pause()
    (mount.path / "left").write_text("text")
    done = mountfs("umount", mount.path)
    assert done.returncode == mount.ended() == 3
    assert done.stderr.startswith(
        f"mountfs: {mount.path}: 1 change stays journaled for the next mount: the service"
    )
    assert "does not answer" in done.stderr
    far_side.resume()
    mount.start()
    mount.wait_committed()
    assert set(far_side.files()) == {"/left"}


def test_s_umount_takes_no_new_changes_and_lets_open_files_end(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    os.listdir(real_mount.path)
    far_side.pause()
    (real_mount.path / "file").write_text("text")
    with (real_mount.path / "open").open("w") as file:
        stopping = subprocess.Popen(
            ["kill", "-TERM", str(real_mount.pid)], stdin=subprocess.DEVNULL, close_fds=False
        )
        assert stopping.wait() == 0
        until(lambda: real_mount.status()["phase"] == "draining", "the drain has begun")
        for call in ((real_mount.path / "new").touch, (real_mount.path / "new").mkdir):
            with pytest.raises(OSError) as refused:
                call()
            assert refused.value.errno == errno.EROFS
        assert (real_mount.path / "file").read_text() == "text"
        file.write("finished")
    far_side.resume()
    assert real_mount.ended() == 0
    assert far_side.read("/open") == b"finished"


def test_s_umount_does_not_wait_for_what_somebody_keeps_open(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    with (
        pytest.raises(OSError),
        (real_mount.path / "never.txt").open("wb", buffering=0) as never,
        (real_mount.path / "once.txt").open("wb", buffering=0) as once,
    ):
        never.write(b"not closed")
        once.write(b"closed once")
        os.close(os.dup(once.fileno()))
        assert real_mount.terminate() == 3
    assert set(far_side.files()) == {"/once.txt"}
    real_mount.start()
    assert set(os.listdir(real_mount.path)) == {"once.txt", recovered(real_mount, "never").name}
    assert recovered(real_mount, "never").read_text() == "not closed"


def test_s_umount_wait_is_told_how_it_ended(real_mount: RealMount, far_side: SandboxProcess) -> None:
    os.listdir(real_mount.path)
    far_side.pause()
    (real_mount.path / "file").write_text("text")
    assert mountfs("wait", real_mount.path, "--timeout", "0.2").returncode == 2
    far_side.resume()
    assert mountfs("wait", real_mount.path / "file").returncode == 0
    assert set(far_side.files()) == {"/file"}
    replies = list(real_mount.client().ask(WaitRequest("/", 1.0)))
    assert replies[-1] == Settled(0)


# S-SPACE


def test_s_space_a_short_quota_refuses_the_write(make_mount: MakeMount, far_side: SandboxProcess) -> None:
    far_side.write("/there", "x" * MIB)
    far_side.switches(quota_bytes=2 * MIB)
    mount = make_mount()
    mount.start()
    free = os.statvfs(mount.path)
    assert free.f_bavail * free.f_frsize == MIB
    assert free.f_blocks * free.f_frsize == 2 * MIB
    with pytest.raises(OSError) as refused, (mount.path / "big").open("wb", buffering=0) as file:
        for _ in range(16):
            file.write(b"x" * (MIB // 8))
    assert refused.value.errno == errno.ENOSPC
    (mount.path / "big").unlink()
    far_side.switches(quota_bytes=200 * MIB)
    until(lambda: _is_written(mount.path / "big", MIB), "room that was made is found")
    mount.wait_committed()
    assert far_side.tree()["/big"]["size"] == MIB


def test_s_space_a_file_is_made_no_longer_than_the_account_has_room_for(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    far_side.switches(quota_bytes=2 * MIB)
    mount = make_mount()
    mount.start()
    os.statvfs(mount.path)  # so that the quota is known
    with (mount.path / "disk").open("wb", buffering=0) as file:
        with pytest.raises(OSError) as refused:
            file.truncate(3 * MIB)
        assert refused.value.errno == errno.ENOSPC
        file.truncate(MIB)
    (mount.path / "other").write_text("goes")
    mount.wait_committed()
    assert {path: entry["size"] for path, entry in far_side.tree().items()} == {"/disk": MIB, "/other": 4}


def _is_written(path: os.PathLike[str], size_bytes: int) -> bool:
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(b"x" * size_bytes)
    except OSError as error:
        assert error.errno == errno.ENOSPC
        return False
    return True


def test_s_space_a_quota_found_short_at_the_commit_pauses_uploads_until_there_is_room(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    (real_mount.path / "goes").write_text("goes")
    real_mount.wait_committed()
    far_side.refuse("late*", Refusal.SPACE)
    for number in range(20):
        (real_mount.path / f"late{number}").write_text("kept")
    until(lambda: real_mount.status()["account"]["paused"], "uploads pause")
    assert "make room" in real_mount.status()["account"]["paused"]
    (real_mount.path / "goes").unlink()
    until(lambda: "/goes" not in far_side.files(), "removals go on")
    assert "failed" not in real_mount.status()["account"]["states"]
    assert (real_mount.path / "late0").read_text() == "kept"
    assert mountfs("wait", real_mount.path, "--timeout", "0").returncode == 2
    far_side.take_all()
    real_mount.wait_committed()
    assert len(far_side.files()) == 20
    assert real_mount.status()["account"]["paused"] == ""


@pytest.mark.only_on("dropbox", "box", because="an account in memory has no network process")
def test_s_down_a_network_process_that_dies_is_replaced_and_nothing_is_lost(
    far_side: SandboxProcess, real_mount: RealMount
) -> None:
    far_side.spoil(Asked.COMMIT, "stall", stall_s=1.0, count=1)
    (real_mount.path / "a").write_text("ours")
    until(lambda: sum(far_side.fault_counts()) > 0, "the commit is on its way")
    kill_network(real_mount)
    real_mount.wait_committed()
    assert far_side.files().keys() == {"/a"}
    assert far_side.revisions("/a") == 1
    assert (real_mount.path / "a").read_text() == "ours"
