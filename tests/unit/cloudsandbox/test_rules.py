"""The pure rules: content hash, names, conflicts, ranges, entangled moves, switches."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from cloudsandbox.dropbox.commits import CommitInfo, Verdict, decide
from cloudsandbox.dropbox.edits import entangled
from cloudsandbox.dropbox.errors import summary_path
from cloudsandbox.dropbox.hashing import BLOCK_BYTES, BlockHasher, combined, content_hash
from cloudsandbox.dropbox.names import ancestors, is_well_formed, with_suffix
from cloudsandbox.dropbox.records import Content, Entry, Revision
from cloudsandbox.dropbox.switches import DropboxSwitches, EntryFailures
from cloudsandbox.ranges import ServedRange, served_range
from cloudsandbox.switches import SwitchError, read_mapping, updated

VECTORS = [
    (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"a", "bf5d3affb73efd2ec6c36ad3112dd933efed63c4e1cbffcfa88e2759c144f2d8"),
    (b"hello world\n", "f83e4b6bba3efac41f1ff56ee97adf7454680fee778924cb5ba06311d136ad1c"),
    (bytes(4194303), "839e2d868a885f260431d186466f0f3c189ee0eee5cc444b54e717740ad7f1c3"),
    (bytes(4194304), "c7e946d101855255d919ef0c70718633adf77d3dfb3adeeecf5d0cb4e951be58"),
    (bytes(4194305), "14a4d47f23a30177885d9820122f17d2d3a55fe63f7f5c27b95f689e0b2accd6"),
    (bytes(8388608), "03ae066c707c588592d9e27aa2444ca98423e0999024f1ceaa11a153790b37de"),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS, ids=[str(len(data)) for data, _ in VECTORS])
def test_the_content_hash_is_the_service_s_own(data: bytes, expected: str) -> None:
    assert content_hash(data) == expected


@pytest.mark.parametrize("step", [1_000_003, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_the_hash_does_not_depend_on_how_the_stream_is_cut(step: int) -> None:
    data = bytes(number % 251 for number in range(10_000)) * 1000
    hasher = BlockHasher()
    for start in range(0, len(data), step):
        hasher.update(data[start : start + step])
    assert combined(block.digest for block in hasher.blocks()) == content_hash(data)


GOOD_PATHS = ["", "/a", "/a/b", "/.hidden", "/a b", "/~$x", "/" + "x" * 255, "/...", "/ü"]
BAD_PATHS = [
    "a",
    "/",
    "/a/",
    "//a",
    "/.",
    "/a/..",
    "/a ",
    "/a\\b",
    "/\x7f",
    "/" + "x" * 256,
    "/\ud800",
    "/a\x00",
]


@pytest.mark.parametrize("path", GOOD_PATHS)
def test_a_path_the_service_stores_is_well_formed(path: str) -> None:
    assert is_well_formed(path)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_the_service_refuses_is_not_well_formed(path: str) -> None:
    assert not is_well_formed(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/d/a.txt", "/d/a (1).txt"), ("/a", "/a (1)"), ("/.rc", "/.rc (1)"), ("/a.b.c", "/a.b (1).c")],
)
def test_a_suffix_goes_before_the_extension(path: str, expected: str) -> None:
    assert with_suffix(path, " (1)") == expected


def test_ancestors_go_from_the_outermost_in() -> None:
    assert ancestors("/a/b/c") == ["/a", "/a/b"]


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest(), "blob")


REV = "a1c10ce0dd78"
FOLDER = Entry("/f", "/f", "id:1", None)
FILE = Entry("/f", "/f", "id:1", Revision(REV, "id:1", "/f", "/f", content(b"old"), "t", "t"))
CONFLICT = Verdict.CONFLICT_FILE
SAME, OTHER = content(b"old"), content(b"new")

TABLE = [
    # what is there, new bytes, mode, rev of the update, strict, verdict
    (None, OTHER, "add", None, False, Verdict.WRITE),
    (None, OTHER, "overwrite", None, True, Verdict.WRITE),
    (None, OTHER, "update", REV, False, Verdict.WRITE),
    (None, OTHER, "update", REV, True, CONFLICT),
    (FOLDER, OTHER, "add", None, False, Verdict.CONFLICT_FOLDER),
    (FOLDER, OTHER, "overwrite", None, False, Verdict.CONFLICT_FOLDER),
    (FOLDER, OTHER, "update", REV, True, Verdict.CONFLICT_FOLDER),
    (FILE, SAME, "add", None, False, Verdict.KEEP),
    (FILE, SAME, "overwrite", None, False, Verdict.KEEP),
    (FILE, SAME, "update", "ffffffffffff", False, Verdict.KEEP),
    (FILE, SAME, "add", None, True, CONFLICT),
    (FILE, SAME, "overwrite", None, True, CONFLICT),
    (FILE, OTHER, "add", None, False, CONFLICT),
    (FILE, OTHER, "overwrite", None, False, Verdict.WRITE),
    (FILE, OTHER, "update", REV, False, Verdict.WRITE),
    (FILE, OTHER, "update", REV, True, Verdict.WRITE),
    (FILE, OTHER, "update", "ffffffffffff", False, CONFLICT),
]


@pytest.mark.parametrize(("there", "new", "mode", "rev", "strict", "verdict"), TABLE)
def test_the_conflict_table_decides(
    there: Entry | None, new: Content, mode: str, rev: str | None, *, strict: bool, verdict: Verdict
) -> None:
    commit = CommitInfo("/f", mode, rev, strict_conflict=strict)
    assert decide(commit, there, new, strict_identical=True) is verdict


def test_identical_bytes_under_strict_may_conflict_for_add_only() -> None:
    commit = CommitInfo("/f", "overwrite", strict_conflict=True)
    assert decide(commit, FILE, SAME, strict_identical=False) is Verdict.WRITE
    assert decide(replace(commit, mode="add"), FILE, SAME, strict_identical=False) is CONFLICT


RANGES = [
    (None, ServedRange(0, 10, 10, False)),
    ("bytes=0-0", ServedRange(0, 1, 10, True)),
    ("bytes=3-", ServedRange(3, 7, 10, True)),
    ("bytes=3-99", ServedRange(3, 7, 10, True)),
    ("bytes=-4", ServedRange(6, 4, 10, True)),
    ("bytes=-99", ServedRange(0, 10, 10, True)),
    ("bytes=5-3", ServedRange(0, 10, 10, False)),
    ("bytes=0-1,3-4", ServedRange(0, 10, 10, False)),
    ("lines=1-2", ServedRange(0, 10, 10, False)),
    ("bytes=10-", None),
    ("bytes=-0", None),
]


@pytest.mark.parametrize(("header", "expected"), RANGES)
def test_a_range_header_is_read_as_the_standard_says(
    header: str | None, expected: ServedRange | None
) -> None:
    assert served_range(header, 10, whole_past_end=False) == expected


def test_an_empty_file_has_no_range() -> None:
    assert served_range("bytes=0-", 0, whole_past_end=False) is None
    assert served_range(None, 0, whole_past_end=False) == ServedRange(0, 0, 0, False)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("/a/1", "/b/1"), ("/a/2", "/b/2")], [False, False]),
        ([("/a", "/x"), ("/A", "/y")], [True, True]),
        ([("/a", "/b"), ("/b", "/c"), ("/d", "/e")], [True, True, False]),
        ([("/a", "/x"), ("/a/b", "/y")], [True, True]),
    ],
)
def test_pairs_that_touch_each_other_are_entangled(
    pairs: list[tuple[str, str]], expected: list[bool]
) -> None:
    assert entangled(pairs) == expected


def test_a_summary_is_the_tags_from_the_outside_in() -> None:
    error = {".tag": "path", "path": {".tag": "conflict", "conflict": {".tag": "file"}}}
    assert summary_path(error) == "path/conflict/file"
    assert summary_path({"reason": {".tag": "too_many_requests"}, "retry_after": 1}) == "too_many_requests"


def test_an_unknown_switch_names_the_nearest_one() -> None:
    with pytest.raises(SwitchError, match="did you mean session_reuse"):
        updated(DropboxSwitches(), {"session_reused": "closed"})


@pytest.mark.parametrize(
    "values", [{"session_reuse": "maybe"}, {"quota_bytes": "1"}, {"move_changes_rev": 1}]
)
def test_a_switch_value_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(SwitchError):
        updated(DropboxSwitches(), values)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.toml", 'latency_ms = 5\nsession_reuse = "closed"'),
        ("s.json", '{"latency_ms":5,"session_reuse":"closed"}'),
    ],
)
def test_switches_load_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    switches = updated(DropboxSwitches(), read_mapping(tmp_path / name))
    assert (switches.latency_ms, switches.session_reuse) == (5, "closed")


def test_a_switch_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    for text in ("[]", "{"):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(SwitchError):
            read_mapping(tmp_path / "s.json")


def test_planned_failures_are_used_up() -> None:
    failures = EntryFailures([{"path": "*.bin", "error": "internal_error", "count": 2}])
    taken = [failures.take("files/move_batch_v2", path) for path in ("/a.bin", "/a.txt", "/b.bin", "/c.bin")]
    assert taken == [{".tag": "internal_error"}, None, {".tag": "internal_error"}, None]
