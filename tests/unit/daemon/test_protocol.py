"""The language of the control socket."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from daemon.control.changes import (
    ChangesRequest,
    PendingChange,
    PendingChanges,
    Story,
    StoryEvent,
    StoryRequest,
)
from daemon.control.protocol import (
    CommandRequest,
    Discarded,
    DiscardRequest,
    FailedChange,
    FailedChanges,
    Listed,
    PartDone,
    PendingFiles,
    PendingRequest,
    Progress,
    ProtocolError,
    Rejected,
    Reply,
    Request,
    Retried,
    RetryRequest,
    Settled,
    StatusReply,
    StatusRequest,
    Stopped,
    StopRequest,
    Synced,
    SyncRequest,
    Told,
    WaitRequest,
    decode_reply,
    decode_request,
    encode,
)
from daemon.control.status import (
    AccountStatus,
    Cache,
    Copy,
    FarSide,
    MountStatus,
    Stray,
    Tally,
    Transfer,
    Transport,
    Trouble,
    UnderWay,
)
from daemon.control.steering import HoldRequest, RatesRequest, Steered
from mountfs.model.rates import Rates

TRANSFER = Transfer(Tally(3, 300), Tally(2, 10), 5.0, 0.5, 4.0, (UnderWay("/b", 20, 10),), 1)
STATUS = MountStatus(
    remote="work:/Scans",
    mountpoint="/mnt/x",
    pid=7,
    phase="ready",
    uptime_s=1.5,
    is_read_only=False,
    state_dir="/state",
    account=AccountStatus(
        account="dbid:x",
        states={"sealed": Tally(2, 10), "failed": Tally(1, 0)},
        pending=Tally(2, 10),
        oldest_pending_age_s=3.0,
        current_job="committing 2 files",
        calls={"/2/files/upload_session/start": 4},
        troubles=(Trouble("/a", "failed", "name refused", 2.0),),
        far_side=FarSide(False, "connection refused"),
        workers={"sync": "OSError: disk I/O error"},
        strays=(Stray("dbid:y", 1, 5),),
        paused="the account is full",
        copies=(Copy("/a (conflicted copy)", "conflicted copy", 4.0, "compare them"),),
        transfer=TRANSFER,
        rates=Rates(None, 1 << 20),
        transport=Transport("2026-11", 7, 100),
        cache=Cache(9, 1000, 3, hits=7, misses=2, hit_bytes=700, missed_bytes=50, wanted_bytes=8),
        unsent=Tally(1, 6),
        retried=3,
    ),
)

REQUESTS: list[Request] = [
    StatusRequest(),
    WaitRequest("/a/b"),
    WaitRequest("/ü\udcff\n", 1.5),
    StopRequest(),
    StopRequest(0),
    SyncRequest(),
    RetryRequest("/a"),
    PendingRequest("/"),
    ChangesRequest("/d"),
    StoryRequest("/d"),
    DiscardRequest("/a"),
    HoldRequest(True),
    RatesRequest(1 << 20),
    RatesRequest(None, 20_000),
    DiscardRequest("/a", is_trial=False),
    CommandRequest("versions", "/a"),
    CommandRequest("restore", "/a", "1234"),
]
REPLIES: list[Reply] = [
    Told(),
    Told(("a line", "and another")),
    Progress(3, 4096),
    PartDone(3, 10_000),
    Progress(3, 4096, TRANSFER, "paused"),
    StatusReply(STATUS),
    FailedChanges((FailedChange("/a\nb", "no space"),)),
    Settled(0),
    Settled(1, (FailedChange("/a\nb", "no space"),)),
    Stopped(2),
    Stopped(2, "the service is away"),
    Retried(0),
    Retried(3, (FailedChange("/a", "rename it"),)),
    PendingFiles(("/a", "/ü\udcff")),
    PendingChanges((PendingChange("/a", "new file", "sealed", 3, 1.5, "/d", "no"),)),
    Story(),
    Story((StoryEvent(1.5, "closed"),)),
    Listed(),
    Listed(4),
    Discarded(0, 0),
    Discarded(2, 7, ("/a",), (FailedChange("/b", "open"),)),
    Synced(),
    Steered(),
    Rejected("no"),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_survives_the_line(request_: Request) -> None:
    assert decode_request(encode(request_)) == request_


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_survives_the_line(reply: Reply) -> None:
    assert decode_reply(encode(reply)) == reply


def test_every_kind_of_message_is_tried_above() -> None:
    assert {type(request) for request in REQUESTS} == set(get_args(Request))
    assert {type(reply) for reply in REPLIES} == set(get_args(Reply))


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES])
def test_a_message_is_one_ascii_line_with_its_version(message: Request | Reply) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert json.loads(line)["v"] == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "not a line of JSON"),
        (b"\xff\n", "not a line of JSON"),
        (b"[1]\n", "not a JSON object"),
        (b"{}\n", "protocol version None, expected 1"),
        (b'{"v": 2, "kind": "status"}\n', "protocol version 2, expected 1"),
        (b'{"v": 1}\n', "unknown kind None"),
        (b'{"v": 1, "kind": ["status"]}\n', "unknown kind"),
        (b'{"v": 1, "kind": "settled", "pending": 1}\n', "unknown kind 'settled'"),
        (b'{"v": 1, "kind": "wait"}\n', "malformed wait"),
        (b'{"v": 1, "kind": "wait", "path": 3}\n', "path must be text"),
        (b'{"v": 1, "kind": "wait", "path": "/", "timeout_s": "1"}\n', "timeout_s must be a number"),
        (b'{"v": 1, "kind": "stop", "timeout_s": -1}\n', "timeout_s must be zero or more"),
        (b'{"v": 1, "kind": "sync", "more": 1}\n', "malformed sync"),
        (b'{"v": 1, "kind": "hold", "is_held": 1}\n', "is_held must be true or false"),
        (b'{"v": 1, "kind": "limit-rates", "up_bytes_s": 3}\n', "a rate must be a whole number"),
        (b'{"v": 1, "kind": "limit-rates", "up_bytes_s": "3"}\n', "up_bytes_s must be a whole number"),
    ],
)
def test_what_is_no_request_is_refused(line: bytes, expected: str) -> None:
    with pytest.raises(ProtocolError, match=expected):
        decode_request(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"v": 1, "kind": "status"}\n',
        b'{"v": 1, "kind": "status", "status": {"account": 3}}\n',
        b'{"v": 1, "kind": "settled", "pending": 0, "failed": [7]}\n',
        b'{"v": 1, "kind": "settled", "pending": "0"}\n',
        b'{"v": 1, "kind": "settled", "pending": true}\n',
        b'{"v": 1, "kind": "told", "lines": "abc"}\n',
        b'{"v": 1, "kind": "wait", "path": "/"}\n',
    ],
)
def test_what_is_no_reply_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(line)
