"""Programs that need of a disk what the services have not: modes, owners, links, times, locks.

Each runs on one service; MOUNTFS_ALL_SERVICES=1 has them on both. Those that take long run with
MOUNTFS_ALL_PROGRAMS=1 alone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mounted.corner import Corner
from tests.mounted.realmount import MakeMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

pytestmark = pytest.mark.only_on(
    "dropbox", "box", because="an account in memory takes whatever these two take from a program"
)

takes_long = pytest.mark.skipif(
    "MOUNTFS_ALL_PROGRAMS" not in os.environ, reason="takes long: MOUNTFS_ALL_PROGRAMS=1 has it run"
)
POSTGRES = Path("/usr/lib/postgresql/15/bin")
LOCAL = (".fuse_hidden", ".#", ".goutputstream", ".~lock", "~$")
TEMPORARY = ("~", ".tmp", ".swp", ".part", ".lock")

TREE = """
test -e "$W/t" && exit
mkdir -p "$W/t/d/e"; cd "$W/t"; umask 022
echo one > d/one; echo two > d/e/two; chmod 640 d/one; chmod 4711 d/e/two; chmod 1770 d/e
ln -s ../one d/e/link; ln -s /no/where dangling; mkfifo -m 600 d/fifo; mknod d/null c 1 3
chown 1001:1002 d/one; chown -h 1003:1003 dangling
python3 -c 'import os; os.setxattr("d/one", "user.origin", b"camera")'
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("d/sock")'
find . -exec touch -hd '2020-02-03 04:05:06.123456789' {} +
"""
LISTED = "find . -mindepth 1 -printf '%P %M %U:%G %T@ %y %l\\n' | sort"


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {', '.join(missing)} on this machine")


@pytest.fixture
def place(corner: Corner) -> Iterator[Corner]:
    """A corner; whatever a program calls its files meanwhile, the service is told of no name that is to stay
    here, and of none that looks temporary."""
    yield corner
    corner.settle()
    names = corner.far_side.named()
    assert [name for name in names if name.startswith(LOCAL) or name.endswith(TEMPORARY)] == []


def test_a_tree_goes_in_and_out_with_cp_a(place: Corner) -> None:
    place.run(TREE)
    place.run('cp -a "$W/t" in; cp -a in "$W/out"')
    wanted = place.run(f'cd "$W/t"; {LISTED}')
    assert place.run(f"cd in; {LISTED}") == wanted
    assert place.run(f'cd "$W/out"; {LISTED}') == wanted
    assert os.getxattr(place.path / "in" / "d" / "one", "user.origin") == b"camera"
    place.run('rm -r "$W/out"')


def test_a_second_rsync_with_everything_finds_nothing_to_do(place: Corner) -> None:
    place.run(TREE)
    out = 'rsync -aHAX --devices --specials --delete --out-format="%i %n" "$W/t/" in/'
    place.run(f"mkdir -p in/old; touch in/old/f; {out}")
    assert place.run(f"cd in; {LISTED}") == place.run(f'cd "$W/t"; {LISTED}')
    assert place.run(out) == ""
    place.settle()
    assert place.run(out) == ""


def test_tar_keeps_owners_links_and_fifos(place: Corner) -> None:
    place.run(TREE)
    place.run(
        'tar --xattrs -C "$W/t" --exclude sock -cf "$W/t.tar" .; mkdir in; tar --xattrs -C in -xpf "$W/t.tar"'
    )
    wanted = place.run(f'cd "$W/t"; {LISTED} | grep -v sock')
    assert place.run(f"cd in; {LISTED}") == wanted
    place.run('tar --xattrs -C in -cf back.tar .; mkdir "$W/back"; tar --xattrs -C "$W/back" -xpf back.tar')
    assert place.run(f'cd "$W/back"; {LISTED}') == wanted
    place.run('tar --compare -C in -f "$W/t.tar"; rm -r "$W/back"')


@needs("zip", "unzip")
def test_zip_keeps_links_and_modes(place: Corner) -> None:
    place.run(
        "mkdir d; echo text > d/f; chmod 751 d/f; ln -s f d/l; zip -qry d.zip d; mkdir e; unzip -q d.zip -d e"
    )
    assert place.run("stat -c %a e/d/f; readlink e/d/l; cat e/d/l").split() == ["751", "f", "text"]
    place.run("unzip -tq d.zip; zip -q d.zip d/f; zip -qd d.zip d/l")


@needs("7z")
def test_7z_packs_and_unpacks(place: Corner) -> None:
    place.run(
        'mkdir d; head -c 300000 /dev/urandom > d/f; 7z a -bd d.7z d > "$W/7z.log"; '
        '7z x -bd -oe d.7z > "$W/7z.log"; cmp d/f e/d/f'
    )


@needs("make", "gcc")
def test_a_program_in_c_is_made_and_runs(place: Corner) -> None:
    place.run(
        r"""
        echo 'int two(void); int puts(const char *);' > main.c
        echo 'int main(void) { return puts((char[]){(char)(48 + two()), 0}) < 0; }' >> main.c
        printf 'int two(void) { return 2; }\n' > two.c
        printf 'program: main.o two.o\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -c -o $@ $<\n' > Makefile
        """
    )
    assert "gcc -o program" in place.run("make")
    assert place.run("./program") == "2\n"
    assert "up to date" in place.run("make")
    place.run("sed -i 's/return 2/return 3/' two.c; touch -d '+2 sec' two.c; make")
    assert place.run("./program") == "3\n"


def test_find_and_du_see_times_modes_and_kinds(place: Corner) -> None:
    place.run(
        "mkdir d; echo a > d/old; touch -d '2020-01-01' d/old; touch -d '2020-01-02' mark; echo b > d/new; "
        "chmod 600 d/new; ln -s new d/link; mkfifo d/fifo; truncate -s 100000 d/large"
    )
    assert place.run("find d -newer mark -type f | sort").split() == ["d/large", "d/new"]
    assert place.run("find d -type f -perm 600; find d -type l; find d -type p").split() == [
        "d/new",
        "d/link",
        "d/fifo",
    ]
    assert int(place.run("du -B1 d/large").split()[0]) >= 100_000
    with (place.path / "d" / "large").open("rb") as large:
        assert os.lseek(large.fileno(), 10, os.SEEK_DATA) == 10
        assert os.lseek(large.fileno(), 10, os.SEEK_HOLE) == 100_000
    assert (
        place.run("install -D -m 711 -o 1001 -g 1002 d/new e/f/g; stat -c '%a %u:%g' e/f/g")
        == "711 1001:1002\n"
    )


@needs("ssh-keygen")
def test_ssh_takes_a_private_key_and_refuses_one_that_others_read(place: Corner) -> None:
    place.run(
        "ssh-keygen -q -t ed25519 -N '' -C me -f key; ssh-keygen -y -f key > public; cmp key.pub public"
    )
    assert (place.path / "key").stat().st_mode == 0o100600
    place.run(
        "chmod 644 key; if ssh-keygen -y -P '' -f key 2> told; then exit 1; fi; grep -q 'too open' told"
    )


WRITER = """
import sqlite3, sys
with sqlite3.connect("x.db", timeout=60) as db:
    for number in range(20):
        with db:
            db.execute("insert into t values (?, ?)", (sys.argv[1], number))
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_sqlite_has_two_writers(place: Corner, mode: str) -> None:
    (place.work / "writer.py").write_text(WRITER)
    place.run(f'sqlite3 x.db "pragma journal_mode={mode}; create table t (who, number)"')
    place.run('python3 "$W/writer.py" a & python3 "$W/writer.py" b; wait $!')
    assert place.run('sqlite3 x.db "select count(*) from t; pragma integrity_check"') == "40\nok\n"
    place.settle()
    assert set(place.there()) - {"x.db-wal", "x.db-shm"} == {"x.db"}


def test_emacs_locks_and_saves(place: Corner) -> None:
    """The calls of Emacs 28: a lock that is a link, an auto-save, a backup by renaming, or by copying."""
    place.theirs("doc", "old\n")
    lock = "ln -s me@here.123:1700000000 '.#doc'; readlink '.#doc'"
    assert place.run(lock) == "me@here.123:1700000000\n"
    place.run("echo half > '#doc#'; mv doc doc~; echo new > doc; rm '#doc#' '.#doc' doc~")
    place.run(f"{lock}; cp -p doc doc~; echo newer > doc; rm '.#doc' doc~")
    place.settle()
    assert place.arrived() == {"/doc": place.hash_of(b"newer\n")}


FASTSTART = """
import os
with open("film.mp4", "r+b") as film:
    body = film.read()
    head, data, moov = body[:32], body[32:-5000], body[-5000:]
    film.seek(32)
    film.write(moov + data)
"""


def test_a_film_has_its_index_moved_to_the_front_in_place(place: Corner) -> None:
    body = os.urandom(1_500_000)
    (place.path / "film.mp4").write_bytes(body)
    place.settle()
    subprocess.run([sys.executable, "-c", FASTSTART], cwd=place.path, check=True)
    place.settle()
    assert place.arrived() == {"/film.mp4": place.hash_of(body[:32] + body[-5000:] + body[32:-5000])}


def test_tail_follows_a_log_that_is_rotated(place: Corner) -> None:
    log = place.path / "log"
    log.write_text("one\n")
    order = ["tail", "-n", "+1", "-F", "--sleep-interval=0.1", str(log)]
    lines: list[str] = []
    with subprocess.Popen(order, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tail:
        assert tail.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(tail.stdout or ()))
        reader.start()
        try:
            until(lambda: lines == ["one\n"], "the first line is told")
            place.run("echo two >> log")
            until(lambda: lines[-1] == "two\n", "an added line is told")
            place.run("mv log log.1; echo three > log")
            until(lambda: lines[-1] == "three\n", "the new log is followed")
        finally:
            tail.terminate()
            reader.join()
    assert lines == ["one\n", "two\n", "three\n"]


@needs("logrotate")
def test_logrotate_rotates(place: Corner) -> None:
    (place.work / "conf").write_text(
        f'su root root\n"{place.path}/log" {{ rotate 2\n create 0640 root root\n compress\n }}\n'
    )
    for number in (1, 2):
        place.run(f'echo {number} > log; chmod 640 log; logrotate -f -s "$W/rotated" "$W/conf"')
    assert place.names() == {"log", "log.1.gz", "log.2.gz"}
    assert place.run("zcat log.1.gz log.2.gz").split() == ["2", "1"]


def test_flock_keeps_commands_apart(place: Corner) -> None:
    place.run(
        "echo 0 > n; for i in 1 2 3 4; do flock lock sh -c 'n=$(cat n); echo $((n + 1)) > n' & done; wait; "
        "test $(cat n) = 4; flock lock sh -c '! flock -n lock true'"
    )


IN_CREATE, IN_MOVED_TO, IN_DELETE, IN_CLOSE_WRITE, IN_MODIFY = 0x100, 0x80, 0x200, 0x8, 0x2


@contextmanager
def watched(folder: Path, mask: int) -> Iterator[int]:
    """What inotify(7) tells of *folder* can be read there; BlockingIOError when that is nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.inotify_init1(os.O_NONBLOCK)
    try:
        assert libc.inotify_add_watch(number, os.fsencode(folder), mask) > 0
        yield number
    finally:
        os.close(number)


def test_inotify_tells_of_nothing_that_others_do(place: Corner) -> None:
    place.theirs("stays", "1")
    with watched(place.path, IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_CLOSE_WRITE | IN_MODIFY) as told:
        place.theirs("new", "1")
        place.theirs("stays", "second")
        place.far_side.remove(place.remote("new"))
        until(lambda: place.names() == {"stays"}, "the removal is seen")
        with pytest.raises(BlockingIOError):
            os.read(told, 65536)


def test_inotify_tells_of_local_changes(place: Corner) -> None:
    with watched(place.path, IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_CLOSE_WRITE) as number:
        place.run("echo a > a; mv a b; rm b")
        told = os.read(number, 65536)
    found, at = [], 0
    while at < len(told):
        mask = int.from_bytes(told[at + 4 : at + 8], sys.byteorder)
        length = int.from_bytes(told[at + 12 : at + 16], sys.byteorder)
        found.append((mask, told[at + 16 : at + 16 + length].rstrip(b"\0").decode()))
        at += 16 + length
    assert found == [(IN_CREATE, "a"), (IN_CLOSE_WRITE, "a"), (IN_MOVED_TO, "b"), (IN_DELETE, "b")]


def test_git_has_hooks_that_refuse_and_a_worktree(corner: Corner) -> None:
    corner.run(
        r"""
        git init -q r; cd r; git config user.email a@b; git config user.name n
        echo 1 > f; git add f; git commit -qm 1
        printf '#!/bin/sh\nexit 1\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
        echo 2 > f; if git commit -qam 2; then exit 1; fi; test $(git log --oneline | wc -l) = 1
        chmod -x .git/hooks/pre-commit; git commit -qam 2
        git worktree add -q ../w HEAD~1; test $(cat ../w/f) = 1; git worktree remove ../w
        chmod +x f; if git diff --quiet; then exit 1; fi; git checkout -q f; git fsck --strict
        """
    )
    corner.settle()
    assert corner.run("cd r; git status --porcelain; cat f") == "2\n"
    # git writes to names that end with .lock, and renames them within moments.
    assert [name for name in corner.far_side.named() if name.startswith(LOCAL)] == []


def test_python_sees_a_module_that_is_written_later(place: Corner) -> None:
    program = (
        "import importlib, pathlib, sys; sys.path.insert(0, '.'); sys.dont_write_bytecode = True\n"
        "for name in ('one', 'two'):\n"
        "    pathlib.Path(f'{name}.py').write_text(f'x = {name!r}')\n"
        "    importlib.invalidate_caches(); print(importlib.import_module(name).x)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place.path, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["one", "two"]


@takes_long
def test_a_virtual_environment_is_made_and_pip_installs_into_it(corner: Corner) -> None:
    corner.run(
        r"""
        mkdir p; echo 'x = 7' > p/p.py; mkdir p/p-1.dist-info; : > p/p-1.dist-info/RECORD
        printf 'Metadata-Version: 2.1\nName: p\nVersion: 1\n' > p/p-1.dist-info/METADATA
        printf 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n' > p/p-1.dist-info/WHEEL
        (cd p; python3 -m zipfile -c ../p-1-py3-none-any.whl p.py p-1.dist-info)
        python3 -m venv v
        """
    )
    corner.run(
        r"""
        v/bin/pip install -q --no-index ./p-1-py3-none-any.whl
        test $(v/bin/python -c 'import p; print(p.x)') = 7; test -L v/bin/python3
        """
    )
    corner.settle()


@takes_long
@needs("npm", "node")
def test_npm_installs_a_package_with_programs(corner: Corner) -> None:
    corner.run(
        r"""
        mkdir "$W/tool" app
        printf '{"name": "tool", "version": "1.0.0", "bin": {"tool": "tool.js"}}' > "$W/tool/package.json"
        printf '#!/usr/bin/env node\nconsole.log("seven")\n' > "$W/tool/tool.js"; chmod +x "$W/tool/tool.js"
        cd "$W/tool"; npm pack --silent --cache "$W/npm"; cd - > /dev/null
        cd app; printf '{"name": "app", "version": "1.0.0"}' > package.json
        npm install --offline --no-audit --no-fund --silent --cache "$W/npm" "$W/tool/tool-1.0.0.tgz"
        test -L node_modules/.bin/tool
        """
    )
    assert corner.run("app/node_modules/.bin/tool") == "seven\n"
    corner.settle()


@takes_long
@pytest.mark.skipif(
    not POSTGRES.is_dir() or os.geteuid() != 0, reason="there is no PostgreSQL to run as a user"
)
def test_postgresql_keeps_a_cluster(make_mount: MakeMount, far_side: SandboxProcess, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o755)
    mount = make_mount(allow_other="true")
    mount.start()
    data = mount.path / "data"
    data.mkdir(mode=0o700)
    shutil.chown(data, "postgres", "postgres")
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    sockets.chmod(0o777)

    def postgres(command: str) -> str:
        done = subprocess.run(
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "sh", "-ec", command],
            cwd="/",
            env={"PATH": f"{POSTGRES}:/usr/bin:/bin", "PGDATA": str(data), "PGHOST": str(sockets)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    log = sockets / "log"
    begin = f"pg_ctl -w -l {log} -o '-k {sockets} -h \"\"' start >/dev/null"
    postgres("initdb -A trust >/dev/null")
    postgres(begin)
    try:
        postgres("pgbench -i -q postgres 2>/dev/null; pgbench -c 2 -t 50 postgres 2>/dev/null")
        wanted = postgres("psql -Atc 'select count(*), sum(delta) from pgbench_history' postgres")
    finally:
        postgres("pg_ctl -w -m immediate stop >/dev/null")
    assert wanted.startswith("100|")
    mount.wait_committed(300)
    assert mount.terminate() == 0
    mount.start()
    postgres(begin)
    try:
        assert postgres("psql -Atc 'select count(*), sum(delta) from pgbench_history' postgres") == wanted
        postgres("pg_amcheck --install-missing postgres >/dev/null")
    finally:
        postgres("pg_ctl -w stop >/dev/null")
    mount.wait_committed(300)
