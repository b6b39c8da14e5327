"""The configuration changed by a command."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from daemon.config.document import check_writable, put_remote, rewrite
from daemon.config.secrets import Keeper, Kept
from daemon.config.settings import DropboxRemote, load
from daemon.failure import BadSettings, Failure

KEYS = {"type": "dropbox", "app_key": "k", "refresh_token": "r"}
WORK = '[remotes.work]\ntype = "dropbox"\napp_key = "k"\nrefresh_token = "r"\n'
COMMENTED = """# of the office
[mount]
settle_s = 1  # slow disk

[remotes.work]  # mine
type = "dropbox"
# from the console
app_key = "old"
access_token = "gone"
path_root = "root"

[mounts.demo]
remote = "work:"
mountpoint = "/mnt/x"

[remotes.other]
type = "dropbox"
access_token = "t"
"""


def test_a_new_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mountfs.toml"
    before = os.umask(0)
    try:
        put_remote(path, "work", KEYS)
    finally:
        os.umask(before)
    assert path.read_text() == WORK
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["mountfs.toml"]


def test_comments_order_and_other_keys_stay(tmp_path: Path) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_text(COMMENTED)
    path.chmod(0o600)
    put_remote(path, "work", KEYS, drop=["access_token"])
    assert path.read_text() == COMMENTED.replace('"old"', '"k"').replace(
        'access_token = "gone"\npath_root = "root"\n', 'path_root = "root"\nrefresh_token = "r"\n'
    )
    assert load([path]).remotes["work"] == DropboxRemote(
        "work", app_key="k", refresh_token="r", path_root="root"
    )


def test_a_new_remote_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_text(COMMENTED.rstrip("\n"))
    path.chmod(0o600)
    put_remote(path, "new.one", {**KEYS, "refresh_token": Kept(Keeper.CREDENTIAL, "n")})
    section = WORK.replace("[remotes.work]", '[remotes."new.one"]').replace('"r"', '{credential = "n"}')
    assert path.read_text() == f"{COMMENTED}\n{section}"


@pytest.mark.parametrize(
    "text",
    ['remotes = { work = { type = "dropbox" } }\n', 'remotes.work.type = "dropbox"\n', "[remotes]\n"],
)
def test_however_a_remote_is_spelled_it_is_found_again(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_text(text)
    put_remote(path, "work", KEYS)
    assert load([path]).remotes["work"] == DropboxRemote("work", app_key="k", refresh_token="r")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[remotes", "is not valid TOML"),
        ("remotes = {}\n", "cannot be changed by a command, edit it"),
        ("[mount]\nsettle = 1\n", "unknown key 'settle'"),
    ],
)
def test_what_cannot_be_changed_stays_as_it_is(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=told):
        put_remote(path, "work", KEYS)
    assert path.read_text() == text
    assert os.listdir(tmp_path) == ["mountfs.toml"]


def test_no_text_and_no_room_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(BadSettings, match="not UTF-8"):
        put_remote(path, "work", KEYS)
    path.write_text(WORK)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daemon.config.document.os.fsync", full)
    with pytest.raises(Failure, match=f"{path}: cannot be written: No space left"):
        put_remote(path, "new", KEYS)
    assert path.read_text() == WORK
    assert os.listdir(tmp_path) == ["mountfs.toml"]


@pytest.mark.parametrize(
    ("before", "after"), [(0o644, 0o600), (0o664, 0o600), (0o640, 0o640), (0o600, 0o600)]
)
def test_only_who_was_let_in_on_purpose_reads_what_holds_a_secret_now(
    tmp_path: Path, before: int, after: int
) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_text("[mount]\nsettle_s = 1\n")
    path.chmod(before)
    put_remote(path, "work", {**KEYS, "refresh_token": Kept(Keeper.FILE, "/x")})
    assert path.stat().st_mode & 0o777 == before
    put_remote(path, "work", KEYS)
    assert path.stat().st_mode & 0o777 == after


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dots").mkdir()
    (tmp_path / "dots" / "real.toml").write_text("")
    path = tmp_path / "mountfs.toml"
    path.symlink_to("dots/real.toml")
    put_remote(path, "work", KEYS)
    assert path.is_symlink()
    assert (tmp_path / "dots" / "real.toml").read_text() == WORK


def test_where_another_user_could_change_it_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BadSettings, match="another user could change it: others may write to"):
        put_remote(folder / "mountfs.toml", "work", KEYS)
    assert os.listdir(folder) == []


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for change in (check_writable, partial(rewrite, change=str)):
        with pytest.raises(BadSettings, match="is no file; choose another one with --config FILE"):
            change(pipe)
    assert pipe.is_fifo()


def test_what_processes_write_at_once_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "mountfs.toml"
    code = (
        "import sys; from pathlib import Path; from daemon.config.document import put_remote\n"
        "put_remote(Path(sys.argv[1]), sys.argv[2], {'type': 'dropbox', 'access_token': 't'})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), f"r{n}"]) for n in range(6)]
    assert [writer.wait(60) for writer in writers] == [0] * 6
    assert {f"r{n}" for n in range(6)} <= load([path]).remotes.keys()


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_text(WORK)

    def broken(_text: str) -> str:
        raise Failure("no")

    with pytest.raises(Failure):
        rewrite(path, broken)
    assert path.read_text() == WORK
