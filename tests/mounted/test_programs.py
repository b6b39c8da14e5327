"""Ordinary programs through a real mount, and what the far side gets from them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from mountfs.fuse.mount import MountFailed, unmount
from mountfs.model.entry import Folder
from tests.mounted.conftest import Mounted

MAKE_TREE = """
mkdir -p src/a/b/c "src/dir with spaces"
for i in $(seq 1 40); do head -c $((i * 997)) /dev/urandom > src/a/f$i; done
head -c 3000000 /dev/urandom > src/a/b/big
: > src/a/b/c/empty
echo hällo > "src/dir with spaces/ünïcode"
touch -d '2020-02-03 04:05:06' src/a/f1
"""


def test_a_tree_copied_in_is_there_and_arrives_whole(mounted: Mounted) -> None:
    mounted.run(MAKE_TREE + 'cp -r src "$M"/ && diff -r src "$M"/src')
    listing = mounted.run('ls -lR "$M"')
    assert "ünïcode" in listing
    mounted.settle()
    mounted.run('diff -r src "$M"/src')
    files = mounted.world.account.files()
    for path in (mounted.work / "src").rglob("*"):
        remote = "/" + str(path.relative_to(mounted.work))
        if path.is_file():
            assert files[remote] == path.read_bytes()
        else:
            assert isinstance(mounted.world.account.get(remote), Folder)


def test_cp_p_and_touch_keep_times(mounted: Mounted) -> None:
    mounted.run(
        'echo x > f; touch -d "2020-02-03 04:05:06" f; cp -p f "$M"/f;'
        'test "$(stat -c %Y f)" = "$(stat -c %Y "$M"/f)"'
    )
    mounted.settle()
    mounted.run('test "$(stat -c %Y f)" = "$(stat -c %Y "$M"/f)"')
    mounted.run('touch -m -d "2021-01-01" "$M"/f; test "$(date -d 2021-01-01 +%s)" = "$(stat -c %Y "$M"/f)"')
    mounted.run('touch -a "$M"/f; test "$(date -d 2021-01-01 +%s)" = "$(stat -c %Y "$M"/f)"')


def test_rsync_sends_nothing_the_second_time_and_no_temporary_name(mounted: Mounted) -> None:
    mounted.needs("rsync")
    mounted.run(MAKE_TREE + 'rsync -a src/ "$M"/dst/')
    mounted.settle()
    assert not any("/." in path for path in mounted.world.account.files())
    out = mounted.run('rsync -ai src/ "$M"/dst/')
    assert [line for line in out.splitlines() if line.startswith((">f", "cd", ">d"))] == []
    mounted.run('diff -r src "$M"/dst')
    assert mounted.world.journal.live() == []


def test_tar_unpacks_and_packs(mounted: Mounted) -> None:
    mounted.run(MAKE_TREE + 'tar cf t.tar src && tar xf t.tar -C "$M" && diff -r src "$M"/src')
    mounted.settle()
    mounted.run(
        'tar cf back.tar -C "$M" src && mkdir back && tar xf back.tar -C back && diff -r src back/src'
    )


def test_moving_and_removing_trees(mounted: Mounted) -> None:
    mounted.run(MAKE_TREE + 'cp -r src "$M"/one; mv "$M"/one "$M"/two; diff -r src "$M"/two')
    mounted.settle()
    mounted.run('mv "$M"/two "$M"/three; diff -r src "$M"/three; mkdir "$M"/in; mv "$M"/three "$M"/in/')
    mounted.settle()
    mounted.run('diff -r src "$M"/in/three; rm -r "$M"/in; test -z "$(ls -A "$M")"')
    mounted.settle()
    assert mounted.world.account.files() == {}
    assert mounted.world.account.folders() == set()


@pytest.mark.parametrize(
    "save",
    [
        'printf new > "$M/.doc.tmp12"; mv "$M/.doc.tmp12" "$M/doc"',
        'mv "$M/doc" "$M/doc~"; printf new > "$M/doc"; rm "$M/doc~"',
        'cp "$M/doc" "$M/doc.bak"; printf new > "$M/doc"; rm "$M/doc.bak"',
        'printf new > "$M/4913"; rm "$M/4913"; mv "$M/doc" "$M/doc~"; printf new > "$M/doc"; rm "$M/doc~"',
        'printf xx > "$M/d.part"; sync "$M/d.part"; printf new > "$M/d.part"; mv "$M/d.part" "$M/doc"',
        'sed -i s/old/new/ "$M/doc"',
        'perl -i -pe s/old/new/ "$M/doc"',
    ],
)
def test_every_way_to_save_leaves_the_new_bytes_alone(mounted: Mounted, save: str) -> None:
    mounted.world.theirs("/doc", b"old")
    mounted.run(save)
    assert (mounted.path / "doc").read_bytes() == b"new"
    mounted.settle()
    assert mounted.world.account.files() == {"/doc": b"new"}


def test_vim_saves(mounted: Mounted) -> None:
    mounted.needs("vim")
    mounted.world.theirs("/doc.txt", b"old\n")
    mounted.run('vim -es -u NONE -c "%s/old/new/" -c wq "$M"/doc.txt')
    mounted.settle()
    assert mounted.world.account.files() == {"/doc.txt": b"new\n"}


def test_sqlite_works_in_the_mount(mounted: Mounted) -> None:
    mounted.needs("sqlite3")
    mounted.run(
        'sqlite3 "$M"/x.db "create table t (a); begin; insert into t values (1), (2); commit; vacuum;"'
    )
    assert mounted.run('sqlite3 "$M"/x.db "select sum(a) from t; pragma integrity_check"') == "3\nok\n"
    mounted.settle()
    assert mounted.run('sqlite3 "$M"/x.db "insert into t values (4); select sum(a) from t"') == "7\n"
    mounted.settle()
    assert set(mounted.world.account.files()) == {"/x.db"}


def test_git_works_in_the_mount(mounted: Mounted) -> None:
    mounted.needs("git")
    mounted.run(
        'cd "$M"; git init -q r; cd r; git config user.email a@b; git config user.name n; '
        "for i in 1 2 3; do echo $i > f$i; git add .; git commit -qm $i; done; git gc -q; git fsck --strict"
    )
    mounted.settle()
    out = mounted.run(
        'cd "$M"/r; git status --porcelain; git log --oneline | wc -l; git checkout -q HEAD~2; ls'
    )
    assert out.split() == ["3", "f1"]


# A page fault holds Python's lock, which the file system needs to answer it: never map in this process.
MAP = """
import mmap, sys
path, keeps_open = sys.argv[1], len(sys.argv) > 2
file = open(path, "r+b")
mapped = mmap.mmap(file.fileno(), 10000)
if not keeps_open:
    file.close()
mapped[5000:5005] = b"hello"
mapped.flush()
mapped[9995:10000] = b"later"
mapped.close()
"""


@pytest.mark.parametrize("keeps_open", ["", "keep"])
def test_a_shared_writable_mapping_reaches_the_file(mounted: Mounted, keeps_open: str) -> None:
    (mounted.work / "map.py").write_text(MAP)
    mounted.run(f'head -c 10000 /dev/zero > "$M"/m; python3 map.py "$M"/m {keeps_open}')
    for _ in range(2):
        body = mounted.run('cat "$M"/m').encode()
        assert (body[5000:5005], body[9995:], len(body)) == (b"hello", b"later", 10000)
        mounted.settle()
    assert mounted.world.account.files() == {"/m": body}


def test_locks_work_within_the_host(mounted: Mounted) -> None:
    path = mounted.path / "l"
    with path.open("w") as one:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with path.open("w") as two, pytest.raises(BlockingIOError):
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = f"import fcntl; fcntl.lockf(open({str(path)!r}, 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        assert subprocess.run(["python3", "-c", other], stderr=subprocess.DEVNULL).returncode != 0


def test_an_unlinked_open_file_goes_on_working(mounted: Mounted) -> None:
    path = mounted.path / "u"
    with path.open("w+b") as file:
        file.write(b"one")
        file.flush()
        path.unlink()
        assert not path.exists()
        file.write(b"two")
        file.flush()
        assert os.fstat(file.fileno()).st_size == 6
        file.seek(0)
        assert file.read() == b"onetwo"
    mounted.settle()
    assert list(mounted.path.iterdir()) == []
    assert mounted.world.account.files() == {}


def test_a_remote_file_replaced_while_open_is_read_to_its_end(mounted: Mounted) -> None:
    mounted.world.theirs("/f", b"old" * 1_000_000)
    path = mounted.path / "f"
    with path.open("rb", buffering=0) as file:
        assert file.read(3) == b"old"
        (mounted.path / "n").write_bytes(b"new")
        (mounted.path / "n").rename(path)
        assert path.read_bytes() == b"new"
        rest = bytearray()
        while piece := file.read(1_000_000):
            rest += piece
    assert bytes(rest) == (b"old" * 1_000_000)[3:]
    mounted.settle()
    assert mounted.world.account.files() == {"/f": b"new"}


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (lambda m: os.link(m / "f", m / "g"), errno.EPERM),
        (lambda m: os.mkfifo(m / "p"), errno.EPERM),
        (lambda m: (m / "s").symlink_to("f"), errno.ENOTSUP),
        (lambda m: os.setxattr(m / "f", "user.x", b"y"), errno.ENOTSUP),
        (lambda m: os.getxattr(m / "f", "user.x"), errno.ENOTSUP),
        (lambda m: os.removexattr(m / "f", "user.x"), errno.ENOTSUP),
        (lambda m: (m / "desktop.ini").write_text(""), errno.EINVAL),
        (lambda m: (m / ("x" * 256)).write_text(""), errno.ENAMETOOLONG),
        (lambda m: Path(os.fsdecode(os.fsencode(m) + b"/\xff\xfe")).write_text(""), errno.EINVAL),
        (lambda m: Path(os.fsdecode(os.fsencode(m) + b"/\xff\xfe")).stat(), errno.ENOENT),
        (Path.rmdir, errno.EBUSY),
        (lambda m: (m / "d").rmdir(), errno.ENOTEMPTY),
        (lambda m: (m / "f").mkdir(), errno.EEXIST),
        (lambda m: (m / "f" / "x").write_text(""), errno.ENOTDIR),
        (lambda m: (m / "d").rename(m / "d" / "x"), errno.EINVAL),
        (lambda m: (m / "d").read_bytes(), errno.EISDIR),
    ],
)
def test_what_is_refused_is_refused_with_the_right_errno(mounted: Mounted, call, number) -> None:  # type: ignore[no-untyped-def]
    (mounted.path / "f").write_text("x")
    (mounted.path / "d").mkdir()
    (mounted.path / "d" / "x").write_text("x")
    with pytest.raises(OSError) as caught:
        call(mounted.path)
    assert caught.value.errno == number


def test_chmod_chown_and_df_succeed(mounted: Mounted) -> None:
    mounted.run(
        'echo x > "$M"/f; chmod 600 "$M"/f; chown "$(id -u)" "$M"/f; df "$M"; find "$M" -type f; du "$M"'
    )
    assert os.listxattr(mounted.path / "f") == ["user.mountfs.state"]


def test_many_programs_at_once(mounted: Mounted) -> None:
    mounted.run(
        "for i in $(seq 1 8); do (mkdir $M/p$i; for j in $(seq 1 30); do echo $i $j > $M/p$i/t; "
        "mv $M/p$i/t $M/p$i/f$j; cat $M/p$i/f$j > /dev/null; done) & done; "
        "for job in $(jobs -p); do wait $job; done; find $M -type f | wc -l"
    )
    mounted.settle()
    files = mounted.world.account.files()
    assert files == {f"/p{i}/f{j}": f"{i} {j}\n".encode() for i in range(1, 9) for j in range(1, 31)}


def test_a_busy_mount_is_not_taken_away(mounted: Mounted) -> None:
    (mounted.path / "f").write_text("x")
    with (mounted.path / "f").open(), pytest.raises(MountFailed, match="busy"):
        unmount(mounted.path)
