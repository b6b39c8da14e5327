"""Single calls: what they keep, what they refuse and with which errno."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mounted.corner import STATE, Corner
from tests.mounted.realmount import MakeMount, mountfs
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

LONG_AGO_S = 1_300_000_000

Call = Callable[[Path], object]


# S-ERR


def _of_libc(name: str, *arguments: object) -> None:
    """A call that Python does not have."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


def _renameat2(flags: int, target: str) -> Call:
    here = -100  # AT_FDCWD

    def call(at: Path) -> None:
        _of_libc("renameat2", here, os.fsencode(at / "file"), here, os.fsencode(at / target), flags)

    return call


def _fallocate(at: Path) -> None:
    with (at / "file").open("r+b") as file:
        _of_libc("fallocate", file.fileno(), 0, ctypes.c_long(0), ctypes.c_long(10))


REFUSED: dict[str, tuple[Call, int]] = {
    "a hard link": (lambda at: os.link(at / "file", at / "new"), errno.EPERM),
    "reading an attribute that it has not": (lambda at: os.getxattr(at / "file", "user.no"), errno.ENODATA),
    "setting an attribute of root's": (lambda at: os.setxattr(at / "file", "trusted.x", b"1"), errno.ENOTSUP),
    "setting a large one": (lambda at: os.setxattr(at / "file", "user.x", b"1" * 4097), errno.ENOSPC),
    "setting one of ours": (lambda at: os.setxattr(at / "file", STATE, b"clean"), errno.ENOTSUP),
    "an access control list": (
        lambda at: os.setxattr(at / "file", "system.posix_acl_access", b"\2\0\0\0"),
        errno.ENOTSUP,
    ),
    "a file without a name": (lambda at: os.open(at, os.O_TMPFILE | os.O_RDWR), errno.ENOTSUP),
    "space set aside": (_fallocate, errno.ENOTSUP),
    "an exchange of names": (_renameat2(2, "full/in-it"), errno.EINVAL),
    "a rename that must not replace": (_renameat2(1, "new"), errno.EINVAL),
    "a folder into itself": (lambda at: os.rename(at / "full", at / "full" / "in"), errno.EINVAL),
    "removing a full folder": (lambda at: os.rmdir(at / "full"), errno.ENOTEMPTY),
    "replacing a full folder": (lambda at: os.rename(at / "empty", at / "full"), errno.ENOTEMPTY),
    "rmdir of a file": (lambda at: os.rmdir(at / "file"), errno.ENOTDIR),
    "unlink of a folder": (lambda at: os.unlink(at / "empty"), errno.EISDIR),
    "a file over a folder": (lambda at: os.rename(at / "file", at / "empty"), errno.EISDIR),
    "a folder over a file": (lambda at: os.rename(at / "empty", at / "file"), errno.ENOTDIR),
    "a file in a file": (lambda at: os.mkdir(at / "file" / "in"), errno.ENOTDIR),
    "a file in no folder": (lambda at: os.mkdir(at / "none" / "in"), errno.ENOENT),
    "a second file exclusively": (lambda at: (at / "file").open("x"), errno.EEXIST),
    "a file over 350 GB": (lambda at: os.truncate(at / "file", 350 * 10**9 + 1), errno.EFBIG),
}


def test_s_err_what_is_unsupported_fails_at_once_with_its_errno(corner: Corner) -> None:
    corner.run("echo text > file; mkdir empty full; touch full/in-it")
    before = corner.names()
    for what, (call, number) in REFUSED.items():
        with pytest.raises(OSError) as refused:
            call(corner.path)
        assert refused.value.errno == number, f"{what}: {refused.value}"
    assert corner.names() == before
    corner.settle()
    assert set(corner.there()) == {"file", "empty", "full", "full/in-it"}


def test_s_err_a_read_only_mount_refuses_every_change(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    far_side.write("/file", "text")
    mount = make_mount(ro="true")
    mount.start()
    calls: list[Call] = [
        lambda at: (at / "new").touch(),
        lambda at: (at / "file").open("a"),
        lambda at: (at / "file").unlink(),
        lambda at: (at / "file").rename(at / "new"),
        lambda at: (at / "new").mkdir(),
        lambda at: os.utime(at / "file", (0, 0)),
        lambda at: os.truncate(at / "file", 0),
    ]
    for call in calls:
        with pytest.raises(OSError) as refused:
            call(mount.path)
        assert refused.value.errno == errno.EROFS
    assert (mount.path / "file").read_text() == "text"


def test_s_err_attributes_tell_how_far_a_path_is(corner: Corner) -> None:
    path = corner.committed("file", "old")
    assert corner.state("file") == "clean"
    assert os.listxattr(path) == []
    os.setxattr(path, "user.origin", b"camera")
    corner.run("cp -a file copy")
    assert os.getxattr(corner.path / "copy", "user.origin") == b"camera"
    assert os.listxattr(corner.path / "copy") == ["user.origin"]
    corner.far_side.pause()
    path.write_text("new")
    until(lambda: corner.state("file") in ("pending", "uploading"), "it is on its way")
    assert os.getxattr(corner.path, STATE) == b"pending"
    corner.far_side.resume()
    corner.settle()
    assert corner.state("file") == "clean"
    assert os.getxattr(corner.path, STATE) == b"clean"


# S-NAMES


def test_s_names_two_spellings_that_differ_in_case_are_one_name(corner: Corner) -> None:
    corner.committed("Report.TXT", "text")
    assert (corner.path / "report.txt").read_text() == "text"
    with pytest.raises(FileExistsError):
        (corner.path / "REPORT.txt").mkdir()
    (corner.path / "report.TXT").write_text("more")
    assert corner.names() == {"Report.TXT"}
    (corner.path / "Report.TXT").rename(corner.path / "report.txt")
    assert corner.names() == {"report.txt"}
    corner.settle()
    assert set(corner.there()) == {"report.txt"}
    assert corner.content("report.txt") == b"more"
    # What is open goes on with what the kernel has read; who opens it then has all.
    with (corner.path / "report.txt").open("rb") as held:
        assert held.read() == b"more"
        with (corner.path / "REPORT.txt").open("r+b") as other:
            other.write(b"MORE!!")
        for name in ("report.txt", "REPORT.txt"):
            assert (corner.path / name).read_bytes() == b"MORE!!"
    # The kernel, which knows spellings, takes the second one for a file that is there.
    (corner.path / "REPORT.txt").stat()
    (corner.path / "report.txt").unlink()
    (corner.path / "REPORT.txt").write_text("new")
    assert corner.names() == {"REPORT.txt"}
    (corner.path / "report.txt").stat()
    (corner.path / "REPORT.txt").unlink()
    with pytest.raises(FileNotFoundError):
        (corner.path / "report.txt").read_text()


def test_s_names_what_the_service_refuses_is_refused_at_once(corner: Corner) -> None:
    (corner.path / "file").write_text("text")
    for name, number in corner.far_side.refused_names.items():
        calls: list[Call] = [
            lambda at: (at / name).touch(),  # noqa: B023 - called in the same round
            lambda at: (at / name).mkdir(),  # noqa: B023
            lambda at: (at / "file").rename(at / name),  # noqa: B023
        ]
        for call in calls:
            with pytest.raises(OSError) as refused:
                call(corner.path)
            assert refused.value.errno == number, name
    assert corner.names() == {"file"}


LOCAL_NAMES = [
    ".fuse_hidden0001",
    ".~lock.letter.odt#",
    ".goutputstream-ABC123",
    ".notes.txt.swp",
    "~$letter.docx",
    ".DS_Store",
]


def test_s_names_local_only_names_stay_here_until_they_get_a_real_one(corner: Corner) -> None:
    for name in LOCAL_NAMES:
        (corner.path / name).write_text(name)
    corner.committed("real", "text")
    assert corner.names() == {"real", *LOCAL_NAMES}
    assert set(corner.there()) == {"real"}
    assert corner.far_side.named().isdisjoint(LOCAL_NAMES)
    (corner.path / ".goutputstream-ABC123").rename(corner.path / "real")
    corner.settle()
    assert corner.content("real") == b".goutputstream-ABC123"
    assert corner.far_side.named().isdisjoint(LOCAL_NAMES)
    # What the service has is an ordinary file under any name.
    (corner.path / "real").rename(corner.path / "~$real")
    corner.settle()
    assert set(corner.there()) == {"~$real"}
    # It cannot be renamed into a folder that stays here, but mv copies it, as between two disks.
    (corner.path / ".cache.swp").mkdir()
    with pytest.raises(OSError) as refused:
        (corner.path / "~$real").rename(corner.path / ".cache.swp" / "real")
    assert refused.value.errno == errno.EXDEV
    corner.run("mv '~$real' .cache.swp/real")
    corner.settle()
    assert corner.there() == {}
    assert (corner.path / ".cache.swp" / "real").read_text() == ".goutputstream-ABC123"


def test_s_names_an_unlinked_file_stays_readable_and_is_never_sent(corner: Corner) -> None:
    with (corner.path / "scratch").open("w+") as file:
        file.write("still here")
        file.flush()
        (corner.path / "scratch").unlink()
        file.seek(0)
        assert file.read() == "still here"
    until(lambda: corner.names() == set(), "the hidden name goes with the last handle")
    corner.settle()
    assert corner.there() == {}
    assert not any(".fuse_hidden" in path for path in corner.far_side.named())


# S-TIME


def test_s_time_the_commit_carries_times_to_the_second(corner: Corner, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("text")
    os.utime(source, ns=(0, LONG_AGO_S * 10**9 + 999_999_999))
    corner.run(f"cp -p {source} copied; rsync -a {source} synced; touch -d @{LONG_AGO_S} touched")
    corner.settle()
    for name, part_ns in (("copied", 999_999_999), ("synced", 999_999_999), ("touched", 0)):
        assert (corner.path / name).stat().st_mtime_ns == LONG_AGO_S * 10**9 + part_ns
        assert corner.there()[name]["mtime_s"] == LONG_AGO_S
    corner.far_side.reset_log()
    corner.run(f"rsync -a {source} synced")
    corner.settle()
    assert corner.far_side.uploads() == 0


def test_s_time_what_the_service_cannot_change_is_kept_here(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount()
    mount.start()
    file, folder = mount.path / "file", mount.path / "folder"
    file.write_text("text")
    folder.mkdir()
    mount.wait_committed()
    there = far_side.tree()
    os.utime(file, (LONG_AGO_S, LONG_AGO_S))
    os.utime(folder, (LONG_AGO_S, LONG_AGO_S))
    mount.wait_committed()
    if not far_side.keeps_times:
        assert far_side.tree() == there
    file.rename(mount.path / "renamed")
    mount.wait_committed()
    assert mount.terminate() == 0
    mount.start()
    assert (mount.path / "renamed").stat().st_mtime == LONG_AGO_S
    assert folder.stat().st_mtime == LONG_AGO_S
    (mount.path / "renamed").write_text("more")
    assert (mount.path / "renamed").stat().st_mtime != LONG_AGO_S


def test_s_time_a_tree_without_times_is_copied_once(corner: Corner) -> None:
    """As archives and package stores have it that are to be the same wherever they are made."""
    corner.run('mkdir -p "$W/zero/d"; echo x > "$W/zero/d/f"; find "$W/zero" -exec touch -d @0 {} +')
    copied = 'rsync -ai "$W/zero/" zero/'
    assert corner.run(copied) != ""
    assert corner.run("stat -c %Y zero zero/d zero/d/f").split() == ["0", "0", "0"]
    assert corner.run(copied) == ""
    corner.settle()
    assert corner.run(copied) == ""


@pytest.mark.only_on("dropbox", because="the other services take any time")
def test_s_time_a_time_to_come_is_kept_here_and_sent_as_the_present(corner: Corner) -> None:
    path = corner.path / "file"
    path.write_text("text")
    os.utime(path, (4_000_000_000, 4_000_000_000))
    corner.settle()
    assert corner.there()["file"]["mtime_s"] <= time.time()
    assert path.stat().st_mtime == 4_000_000_000


# S-LINKS


def test_s_links_what_stays_here_works_as_on_a_disk(make_mount: MakeMount, far_side: SandboxProcess) -> None:
    mount = make_mount()
    mount.start()
    tree = mount.path / "tree"
    tree.mkdir()
    (tree / "file").write_text("text")
    (tree / "link").symlink_to("file")
    (tree / "dangling").symlink_to("/no/where")
    subprocess.run(["cp", "-a", tree, mount.path / "copy"], check=True)
    os.mkfifo(tree / "fifo", 0o640)
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    reader = subprocess.Popen(["cat", tree / "fifo"], stdout=subprocess.PIPE)
    (tree / "fifo").write_text("through")
    assert reader.communicate()[0] == b"through"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tree / "socket"))
        server.listen()
        client.connect(str(tree / "socket"))
    with pytest.raises(PermissionError):
        (tree / "null").read_bytes()
    mount.wait_committed()
    assert far_side.files().keys() == {"/tree/file", "/copy/file"}
    assert mount.status()["account"]["states"]["local"]["count"] == 7
    mount.kill9()
    mount.start()
    assert (mount.path / "copy" / "link").read_text() == "text"
    assert os.readlink(tree / "dangling") == "/no/where"
    kinds = {each.name: stat.S_IFMT(each.lstat().st_mode) for each in tree.iterdir()}
    assert kinds == {
        "file": stat.S_IFREG,
        "link": stat.S_IFLNK,
        "dangling": stat.S_IFLNK,
        "fifo": stat.S_IFIFO,
        "null": stat.S_IFCHR,
        "socket": stat.S_IFSOCK,
    }
    assert (tree / "null").stat().st_rdev == os.makedev(1, 3)


@pytest.mark.only_on("memory", because="the service has no part in it")
def test_s_links_none_are_taken_where_the_option_says_so(make_mount: MakeMount) -> None:
    mount = make_mount(links="refuse")
    mount.start()
    with pytest.raises(PermissionError) as caught:
        (mount.path / "link").symlink_to("file")
    assert caught.value.errno == errno.EPERM


@pytest.mark.only_on("dropbox", because="to the others they are files as well")
def test_s_links_are_published_where_the_option_says_so(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount(links="rclone")
    far_side.write("/theirs.rclonelink", "folder/file")
    far_side.write("/hostile.rclonelink", "/etc/passwd")
    mount.start()
    (mount.path / "folder").mkdir()
    (mount.path / "folder" / "file").write_text("text")
    assert (mount.path / "theirs").read_text() == "text"
    with pytest.raises(PermissionError):
        (mount.path / "hostile").read_text()
    subprocess.run(["ln", "-s", "file", mount.path / "folder" / "ours"], check=True)
    subprocess.run(["ln", "-sfn", "folder", mount.path / "theirs"], check=True)
    subprocess.run(["cp", "-a", mount.path / "folder", mount.path / "copy"], check=True)
    mount.wait_committed()
    assert far_side.read("/copy/ours.rclonelink") == b"file"
    assert far_side.read("/theirs.rclonelink") == b"folder"
    assert sorted(each.name for each in mount.path.iterdir()) == ["copy", "folder", "hostile", "theirs"]
    assert (mount.path / "theirs" / "ours").read_text() == "text"
    shutil.rmtree(mount.path / "copy")
    (mount.path / "hostile").unlink()
    mount.wait_committed()
    assert far_side.files().keys() == {"/folder/file", "/folder/ours.rclonelink", "/theirs.rclonelink"}


@pytest.mark.only_on("dropbox", "box", because="an account in memory copies as these two do")
def test_s_links_a_hard_link_is_a_second_file_where_the_option_says_so(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount(hardlinks="copy")
    far_side.write("/theirs", "text of theirs")
    mount.start()
    assert (mount.path / "theirs").read_text() == "text of theirs"
    subprocess.run(["ln", "theirs", "mine"], cwd=mount.path, check=True)
    mount.wait_committed()
    assert far_side.read("/mine") == b"text of theirs"
    assert far_side.uploads() == 0
    xattr = f'{sys.executable} -c \'import os; os.setxattr("a/f", "user.x", b"y")\''
    script = (
        f"mkdir a; umask 027; echo one > a/f; chmod 750 a/f; {xattr}; "
        "ln a/f a/g; ln -s f a/s; cp -al a b; echo more >> b/f; mkdir r; rsync -aHX a/ r/; "
        "git init -q --bare git.git; git clone -q -l git.git work 2>/dev/null; cd work; echo x > x; "
        "git add x; git -c user.name=n -c user.email=e@f commit -qm x; git push -q; git gc -q; git fsck"
    )
    subprocess.run(["sh", "-ec", script], cwd=mount.path, check=True, capture_output=True)
    copy = (mount.path / "b" / "g").stat()
    assert (copy.st_mode, copy.st_nlink) == (0o100750, 1)
    assert (copy.st_mtime_ns, copy.st_gid) == ((mount.path / "a" / "f").stat().st_mtime_ns, os.getgid())
    assert os.getxattr(mount.path / "b" / "g", "user.x") == b"y"
    mount.wait_committed()
    assert far_side.read("/b/f") == b"one\nmore\n"
    assert far_side.read("/a/f") == far_side.read("/a/g") == far_side.read("/b/g") == b"one\n"


# S-MODE


def test_s_mode_what_a_program_sets_is_kept_and_holds(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount()
    mount.start()
    script, key = mount.path / "script", mount.path / "key"
    script.write_text("#!/bin/sh\nexit 7\n")
    with pytest.raises(PermissionError):
        subprocess.run([script])
    script.chmod(0o755)
    subprocess.run(["sh", "-c", "umask 077; echo secret > key; mkdir private"], cwd=mount.path, check=True)
    with_other_group = subprocess.run(["ls", mount.path], group=1, capture_output=True, text=True)
    assert "Permission denied" in with_other_group.stderr
    os.chown(key, 4321, 4322)
    mount.wait_committed()
    key.rename(mount.path / "private" / "key")
    mount.kill9()
    mount.start()
    assert subprocess.run([script]).returncode == 7
    told = (mount.path / "private" / "key").stat()
    assert (told.st_mode, told.st_uid, told.st_gid) == (0o100600, 4321, 4322)
    assert (mount.path / "private").stat().st_mode == 0o40700


@pytest.mark.only_on("memory", because="the service has no part in it")
def test_s_mode_what_is_kept_is_carried_over_to_another_machine(
    make_mount: MakeMount, tmp_path: Path
) -> None:
    first, second = make_mount(), make_mount(name="other", state_dir=str(tmp_path / "other-state"))
    first.start()
    (first.path / "script").write_text("#!/bin/sh\n")
    (first.path / "script").chmod(0o750)
    os.chown(first.path / "script", 4321, 4322)
    os.setxattr(first.path / "script", "user.origin", b"camera")
    (first.path / "link").symlink_to("script")
    first.wait_committed()
    second.start()
    dumped = mountfs("attributes", "--dump", first.path)
    (tmp_path / "dump").write_text(dumped.stdout + '{"path": "none", "kind": "file", "mode": "0600"}\n')
    loaded = mountfs("attributes", "--load", tmp_path / "dump", second.path)
    assert loaded.returncode == 1
    assert "none: No such file or directory" in loaded.stderr
    told = (second.path / "script").stat()
    assert (told.st_mode, told.st_uid, told.st_gid) == (0o100750, 4321, 4322)
    assert os.getxattr(second.path / "script", "user.origin") == b"camera"
    assert os.readlink(second.path / "link") == "script"
    assert (second.path / "script").read_text() == "#!/bin/sh\n"


@pytest.mark.only_on("memory", because="the service has no part in it")
def test_s_mode_nothing_is_kept_where_the_option_says_so(make_mount: MakeMount) -> None:
    mount = make_mount(attributes="none", file_mode="0640", dir_mode="0750")
    mount.start()
    path = mount.path / "file"
    path.write_text("text")
    path.chmod(0o600)
    os.chown(path, 4321, 4321)
    assert (path.stat().st_mode, path.stat().st_uid) == (0o100640, os.getuid())
    assert mount.path.stat().st_mode == 0o40750


def test_s_mode_options_say_whose_files_they_are(make_mount: MakeMount, far_side: SandboxProcess) -> None:
    mount = make_mount(uid="4321", gid="4322", umask="0027")
    far_side.write("/theirs/file", "text")
    mount.start()
    file, folder = (mount.path / "theirs" / "file").stat(), (mount.path / "theirs").stat()
    assert (file.st_mode, file.st_uid, file.st_gid) == (0o100640, 4321, 4322)
    assert (folder.st_mode, folder.st_uid, folder.st_gid) == (0o40750, 4321, 4322)
