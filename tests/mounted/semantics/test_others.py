"""What other clients of the account see, and what of theirs is seen here."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.mounted.corner import Corner, is_text
from tests.mounted.realmount import RealMount, mountfs
from tests.mounted.sandboxprocess import Asked, SandboxProcess
from tests.waiting import until

MIB = 1024 * 1024
LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_STATX_FORCE_SYNC = -100, 0x2000


@contextmanager
def watching(look: Callable[[], object]) -> Iterator[list[Any]]:
    """What *look* gave, again and again while the block runs, each answer once in a row."""
    seen: list[Any] = []
    is_over = threading.Event()

    def watch() -> None:
        while True:
            is_last = is_over.is_set()
            sight = look()
            if not seen or seen[-1] != sight:
                seen.append(sight)
            if is_last:
                return

    thread = threading.Thread(target=watch, name="another client")
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


# S-ATOMIC


@pytest.mark.parametrize("size_bytes", [MIB, 20 * MIB], ids=["packed", "streamed"])
def test_s_atomic_others_see_the_whole_old_or_the_whole_new_version(corner: Corner, size_bytes: int) -> None:
    old, new = b"old " * (size_bytes // 4), b"brand new! " * (size_bytes // 11)
    path = corner.path / "file"
    path.write_bytes(old)
    corner.settle()
    with watching(lambda: corner.there().get("file", {}).get("content_hash")) as seen:
        with path.open("wb", buffering=0) as file:
            for offset in range(0, len(new), MIB):
                file.write(new[offset : offset + MIB])
                os.fsync(file)
        corner.settle()
    assert seen == [corner.hash_of(old), corner.hash_of(new)]


def test_s_atomic_a_new_file_appears_when_it_is_whole(corner: Corner) -> None:
    content = b"content" * MIB * 3
    with watching(lambda: corner.there().get("file", {}).get("content_hash")) as seen:
        with (corner.path / "file").open("wb", buffering=0) as file:
            for offset in range(0, len(content), MIB):
                file.write(content[offset : offset + MIB])
            if corner.far_side.streams:
                # Its bytes travel while it is open, and are nobody's file yet.
                until(lambda: corner.far_side.asked(Asked.BYTES), "bytes travel")
        corner.settle()
    assert seen == [None, corner.hash_of(content)]


# S-ORDER


def test_s_order_versions_of_one_path_are_committed_in_the_order_of_the_calls(corner: Corner) -> None:
    corner.far_side.slow_commits(0.2)
    path = corner.path / "file"
    for size in range(1, 9):
        path.write_text("x" * size)
        until(lambda: corner.far_side.asked(Asked.COMMIT), "a commit is under way while the next is written")
        corner.far_side.reset_log()
        path.with_suffix(f".{size}").write_text("others travel with it")
    corner.settle()
    sizes = corner.far_side.version_sizes(corner.remote("file"))
    assert sizes == sorted(sizes)
    assert sizes[-1] == 8


SAVES = {
    "a rename over it": "echo new > .doc.tmp; mv .doc.tmp doc",
    "sed -i": "sed -i s/old/new/ doc",
    "vim": "vim -es -u NONE -c %s/old/new/ -c wq doc",
    "a backup aside": "mv doc doc~; echo new > doc; rm doc~",
    "rsync": "echo new > $W/doc; rsync -aI $W/doc doc",
    "in place": "echo new > doc",
}


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_s_order_a_save_keeps_id_and_history_and_never_leaves_neither_version(
    corner: Corner, save: str
) -> None:
    corner.committed("doc", "old\n")
    item_id = corner.there()["doc"]["id"]
    with watching(lambda: {name: entry["content_hash"] for name, entry in corner.there().items()}) as seen:
        corner.run(save)
        corner.settle()
    assert seen == [{"doc": corner.hash_of(b"old\n")}, {"doc": corner.hash_of(b"new\n")}]
    assert corner.there()["doc"]["id"] == item_id
    assert corner.far_side.revisions(corner.remote("doc")) == 2


# S-CONFLICT


def conflicted_copy(corner: Corner, stem: str, extension: str = "") -> str:
    """The name of the one copy beside."""
    start = f"{stem} (conflicted copy {os.uname().nodename} "
    found = [name for name in corner.there() if name.startswith(start) and name.endswith(f"){extension}")]
    assert len(found) == 1, corner.there()
    return found[0]


def test_s_conflict_both_versions_of_a_file_are_kept(corner: Corner) -> None:
    corner.theirs("letter.txt", "common")
    with (corner.path / "letter.txt").open("w") as file:
        file.write("ours")
        file.flush()
        corner.far_side.write(corner.remote("letter.txt"), "theirs")
    corner.settle()
    copy = conflicted_copy(corner, "letter", ".txt")
    assert set(corner.there()) == {"letter.txt", copy}
    assert corner.content("letter.txt") == b"theirs"
    assert corner.content(copy) == b"ours"
    until(lambda: is_text(corner.path / "letter.txt", "theirs"), "theirs is shown under its name")
    assert (corner.path / copy).read_text() == "ours"
    assert any(copy in trouble for trouble in corner.troubles())


def test_s_conflict_two_new_files_of_one_name_are_kept(corner: Corner) -> None:
    assert corner.names() == set()
    corner.far_side.pause()
    (corner.path / "new").write_text("ours")
    corner.far_side.write(corner.remote("new"), "theirs")
    corner.far_side.resume()
    corner.settle()
    assert corner.content("new") == b"theirs"
    assert corner.content(conflicted_copy(corner, "new")) == b"ours"


def test_s_conflict_the_same_bytes_from_both_sides_are_no_conflict(corner: Corner) -> None:
    corner.theirs("file", "common")
    corner.far_side.pause()
    (corner.path / "file").write_text("the same")
    corner.far_side.write(corner.remote("file"), "the same")
    corner.far_side.resume()
    corner.settle()
    assert set(corner.there()) == {"file"}


def test_s_conflict_two_programs_that_write_to_two_revisions_leave_both(corner: Corner) -> None:
    corner.theirs("file.txt", "one.....")
    with (corner.path / "file.txt").open("r+b", buffering=0) as first:
        assert first.read() == b"one....."
        corner.theirs("file.txt", "two.....")
        with (corner.path / "file.txt").open("r+b", buffering=0) as second:
            os.pwrite(second.fileno(), b"ours", 4)
            os.pwrite(first.fileno(), b"ours", 4)
    corner.settle()
    copy = conflicted_copy(corner, "file", ".txt")
    assert corner.names() == {"file.txt", copy}
    assert (corner.content("file.txt"), corner.content(copy)) == (b"two.ours", b"one.ours")


@pytest.mark.parametrize("is_new", [False, True], ids=["which the service has", "which is new"])
def test_s_conflict_what_is_written_to_a_file_that_a_program_here_replaced_goes_as_on_a_disk(
    corner: Corner, *, is_new: bool
) -> None:
    path = corner.path / "file" if is_new else corner.committed("file", "old")
    with path.open("w+" if is_new else "r+") as replaced:
        (corner.path / "other").write_text("new")
        (corner.path / "other").rename(path)
        replaced.write("lost")
        replaced.flush()
        assert path.read_text() == "new"
    corner.settle()
    assert corner.names() == {"file"}
    assert corner.content("file") == b"new"


def test_s_conflict_a_removal_spares_what_somebody_else_changed(corner: Corner) -> None:
    corner.theirs("file", "common")
    corner.far_side.pause()
    (corner.path / "file").unlink()
    corner.far_side.write(corner.remote("file"), "theirs")
    corner.far_side.resume()
    corner.settle()
    until(lambda: is_text(corner.path / "file", "theirs"), "it is shown again")
    assert any("not removed" in trouble for trouble in corner.troubles())


def test_s_conflict_removing_a_folder_spares_what_somebody_else_put_there(corner: Corner) -> None:
    corner.far_side.mkdir(corner.remote("folder"))
    until((corner.path / "folder").is_dir, "it is seen")
    assert os.listdir(corner.path / "folder") == []
    corner.far_side.pause()
    (corner.path / "folder").rmdir()
    corner.far_side.write(corner.remote("folder/file"), "theirs")
    corner.far_side.resume()
    corner.settle()
    until(lambda: is_text(corner.path / "folder" / "file", "theirs"), "it is shown again")


def test_s_conflict_a_file_removed_by_somebody_else_comes_back_with_our_bytes(corner: Corner) -> None:
    corner.theirs("file", "common")
    corner.far_side.pause()
    (corner.path / "file").write_text("ours")
    corner.far_side.remove(corner.remote("file"))
    corner.far_side.resume()
    corner.settle()
    assert corner.content("file") == b"ours"


@pytest.mark.only_on(
    "dropbox", "box", because="the command asks a mount that was started by the command line"
)
def test_s_conflict_what_is_done_with_files_whose_names_somebody_else_exchanged_is_done_with_these(
    corner: Corner,
) -> None:
    far_side, path, remote = corner.far_side, corner.path, corner.remote
    for name in ("removed", "kept", "written", "renamed", "folder/file"):
        corner.theirs(name, name)
    assert mountfs("pause", corner.mount.path).returncode == 0
    (path / "removed").unlink()
    (path / "written").write_text("ours")
    (path / "renamed").rename(path / "folder" / "renamed")
    far_side.pause()
    for one, other in (("removed", "kept"), ("written", "renamed")):
        for source, target in ((one, "between"), (other, one), ("between", other)):
            far_side.move(remote(source), remote(target))
    far_side.resume()
    until(lambda: is_text(path / "removed", "kept"), "the other file is seen under that name")
    assert mountfs("resume", corner.mount.path).returncode == 0
    corner.settle()
    due = {"removed": "kept", "renamed": "ours", "folder/file": "folder/file", "folder/renamed": "renamed"}
    assert corner.seen() == {f"/{name}": corner.hash_of(text.encode()) for name, text in due.items()}
    assert corner.arrived() == corner.seen()
    assert corner.troubles() == []


@pytest.mark.only_on(
    "dropbox", "box", because="the command asks a mount that was started by the command line"
)
def test_s_conflict_what_is_done_with_something_that_somebody_else_moved_is_done_in_its_new_folder(
    corner: Corner,
) -> None:
    far_side, path, remote = corner.far_side, corner.path, corner.remote
    for name in ("removed", "written", "folder/file"):
        corner.theirs(f"old/{name}", name)
    assert mountfs("pause", corner.mount.path).returncode == 0
    (path / "old" / "removed").unlink()
    (path / "old" / "written").write_text("ours")
    (path / "old" / "folder" / "new").write_text("new")
    for name in ("removed", "written", "folder"):
        far_side.move(remote(f"old/{name}"), remote(f"away/{name}"))
    until(lambda: not os.listdir(path / "old"), "it is seen that the old folder is empty")
    assert is_text(path / "away" / "folder" / "file", "folder/file")
    assert mountfs("resume", corner.mount.path).returncode == 0
    corner.settle()
    due = {"away/written": "ours", "away/folder/file": "folder/file", "away/folder/new": "new"}
    assert corner.seen() == {f"/{name}": corner.hash_of(text.encode()) for name, text in due.items()}
    assert corner.arrived() == corner.seen()
    assert corner.troubles() == []


def test_s_conflict_a_folder_is_kept_beside_a_file_that_others_put_in_its_place(corner: Corner) -> None:
    corner.theirs("folder/file", "common")
    corner.far_side.pause()
    (corner.path / "folder" / "new").write_text("ours")
    corner.far_side.remove(corner.remote("folder"))
    corner.far_side.write(corner.remote("folder"), "theirs")
    corner.far_side.resume()
    corner.settle()
    with suppress(OSError):  # once, where the kernel finds out by asking for the folder's attributes
        (corner.path / "folder").stat()
    until(lambda: is_text(corner.path / "folder", "theirs"), "their file has the name")
    (copy,) = [name for name in os.listdir(corner.path) if "conflicted copy" in name]
    assert (corner.path / copy / "new").read_text() == "ours"
    assert corner.content("folder") == b"theirs"
    assert corner.content(f"{copy}/new") == b"ours"


# S-FRESH


def test_s_fresh_what_others_change_appears(corner: Corner) -> None:
    far_side, path = corner.far_side, corner.path
    assert os.listdir(path) == []
    far_side.write(corner.remote("file"), "one")
    until(lambda: is_text(path / "file", "one"), "a new file appears")
    far_side.write(corner.remote("file"), "second")
    until(lambda: is_text(path / "file", "second"), "a new version appears")
    assert (path / "file").stat().st_size == len("second")
    far_side.mkdir(corner.remote("folder"))
    far_side.move(corner.remote("file"), corner.remote("folder/moved"))
    until(lambda: corner.names() == {"folder"}, "a rename appears")
    until(lambda: is_text(path / "folder" / "moved", "second"), "it is where it was moved to")
    far_side.remove(corner.remote("folder"))
    until(lambda: corner.names() == set(), "a removal appears")


def test_s_fresh_that_others_removed_the_folder_that_is_mounted_is_told(
    far_side: SandboxProcess, make_mount: Callable[..., RealMount]
) -> None:
    far_side.write("/top/file", "old")
    mount = make_mount(subdir="/top")
    mount.start()
    assert (mount.path / "file").read_text() == "old"
    far_side.remove("/top")
    until(lambda: "list" in mount.status()["account"]["workers"], "it is told")
    until(lambda: os.listdir(mount.path) == [], "nothing is shown")
    with pytest.raises(FileNotFoundError):
        (mount.path / "new").write_text("ours")
    assert mount.terminate() == 0
    assert far_side.files() == {}
    far_side.write("/top/again", "new")
    mount.start()
    assert os.listdir(mount.path) == ["again"]
    assert mount.terminate() == 0


def test_s_fresh_what_is_seen_in_its_new_place_first_leaves_its_old_one(corner: Corner) -> None:
    corner.far_side.mkdir(corner.remote("to"))
    for name in ("file", "folder/below", "last"):
        corner.theirs(f"from/{name}", name)
    # What others do is asked for at most once a second: the new place is listed before that.
    for name in ("file", "folder"):
        corner.far_side.move(corner.remote(f"from/{name}"), corner.remote(f"to/{name}"))
    until(lambda: set(os.listdir(corner.path / "to")) == {"file", "folder"}, "both have come")
    until(lambda: os.listdir(corner.path / "from") == ["last"], "both are gone from where they were")


def test_s_fresh_what_others_put_in_place_of_another_kind_is_seen_at_once(corner: Corner) -> None:
    """The attributes of what the kernel knows by the name are asked for, not the name; by several programs
    at once."""
    name, path = corner.remote("it"), corner.path / "it"
    corner.far_side.mkdir(name)
    until(path.is_dir, "the folder is seen")

    def look() -> bool | str | None:
        try:
            return is_folder_now(path)
        except OSError as error:
            return str(error)

    with watching(look) as some, watching(look) as others:
        for is_folder in (False, True, False):
            corner.far_side.remove(name)
            if is_folder:
                corner.far_side.mkdir(name)
            else:
                corner.far_side.write(name, "text")
            with suppress(FileNotFoundError):
                path.stat()
            until(lambda: look() is is_folder, "what others made is seen")  # noqa: B023
    assert {*some, *others} <= {True, False, None}


def is_folder_now(path: Path) -> bool | None:
    """As the file system says, whatever the kernel knows; None: nothing is there."""
    told = ctypes.create_string_buffer(256)
    if LIBC.statx(AT_FDCWD, os.fsencode(path), AT_STATX_FORCE_SYNC, 1, told) == 0:
        return stat.S_ISDIR(int.from_bytes(told.raw[28:30], sys.byteorder))
    if (number := ctypes.get_errno()) == errno.ENOENT:
        return None
    raise OSError(number, os.strerror(number), path)


def test_s_fresh_a_listing_that_fails_once_is_made_up_for_at_once(corner: Corner) -> None:
    corner.theirs("old", "text")
    corner.far_side.spoil(Asked.LISTING, "reply", status=503, count=1)
    corner.far_side.write(corner.remote("new"), "text")
    until(lambda: corner.names() == {"old", "new"}, "a new file appears", 20.0)
    assert len(corner.far_side.spoiled()) == 1


@pytest.mark.only_on("dropbox", "box", because="an account in memory says nothing that makes no sense")
def test_s_fresh_what_makes_no_sense_is_left_out_and_told_of(corner: Corner) -> None:
    stated = {
        "name": "good",
        "id": "77",
        "size": 4,
        "client_modified": "2020-01-01T00:00:00Z",
        "rev": "0123456789a",
    }
    stated |= {".tag": "file", "type": "file", "etag": "0", "file_version": {"id": "78"}}
    page = {
        "entries": [stated, {**stated, "name": "bad", "id": "79", "size": -4}],
        "cursor": "c",
        "has_more": False,
    }
    corner.far_side.spoil(Asked.LISTING, "reply", status=200, body=page)
    corner.far_side.write(corner.remote("new"), "text")
    until(lambda: corner.names() == {"good"}, "the entry that makes sense appears", 20.0)
    (told,) = [trouble for trouble in corner.troubles() if "left out" in trouble]
    assert told == (
        f"/{corner.name}: 1 entry is left out, for what the service says makes no sense: "
        "bad: size makes no sense: -4"
    )
    corner.far_side.calm_down()
    corner.theirs("more", "text")
    assert corner.names() == {"new", "more"}


@pytest.mark.parametrize("new_size", [5, 4 * MIB], ids=["shorter", "longer"])
def test_s_fresh_an_open_file_reads_one_revision_to_its_end(corner: Corner, new_size: int) -> None:
    old = "old revision " * 200_000
    corner.theirs("file", old)
    with (corner.path / "file").open("rb", buffering=0) as file:
        begun = file.read(100_000)
        new = "n" * new_size
        corner.theirs("file", new)
        with (corner.path / "file").open("rb") as second:
            assert second.read() == new.encode()
        rest = b"".join(iter(lambda: file.read(100_000), b""))
    assert (begun + rest).decode() == old
    until(lambda: (corner.path / "file").stat().st_size == new_size, "closed, it has the new size")
    assert (corner.path / "file").read_text() == new


@pytest.mark.parametrize("where", ["removed", "moved"])
def test_s_fresh_of_an_open_file_that_others_took_away_fstat_fails_and_all_else_goes_on(
    corner: Corner, where: str
) -> None:
    corner.theirs("file", "old")
    path = corner.path / "file"
    with path.open("rb", buffering=0) as file:
        assert file.read(1) == b"o"
        if where == "moved":
            corner.far_side.move(corner.remote("file"), corner.remote("moved"))
        else:
            corner.far_side.remove(corner.remote("file"))
        until(lambda: not path.exists(), "it is gone here")
        until(lambda: _failure(lambda: os.fstat(file.fileno())) == errno.ENOENT, "fstat fails")
        assert _failure(lambda: os.fchown(file.fileno(), os.getuid(), os.getgid())) == errno.ENOENT
        os.fchmod(file.fileno(), 0o600)
        os.utime(file.fileno(), ns=(10**18, 10**18))
        os.setxattr(file.fileno(), "user.colour", b"red")
        assert file.read() == b"ld"


def _failure(call: Callable[[], object]) -> int | None:
    try:
        call()
    except OSError as error:
        return error.errno
    return None


def test_s_fresh_a_save_by_rename_works_while_what_others_removed_is_open(corner: Corner) -> None:
    corner.theirs("file", "old")
    path = corner.path / "file"
    with path.open("rb", buffering=0) as file:
        assert file.read(1) == b"o"
        corner.far_side.remove(corner.remote("file"))
        until(lambda: not path.exists(), "it is gone here")
        os.fchmod(file.fileno(), 0o600)  # as `cp -p` and `tar x` end
        os.utime(file.fileno(), ns=(10**18, 10**18))
        assert (os.fstat(file.fileno()).st_mode & 0o777, os.fstat(file.fileno()).st_mtime_ns) == (
            0o600,
            10**18,
        )
        assert not path.exists()
        (corner.path / "new").write_text("new")
        (corner.path / "new").rename(path)
        assert path.read_text() == "new"
        assert file.read() == b"ld"
    corner.settle()
    assert set(corner.there()) == {"file"}


def test_s_fresh_what_is_opened_is_whole_though_the_kernel_knows_an_older_size(corner: Corner) -> None:
    old, new = "o" * 30_000, "n" * 90_000
    corner.theirs("file", old)
    path = corner.path / "file"
    sights = set()

    def is_new() -> bool:
        path.stat()  # from here on the kernel answers for a second
        with path.open("rb", buffering=0) as file:
            body = os.pread(file.fileno(), MIB, 0)
            sights.add((body[:1], len(body), os.fstat(file.fileno()).st_size))
        return body[:1] != b"o"

    corner.far_side.write(corner.remote("file"), new)
    until(is_new, "the new version is read")
    assert sights <= {(b"o", len(old), len(old)), (b"n", len(new), len(new))}


def test_s_fresh_who_appends_to_a_newer_version_does_so_at_its_end_though_an_older_one_is_open(
    corner: Corner,
) -> None:
    corner.theirs("file", "older" * 1000)
    path = corner.path / "file"
    with path.open("rb") as older:
        assert older.read(5) == b"older"
        corner.far_side.write(corner.remote("file"), "new")
        until(lambda: path.read_bytes() == b"new", "the new version is read")
        path.stat()  # of the older one: from here on the kernel answers for a second
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(b"er")
    corner.settle()
    assert corner.content("file") == path.read_bytes() == b"newer"


# S-RENAME


def test_s_rename_of_a_file_and_of_a_folder_is_one_move_each(corner: Corner) -> None:
    corner.run("mkdir -p folder/in; for i in $(seq 30); do echo $i > folder/in/$i; done; echo text > file")
    corner.settle()
    before = corner.there()
    corner.far_side.reset_log()
    corner.run("mv file renamed; mv folder moved")
    assert (corner.path / "moved" / "in" / "7").read_text() == "7\n"
    corner.settle()
    assert corner.far_side.moves() == 2
    assert corner.far_side.uploads() == 0
    after = corner.there()
    assert after["renamed"]["id"] == before["file"]["id"]
    assert after["moved/in/7"]["id"] == before["folder/in/7"]["id"]
    assert len(after) == len(before)


def test_s_rename_over_an_existing_file_never_loses_both(corner: Corner) -> None:
    corner.committed("source", "source")
    corner.committed("target", "target")
    with watching(lambda: {name: entry["content_hash"] for name, entry in corner.there().items()}) as seen:
        (corner.path / "source").rename(corner.path / "target")
        assert is_text(corner.path / "target", "source")
        corner.settle()
    kept = corner.hash_of(b"source")
    assert all(kept in sight.values() for sight in seen)
    assert seen[-1] == {"target": kept}


def test_s_rename_over_what_somebody_else_changed_is_undone(corner: Corner) -> None:
    corner.committed("source", "source")
    corner.committed("target", "target")
    corner.far_side.pause()
    (corner.path / "source").rename(corner.path / "target")
    corner.far_side.write(corner.remote("target"), "theirs")
    corner.far_side.resume()
    assert [failed.path for failed in corner.wait().failed] == [corner.remote("source")]
    until(lambda: is_text(corner.path / "target", "theirs"), "theirs is shown")
    assert (corner.path / "source").read_text() == "source"
    assert any("target" in trouble for trouble in corner.troubles())
    (corner.path / "source").rename(corner.path / "target")
    corner.settle()
    assert set(corner.there()) == {"target"}
    assert corner.content("target") == b"source"


@pytest.mark.parametrize("renamed", ["other", "FILE"])
def test_s_rename_of_what_is_being_replaced_takes_its_history_along(corner: Corner, renamed: str) -> None:
    corner.committed("file", "old")
    item_id = corner.there()["file"]["id"]
    corner.far_side.pause()
    (corner.path / "file").write_text("new")
    (corner.path / "file").rename(corner.path / renamed)
    corner.far_side.resume()
    corner.settle()
    assert corner.names() == set(corner.there()) == {renamed}
    assert corner.there()[renamed]["id"] == item_id
    assert corner.content(renamed) == b"new"


def test_s_rename_of_a_new_folder_onto_the_one_that_its_contents_left(corner: Corner) -> None:
    corner.run("mkdir d; echo f > d/f; echo g > d/g")
    corner.settle()
    item_id = corner.there()["d/g"]["id"]
    corner.far_side.pause()
    corner.run("mkdir new; mv d/g new; rm d/*; mv -T new d; mkdir d/f")
    corner.far_side.resume()
    corner.settle()
    assert set(corner.there()) == {"d", "d/f", "d/g"}
    assert corner.there()["d/g"]["id"] == item_id
    assert corner.names() == {"d"}
    assert corner.content("d/g") == b"g\n"


def test_s_rename_and_removal_of_what_is_being_replaced_removes_it(corner: Corner) -> None:
    corner.committed("file", "old")
    corner.far_side.pause()
    corner.run("echo new > file; mv file other; rm other")
    corner.far_side.resume()
    corner.settle()
    assert corner.there() == {}
    assert corner.names() == set()
