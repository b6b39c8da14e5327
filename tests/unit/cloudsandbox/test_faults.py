"""The schedule of faults, and each fault on the wire."""

from typing import Any

import pytest
import requests

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.faults import FaultError, FaultKind, FaultRule, FaultSchedule, parse_rules
from mountfs.model.hashing import HashKind, content_hash


def fired(rule: FaultRule, requests_made: int, route: str = "files/upload") -> list[int]:
    schedule = FaultSchedule([rule])
    return [number for number in range(1, requests_made + 1) if schedule.pick(route) is not None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (FaultRule(), [1, 2, 3, 4, 5, 6]),
        (FaultRule(nth=3), [3]),
        (FaultRule(every=2), [2, 4, 6]),
        (FaultRule(count=2), [1, 2]),
        (FaultRule(after=4), [5, 6]),
        (FaultRule(after=1, every=2, count=1), [3]),
        (FaultRule(route="files/down*"), []),
        (FaultRule(route="files/up*", nth=1), [1]),
        (FaultRule(probability=0.0), []),
        (FaultRule(probability=1.0), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_rule_fires_when_it_says(rule: FaultRule, expected: list[int]) -> None:
    assert fired(rule, 6) == expected


def test_a_seed_gives_the_same_faults_again() -> None:
    rule = FaultRule(probability=0.3, seed=7)
    first = fired(rule, 200)
    assert first == fired(rule, 200)
    assert 30 < len(first) < 90
    assert first != fired(FaultRule(probability=0.3, seed=8), 200)


def test_the_first_rule_due_wins_and_all_that_match_count() -> None:
    schedule = FaultSchedule([FaultRule(nth=2, status=500), FaultRule(every=2, status=501)])
    picked = [rule.status if (rule := schedule.pick("x")) else None for _ in range(4)]
    assert picked == [None, 500, None, 501]
    assert [row["matches"] for row in schedule.report()] == [4, 4]


@pytest.mark.parametrize(
    "raw",
    [
        *({"status": 99}, {"nth": 0}, {"every": 0}, {"probability": 2}, {"action": "explode"}, {"colour": 1}),
        *({"nth": "2"}, {"status": None}, {"status": True}, {"retry_after_s": "1"}, {"route": 1}, "x"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(raw: Any) -> None:
    with pytest.raises(FaultError, match=r"^(?!'<)"):
        parse_rules([raw])


def test_rules_may_stand_under_a_name() -> None:
    assert parse_rules({"rules": [{"action": "stall", "stall_s": 1}]})[0].action is FaultKind.STALL
    with pytest.raises(FaultError):
        parse_rules("none")


def test_a_reply_fault_applies_nothing(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_faults([{"route": "files/upload", "status": 503, "retry_after_s": 2, "body": "busy"}])
    response = wire.content("files/upload", {"path": "/f"}, b"1")
    assert (response.status_code, response.text, response.headers["Retry-After"]) == (503, "busy", "2")
    assert sandbox.files() == {}
    assert sandbox.log.records()[0].fault == "reply"


@pytest.mark.parametrize(
    ("action", "applied"), [("drop_before", False), ("drop_after", True), ("drop_request", False)]
)
def test_a_dropped_connection_applies_before_or_not_at_all(
    sandbox: DropboxSandbox, wire: Any, action: str, applied: bool
) -> None:
    sandbox.set_faults([{"route": "files/upload", "action": action, "count": 1, "cut_bytes": 10}])
    with pytest.raises(requests.ConnectionError):
        wire.content("files/upload", {"path": "/f"}, b"x" * 100_000)
    assert ("/f" in sandbox.files()) is applied
    assert sandbox.log.records()[0].status is None
    wire.upload("/g", b"1")


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_cut_body_ends_early(sandbox: DropboxSandbox, wire: Any, size: int) -> None:
    sandbox.write("/f", b"x" * size)
    sandbox.set_faults([{"route": "files/download", "action": "cut_body", "cut_bytes": 100, "count": 1}])
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        wire.content("files/download", {"path": "/f"})
    assert len(wire.content("files/download", {"path": "/f"}).content) == size


def test_garbage_is_no_json_and_comes_after_all_was_done(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_faults([{"route": "files/upload", "action": "garbage", "count": 1}])
    response = wire.content("files/upload", {"path": "/f"}, b"1")
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()
    assert sandbox.read("/f") == b"1"


def test_a_wrong_hash_is_stated_of_the_right_bytes(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_faults([{"route": "files/upload", "action": "wrong_hash", "count": 1}])
    stated = wire.content("files/upload", {"path": "/f"}, b"1").json()
    assert stated["size"] == 1
    assert stated["content_hash"] == "0" * 64
    assert sandbox.tree()["/f"]["content_hash"] == content_hash(HashKind.DROPBOX, b"1")


def test_a_stall_is_only_slow(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_faults([{"action": "stall", "stall_s": 0.2, "count": 1}])
    wire.upload("/f", b"1")
    (record,) = sandbox.log.records()
    assert record.end_s is not None
    assert record.end_s - record.start_s >= 0.2


def test_an_expired_token_is_a_fault_of_its_own(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_faults([{"action": "expired_token", "count": 1}])
    response = wire.rpc("files/list_folder", {"path": ""})
    assert response.status_code == 401
    assert response.json()["error"] == {".tag": "expired_access_token"}


def test_sessions_can_expire_just_before_they_are_finished(sandbox: DropboxSandbox, wire: Any) -> None:
    session_id = wire.content("files/upload_session/start", {"close": True}, b"abc").json()["session_id"]
    sandbox.set_faults(
        [{"route": "files/upload_session/finish_batch_v2", "action": "session_expired", "count": 1}]
    )
    entry = {"cursor": {"session_id": session_id, "offset": 3}, "commit": {"path": "/f"}}
    (result,) = wire.ok("files/upload_session/finish_batch_v2", {"entries": [entry]})["entries"]
    assert result["failure"] == {".tag": "lookup_failed", "lookup_failed": {".tag": "not_found"}}


def test_latency_delays_every_request(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_switches(latency_ms=100)
    wire.ok("files/list_folder", {"path": ""})
    (record,) = sandbox.log.records()
    assert record.end_s is not None
    assert record.end_s - record.start_s >= 0.1
