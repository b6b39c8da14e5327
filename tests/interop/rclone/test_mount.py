"""A stand-in mounted by rclone."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.rclone.remote import Remote, files_on_disk
from tests.waiting import until

END_TIMEOUT_S = 30
POLLS = {"dropbox": ("files/list_folder/longpoll", 1), "box": ("events/get", 2)}
"""What is called, and how often, once rclone knows where changes begin."""

Mount = Callable[..., Path]


@pytest.fixture
def mount(remote: Remote, tmp_path: Path) -> Iterator[Mount]:
    """Mounts the folder of the remote; its end is a clean one."""
    top = tmp_path / "mounted"
    running: list[subprocess.Popen[bytes]] = []

    def make(cache_mode: str = "writes") -> Path:
        top.mkdir()
        options = ("--vfs-cache-mode", cache_mode, "--vfs-write-back", "0s", "--dir-cache-time", "1h")
        command = (*options, "--poll-interval", "50ms", "--cache-dir", str(tmp_path / "cache"))
        process = subprocess.Popen(
            [remote.rclone.program, "mount", remote.at(), str(top), *command],
            env=remote.rclone.environment,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        until(lambda: process.poll() is not None or os.path.ismount(top), "the mount")
        assert process.poll() is None, process.communicate()[1].decode()
        return top

    yield make
    for process in running:
        subprocess.run(["fusermount3", "-u", str(top)], check=False)
        try:
            _, complaint = process.communicate(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            subprocess.run(["fusermount3", "-uz", str(top)], check=False)
            raise
        assert b"ERROR" not in complaint, complaint.decode()


def test_a_tree_is_read(remote: Remote, mount: Mount) -> None:
    for path, data in {"a": b"1", "d/b": b"", "d/e/ü": os.urandom(300_000)}.items():
        remote.write(path, data)
    assert files_on_disk(mount()) == remote.files()


def test_a_piece_of_a_file_is_read(remote: Remote, mount: Mount) -> None:
    remote.write("f", bytes(range(256)) * 8000)
    with (mount() / "f").open("rb", buffering=0) as file:
        file.seek(1_000_001)
        assert file.read(3) == bytes([65, 66, 67])


@pytest.mark.parametrize("cache_mode", ["off", "writes"])
def test_what_is_written_arrives(remote: Remote, mount: Mount, cache_mode: str) -> None:
    top = mount(cache_mode)
    (top / "d").mkdir()
    (top / "d/f").write_bytes(b"through the mount")
    until(lambda: remote.files() == {"d/f": b"through the mount"}, "the file at the service")


def test_a_file_is_written_over(remote: Remote, mount: Mount) -> None:
    remote.write("f", b"theirs")
    before = remote.tree()["f"]["id"]
    (mount() / "f").write_bytes(b"ours")
    until(lambda: remote.read("f") == b"ours", "the new bytes at the service")
    assert remote.tree()["f"]["id"] == before


def test_files_and_folders_are_renamed_and_removed(remote: Remote, mount: Mount) -> None:
    for path in ("a", "b", "d/c", "e/f"):
        remote.write(path, path.encode())
    top = mount()
    (top / "a").rename(top / "d/a")
    (top / "b").unlink()
    (top / "d").rename(top / "moved")
    (top / "e/f").unlink()
    (top / "e").rmdir()
    assert remote.files() == {"moved/a": b"a", "moved/c": b"d/c"}
    assert "e" not in remote.tree()


def test_what_somebody_else_writes_appears(remote: Remote, mount: Mount) -> None:
    route, calls = POLLS[remote.service]
    before = remote.sandbox.log.counts[route]
    top = mount()
    assert os.listdir(top) == []
    until(lambda: remote.sandbox.log.counts[route] >= before + calls, "rclone looking for changes")
    remote.write("theirs", b"data")
    until(lambda: os.listdir(top) == ["theirs"], "the file of somebody else")


def test_the_room_is_that_of_the_account(remote: Remote, mount: Mount) -> None:
    room = os.statvfs(mount())
    assert room.f_blocks * room.f_frsize == pytest.approx(remote.sandbox.switches()["quota_bytes"], rel=0.01)
