"""Ordinary programs through a real mount, and what the far side gets from them."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from daemon.failure import Failure
from daemon.process.mountpoint import take_away
from tests.mounted.corner import Corner
from tests.mounted.realmount import MakeMount
from tests.mounted.sandboxprocess import Asked
from tests.waiting import until

pytestmark = pytest.mark.only_on(
    "dropbox", "box", because="an account in memory takes whatever these two take from a program"
)

MAKE_TREE = """
test -e "$W/src" || {
mkdir -p "$W/src/a/b/c" "$W/src/dir with spaces"
for i in $(seq 1 40); do head -c $((i * 997)) /dev/urandom > "$W/src/a/f$i"; done
head -c 3000000 /dev/urandom > "$W/src/a/b/big"
: > "$W/src/a/b/c/empty"
echo hällo > "$W/src/dir with spaces/ünïcode ☃"
find "$W/src" -exec touch -d '2020-02-03 04:05:06' {} +
}
"""
LONG_AGO_S = 1_300_000_000


def test_a_tree_copied_in_is_there_and_arrives_whole(corner: Corner) -> None:
    corner.run(MAKE_TREE + 'cp -r "$W/src" . && diff -r "$W/src" src')
    assert "ünïcode" in corner.run("ls -lR")
    corner.settle()
    corner.run('diff -r "$W/src" src')
    assert corner.arrived() == {
        f"/src{path}": each for path, each in corner.hashes(corner.work / "src").items()
    }
    kinds = {path: entry["kind"] for path, entry in corner.there().items()}
    assert kinds["src/a/b/c"] == kinds["src/dir with spaces"] == "folder"


def test_cp_p_and_touch_keep_times(corner: Corner) -> None:
    times = 'test "$(stat -c %Y "$W"/f)" = "$(stat -c %Y f)"'
    corner.run(f'echo x > "$W"/f; touch -d "2020-02-03 04:05:06" "$W"/f; cp -p "$W"/f f; {times}')
    corner.settle()
    corner.run(times)
    corner.run('touch -m -d "2021-01-01" f; test "$(date -d 2021-01-01 +%s)" = "$(stat -c %Y f)"')
    corner.run('touch -a f; test "$(date -d 2021-01-01 +%s)" = "$(stat -c %Y f)"')
    corner.settle()
    corner.run('test "$(date -d 2021-01-01 +%s)" = "$(stat -c %Y f)"')


def test_a_second_rsync_sends_nothing_and_no_temporary_name_ever_leaves(corner: Corner) -> None:
    corner.run(MAKE_TREE + 'rsync -a "$W/src/" dst/')
    corner.settle()
    wanted = {f"/dst{path}": each for path, each in corner.hashes(corner.work / "src").items()}
    assert corner.arrived() == wanted
    edits = corner.far_side.edits()
    out = corner.run('rsync -ai "$W/src/" dst/')
    assert [line for line in out.splitlines() if line.startswith((">f", "cd", ">d"))] == []
    corner.settle()
    assert corner.far_side.edits() == edits
    corner.run('diff -r "$W/src" dst')
    # rsync writes to .NAME.XXXXXX and renames.
    assert [name for name in corner.far_side.named() if name.startswith(".")] == []


def test_rsync_sends_what_changed_since(corner: Corner) -> None:
    corner.run(
        'mkdir "$W/grown"; for i in 1 2 3; do echo $i > "$W/grown/f$i"; done; rsync -a "$W/grown/" dst/'
    )
    corner.settle()
    corner.run('echo new > "$W/grown/f1"; rm "$W/grown/f2"; rsync -a --delete "$W/grown/" dst/')
    corner.settle()
    assert corner.arrived() == {
        f"/dst{path}": each for path, each in corner.hashes(corner.work / "grown").items()
    }
    assert corner.far_side.revisions(corner.remote("dst/f1")) == 2
    assert corner.far_side.revisions(corner.remote("dst/f3")) == 1


def test_tar_unpacks_and_packs(corner: Corner) -> None:
    corner.run(MAKE_TREE + 'tar -C "$W" -cf "$W/t.tar" src && tar xf "$W/t.tar" && diff -r "$W/src" src')
    corner.settle()
    corner.run('tar cf "$W/back.tar" src && mkdir "$W/back" && tar -C "$W/back" -xf "$W/back.tar"')
    corner.run('diff -r "$W/src" "$W/back/src"')


def test_moving_and_removing_trees(corner: Corner) -> None:
    corner.run(MAKE_TREE + 'cp -r "$W/src" one; mv one two; diff -r "$W/src" two')
    corner.settle()
    corner.run('mv two three; diff -r "$W/src" three; mkdir in; mv three in/')
    corner.settle()
    corner.run('diff -r "$W/src" in/three; rm -r in; test -z "$(ls -A .)"')
    corner.settle()
    assert corner.there() == {}


@pytest.mark.parametrize(
    "save",
    [
        "printf new > .doc.tmp12; mv .doc.tmp12 doc",
        "mv doc doc~; printf new > doc; rm doc~",
        "cp doc doc.bak; printf new > doc; rm doc.bak",
        "printf new > 4913; rm 4913; mv doc doc~; printf new > doc; rm doc~",
        "printf xx > d.part; sync d.part; printf new > d.part; mv d.part doc",
        "sed -i s/old/new/ doc",
        "perl -i -pe s/old/new/ doc",
    ],
)
def test_every_way_to_save_leaves_the_new_bytes_alone(corner: Corner, save: str) -> None:
    corner.theirs("doc", "old")
    corner.run(save)
    assert (corner.path / "doc").read_bytes() == b"new"
    corner.settle()
    assert corner.arrived() == {"/doc": corner.hash_of(b"new")}


def test_vim_saves_a_version(corner: Corner) -> None:
    corner.theirs("doc.txt", "old\n")
    item_id = corner.there()["doc.txt"]["id"]
    corner.run('vim -es -u NONE -c "%s/old/new/" -c wq doc.txt')
    corner.settle()
    assert corner.arrived() == {"/doc.txt": corner.hash_of(b"new\n")}
    assert corner.there()["doc.txt"]["id"] == item_id
    assert corner.far_side.revisions(corner.remote("doc.txt")) == 2


def test_sqlite_works_in_the_mount(corner: Corner) -> None:
    corner.run('sqlite3 x.db "create table t (a); begin; insert into t values (1), (2); commit; vacuum;"')
    assert corner.run('sqlite3 x.db "select sum(a) from t; pragma integrity_check"') == "3\nok\n"
    corner.settle()
    assert corner.run('sqlite3 x.db "insert into t values (4); select sum(a) from t"') == "7\n"
    corner.settle()
    assert set(corner.there()) == {"x.db"}


def test_git_works_in_the_mount(corner: Corner) -> None:
    corner.run(
        "git init -q r; cd r; git config user.email a@b; git config user.name n; "
        "for i in 1 2 3; do echo $i > f$i; git add .; git commit -qm $i; done; git gc -q; git fsck --strict"
    )
    corner.settle()
    out = corner.run("cd r; git status --porcelain; git log --oneline | wc -l; git checkout -q HEAD~2; ls")
    assert out.split() == ["3", "f1"]


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
def test_a_shared_writable_mapping_reaches_the_file(corner: Corner, keeps_open: str) -> None:
    (corner.work / "map.py").write_text(MAP)
    corner.run(f'head -c 10000 /dev/zero > m; python3 "$W/map.py" m {keeps_open}')
    wanted = b"hello".rjust(5005, b"\0").ljust(9995, b"\0") + b"later"
    until(lambda: corner.arrived() == {"/m": corner.hash_of(wanted)}, "the last page is published too")
    assert (corner.path / "m").read_bytes() == wanted


def test_an_unlinked_open_file_goes_on_working(corner: Corner) -> None:
    path = corner.path / "u"
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
    corner.settle()
    until(lambda: corner.names() == set(), "nothing is left of it")
    assert corner.there() == {}


def test_a_folder_is_removed_though_a_pending_file_in_it_is_open(corner: Corner) -> None:
    corner.far_side.pause()
    corner.run("mkdir d; echo text >d/f")
    assert corner.state("d/f") in ("pending", "uploading")
    assert corner.run('exec 7<d/f; rm -rf d; test ! -e d; read -r -u 7 line; echo "$line"') == "text\n"
    until(lambda: corner.names() == set(), "nothing is left of it")
    corner.far_side.resume()
    corner.settle()
    assert corner.there() == {}


def test_a_remote_file_replaced_while_open_is_read_to_its_end(corner: Corner) -> None:
    corner.theirs("f", "old" * 1_000_000)
    path = corner.path / "f"
    with path.open("rb", buffering=0) as file:
        assert file.read(3) == b"old"
        (corner.path / "n").write_bytes(b"new")
        (corner.path / "n").rename(path)
        assert path.read_bytes() == b"new"
        rest = bytearray()
        while piece := file.read(1_000_000):
            rest += piece
    assert bytes(rest) == (b"old" * 1_000_000)[3:]
    corner.settle()
    assert corner.arrived() == {"/f": corner.hash_of(b"new")}


@pytest.mark.parametrize("is_sent", [False, True], ids=["pending", "committed"])
@pytest.mark.parametrize("command", ["cp a A", "mv a A", "cp Docs/a docs/a", "mv Docs/a DOCS/A"])
def test_a_file_copied_or_moved_onto_another_spelling_of_its_name_stays_as_it_is(
    corner: Corner, command: str, is_sent: bool
) -> None:
    corner.run("printf x >a; mkdir Docs; printf y >Docs/a")
    if is_sent:
        corner.settle()
    assert corner.run(f"{command} 2>&1 && exit 1 || true").endswith("are the same file\n")
    wanted = {"/a": corner.hash_of(b"x"), "/Docs/a": corner.hash_of(b"y")}
    assert corner.seen() == wanted
    corner.settle()
    assert corner.arrived() == wanted


def test_what_was_written_last_is_read_under_each_spelling_of_the_name(corner: Corner) -> None:
    assert corner.run("echo aaaa >x; cat x X; echo bbbb >x; cat X") == "aaaa\naaaa\nbbbb\n"
    corner.settle()
    assert corner.run("cat X; echo cccc >X; cat x") == "bbbb\ncccc\n"
    corner.settle()
    assert corner.run("cat x X") == "cccc\ncccc\n"
    assert corner.content("x") == b"cccc\n"


def test_flock_makes_an_empty_file_that_is_sent(corner: Corner) -> None:
    corner.run("flock lock true; test -f lock; test ! -s lock")
    corner.settle()
    assert corner.arrived() == {"/lock": corner.hash_of(b"")}
    corner.run("flock lock true; rm lock")
    corner.settle()
    assert corner.there() == {}


def test_rm_takes_away_what_another_client_made_under_a_name_that_stays_here(corner: Corner) -> None:
    corner.theirs("~$doc.docx", "theirs")
    assert corner.state("~$doc.docx") == "clean"
    corner.run("rm '~$doc.docx'; test -z \"$(ls -A .)\"")
    corner.settle()
    assert corner.there() == {}


NOT_UTF8 = os.fsdecode(b"\xff\xfe")


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (lambda at: (at / NOT_UTF8).stat(), errno.ENOENT),
        (lambda at: at.parent.rmdir(), errno.EBUSY),
        (lambda at: (at / "f").mkdir(), errno.EEXIST),
        (lambda at: (at / "f" / "x").write_text(""), errno.ENOTDIR),
        (lambda at: (at / "d").read_bytes(), errno.EISDIR),
    ],
)
def test_what_is_refused_is_refused_with_the_right_errno(corner: Corner, call, number) -> None:  # type: ignore[no-untyped-def]
    corner.run("echo x > f; mkdir d; echo x > d/x")
    with pytest.raises(OSError) as caught:
        call(corner.path)
    assert caught.value.errno == number


def test_chmod_chown_and_df_succeed(corner: Corner) -> None:
    corner.run('echo x > f; chmod 600 f; chown "$(id -u)" f; df .; find . -type f; du .')
    assert (corner.path / "f").stat().st_mode == 0o100600


def test_many_programs_at_once(corner: Corner) -> None:
    corner.run(
        "for i in $(seq 1 8); do (mkdir p$i; for j in $(seq 1 30); do echo $i $j > p$i/t; "
        "mv p$i/t p$i/f$j; cat p$i/f$j > /dev/null; done) & done; "
        "for job in $(jobs -p); do wait $job; done"
    )
    wanted = {f"/p{i}/f{j}": corner.hash_of(f"{i} {j}\n".encode()) for i in range(1, 9) for j in range(1, 31)}
    assert corner.seen() == wanted
    corner.settle()
    assert corner.arrived() == wanted


def test_moves_are_one_call_each_and_keep_the_ids(corner: Corner) -> None:
    corner.run("mkdir -p folder/in other; for i in 1 2 3; do echo $i > folder/in/$i; done; echo text > file")
    corner.settle()
    before = corner.there()
    corner.far_side.reset_log()
    corner.run("mv file renamed; mv folder other/moved")
    corner.settle()
    assert corner.run("cat other/moved/in/2") == "2\n"
    after = corner.there()
    assert after["renamed"]["id"] == before["file"]["id"]
    assert after["other/moved/in/2"]["id"] == before["folder/in/2"]["id"]
    assert corner.far_side.moves() == 2
    assert corner.far_side.uploads() == 0


def test_what_was_not_sent_yet_becomes_a_version_of_the_file_it_is_moved_over(corner: Corner) -> None:
    corner.committed("target", "old")
    before = corner.there()["target"]
    corner.far_side.reset_log()
    corner.run("echo new > .target.tmp; mv .target.tmp target")
    corner.settle()
    assert corner.names() == set(corner.there()) == {"target"}
    assert corner.arrived() == corner.seen()
    assert corner.there()["target"]["id"] == before["id"]
    assert corner.far_side.revisions(corner.remote("target")) == 2
    assert corner.far_side.moves() == len(corner.far_side.asked(Asked.DELETE)) == 0


def test_times_travel_with_the_bytes(corner: Corner) -> None:
    source = corner.work / "source"
    source.write_bytes(os.urandom(1000))
    os.utime(source, (LONG_AGO_S, LONG_AGO_S))
    corner.run('cp -p "$W/source" copied')
    corner.settle()
    assert corner.there()["copied"]["mtime_s"] == LONG_AGO_S
    if corner.far_side.keeps_times:
        assert corner.far_side.asked(Asked.MOVE) == []  # which is also how a time alone would be changed


def test_a_busy_mount_is_not_taken_away(corner: Corner) -> None:
    (corner.path / "f").write_text("x")
    with (corner.path / "f").open(), pytest.raises(Failure, match="busy"):
        take_away(corner.mount.path)
    assert (corner.path / "f").read_text() == "x"


@pytest.mark.only_on("memory", because="what a shell allows a process does not depend on the service")
def test_more_files_are_open_than_a_shell_lets_a_process_have(make_mount: MakeMount) -> None:
    mount = make_mount()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        mount.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    files = [(mount.path / str(number)).open("wb") for number in range(300)]
    for file in files:
        file.write(b"x")
        file.close()
    mount.wait_committed()
