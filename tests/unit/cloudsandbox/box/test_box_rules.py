"""The pure rules: names, times, digests, buckets, and the check of exchanges itself."""

import pytest

from cloudsandbox.box.digests import content_range, sha1_in
from cloudsandbox.box.errors import Refusal
from cloudsandbox.box.names import check_name, extension_of, fold, number_of
from cloudsandbox.box.records import sha1_of
from cloudsandbox.box.times import parsed, rendered
from cloudsandbox.exchanges import Exchange
from cloudsandbox.rates import bucket
from tests.fakes.boxschema import violations


@pytest.mark.parametrize(
    ("data", "hexadecimal", "digest"),
    [
        (b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        (b"a", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "hvfkN/qlp/zhXR3cuerq6jd2Z7g="),
        (b"hello world\n", "22596363b3de40b06f981fb85d82312e8c0ed511", "IlljY7PeQLBvmB+4XYIxLowO1RE="),
        (bytes(8_388_608), "5fde1cce603e6566d20da811c9c8bcccb044d4ae", "X94czmA+ZWbSDagRyci8zLBE1K4="),
    ],
)
def test_digests_are_the_service_s_own(data: bytes, hexadecimal: str, digest: str) -> None:
    assert sha1_of(data) == hexadecimal
    assert sha1_in(f"sha={digest}") == hexadecimal
    assert sha1_in(f"md5=abc, SHA={digest}") == hexadecimal


@pytest.mark.parametrize(
    "header", [None, "", "bytes", "bytes 0-9", "bytes -9/10", "bytes a-b/c", "bytes 0-9/*"]
)
def test_a_range_that_is_not_understood_is_refused(header: str | None) -> None:
    with pytest.raises(Refusal):
        content_range(header)


def test_the_end_of_a_range_is_included_on_the_wire_only() -> None:
    assert content_range("bytes 8388608-16777215/104857600") == (8_388_608, 16_777_216, 104_857_600)


@pytest.mark.parametrize(
    "name", ["a", "a.b", "x" * 255, "CON", "~$x", "a\u200db", "." * 3, "\u00a0", "\u3000a\u3000", " a"]
)
def test_a_name_may_be_nearly_anything(name: str) -> None:
    assert check_name(name, "") == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a ", " ", "a/b", "a\\b", "a\x00b", "a\x85", "\ud800", None, 7]
)
def test_a_name_may_not_be_this(name: object) -> None:
    with pytest.raises(Refusal, match="item_name_invalid"):
        check_name(name, "")


def test_names_are_folded_by_case_and_composition() -> None:
    assert fold("E\u0301T\u00c9") == fold("\u00e9t\u00e9")
    assert fold("a") != fold("b")


@pytest.mark.parametrize(
    ("name", "extension"), [("a.txt", "txt"), ("a", ""), (".bashrc", ""), ("a.tar.gz", "gz"), ("a.", "")]
)
def test_the_extension_is_what_follows_the_last_dot(name: str, extension: str) -> None:
    assert extension_of(name) == extension


@pytest.mark.parametrize("text", ["", "x", "-1", "1" * 19, "١", None, 7])
def test_an_id_is_a_number_in_text(text: object) -> None:
    with pytest.raises(Refusal, match="method_not_allowed"):
        number_of(text)


def test_times_keep_the_moment_and_change_the_offset() -> None:
    assert parsed("t", "2012-12-12T10:53:43-08:00") == 1_355_338_423
    assert rendered(1_355_338_423, -8) == "2012-12-12T10:53:43-08:00"
    assert rendered(1_355_338_423, 0) == "2012-12-12T18:53:43+00:00"


def test_a_bucket_holds_one_window_and_fills_evenly() -> None:
    filled = bucket(240, 1.0, now_s=100.0)
    assert filled is not None
    assert [filled.take(100.0) for _ in range(4)] == [0.0] * 4
    assert filled.take(100.0) == 0.25
    assert filled.take(100.25) == 0.0
    assert filled.take(1000.0) == 0.0
    assert filled.level == 3


def test_no_limit_is_no_bucket() -> None:
    assert bucket(0, 60.0, 0.0) is None


def exchange(**values: object) -> Exchange:
    known: dict[str, object] = {
        "method": "PUT",
        "path": "/2.0/files/1",
        "query": {},
        "request_headers": {"content-type": "application/json"},
        "request_body": {"name": "x"},
        "status": 200,
        "reply_headers": {"content-type": "application/json"},
        "reply_body": {"type": "file", "id": "1", "etag": "0"},
    }
    return Exchange(**{**known, **values})  # type: ignore[arg-type]


def test_an_exchange_as_described_is_no_violation() -> None:
    assert violations([exchange()]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/2.0/file/1"},
        {"method": "PATCH"},
        {"query": {"fieldz": "name"}},
        {"request_body": {"name": 7}},
        {"request_body": {"nam": "x"}},
        {"request_body": {"content_modified_at": "2017-04-08"}},
        {"request_headers": {"content-type": "text/plain"}},
        {"status": 204},
        {"reply_body": {"type": "folder", "id": "1", "etag": "0"}},
        {"reply_body": {"type": "file", "id": 1, "etag": "0"}},
        {"reply_body": {"type": "file", "id": "1", "etag": "0", "invented": 1}},
        {"reply_body": None},
        {"reply_headers": {"content-type": "text/html"}},
        {"status": 404, "reply_body": {"error": "x"}},
        {"status": 401, "reply_body": None, "reply_headers": {}},
    ],
    ids="-".join,
)
def test_an_exchange_not_as_described_is_a_violation(wrong: dict[str, object]) -> None:
    assert violations([exchange(**wrong)]) != []


def test_a_part_without_its_headers_is_a_violation() -> None:
    part = exchange(
        path="/las-1/api/2.0/files/upload_sessions/AB",
        request_headers={"content-type": "application/octet-stream"},
        request_body={"bytes": 1},
        reply_body={"part": {"part_id": "1", "offset": 0, "size": 1, "sha1": "x"}},
    )
    found = violations([part])
    assert len(found) == 2
    assert all("lacks the header" in line for line in found)


def test_what_was_refused_on_purpose_may_be_forgiven() -> None:
    refused = exchange(
        request_body={"nam": "x"},
        status=400,
        reply_body={"type": "error", "status": 400, "code": "bad_request", "message": "m", "request_id": "r"},
    )
    assert len(violations([refused])) == 1
    assert violations([refused], refused_may_be_wrong=True) == []
