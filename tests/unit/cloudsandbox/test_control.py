"""The control surface, the log, pause, and the server around them."""

import base64
import socket
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudsandbox.box import BoxSwitches
from cloudsandbox.control import ControlError
from cloudsandbox.dropbox import DropboxSandbox, DropboxSwitches
from cloudsandbox.dropbox.database import SCHEMA
from cloudsandbox.dropbox.errors import Refused
from cloudsandbox.dropbox.tokens import Tokens
from cloudsandbox.requestlog import Gauge, RequestLog
from cloudsandbox.switches import SwitchError, updated
from tests.waiting import DEADLINE_S, until


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])
def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        DropboxSandbox(tmp_path, host=host).start()


def test_a_port_in_use_is_an_os_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="Address already in use"):
            DropboxSandbox(tmp_path, port=taken.getsockname()[1]).start()


def test_without_a_directory_its_state_goes_when_it_stops() -> None:
    sandbox = DropboxSandbox()
    with sandbox:
        sandbox.write("/f", b"1")
        assert list(sandbox.files()) == ["/f"]
    with sandbox:
        assert sandbox.files() == {}


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    sandbox = DropboxSandbox(tmp_path)
    sandbox.start()
    sandbox.stop()
    sandbox.stop()
    with pytest.raises(RuntimeError):
        sandbox.tree()


def test_counts_and_paths_are_in_the_log(sandbox: DropboxSandbox, wire: Any) -> None:
    wire.upload("/a", b"1")
    wire.upload("/b", b"22")
    wire.ok("files/move_v2", {"from_path": "/a", "to_path": "/c"})
    counts = wire.control("counts")
    assert counts["counts"] == {"files/upload": 2, "files/move_v2": 1}
    assert counts["total"] == 3
    log = wire.control("log")["requests"]
    assert [row["paths"] for row in log] == [["/a"], ["/b"], ["/a", "/c"]]
    assert all(row["end_s"] >= row["start_s"] and row["status"] == 200 for row in log)
    assert sandbox.log.paths() == {"/a", "/b", "/c"}


def test_the_paths_of_a_batch_are_in_the_log(sandbox: DropboxSandbox, wire: Any) -> None:
    entries = [{"cursor": {"session_id": "x", "offset": 0}, "commit": {"path": f"/{n}"}} for n in range(3)]
    wire.ok("files/upload_session/finish_batch_v2", {"entries": entries})
    wire.ok("files/create_folder_batch", {"paths": ["/d", "/e"]})
    first, second = sandbox.log.records()
    assert (first.entries, first.paths) == (3, ["/0", "/1", "/2"])
    assert (second.entries, second.paths) == (2, ["/d", "/e"])


def test_a_reset_log_begins_anew(sandbox: DropboxSandbox, wire: Any) -> None:
    wire.upload("/a", b"1")
    wire.control("log/reset", {})
    assert wire.control("counts") == {"counts": {}, "total": 0, "peak_requests": {}, "peak_jobs": {}}


def test_requests_at_the_same_time_are_counted(sandbox: DropboxSandbox, speak: Any) -> None:
    sandbox.set_switches(latency_ms=200)
    wires = [speak(sandbox.base_url) for _ in range(4)]
    threads = [threading.Thread(target=each.ok, args=("files/list_folder", {"path": ""})) for each in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.log.requests.peak["files/list_folder"] == 4
    assert sandbox.log.requests.now["files/list_folder"] == 0


def test_a_gauge_keeps_the_most_there_ever_were() -> None:
    gauge = Gauge()
    with gauge.hold("x"):
        with gauge.hold("x"):
            pass
        gauge.reset()
        assert (gauge.now["x"], gauge.peak["x"]) == (1, 1)


def test_a_record_in_flight_has_no_end() -> None:
    log = RequestLog()
    record = log.begin("files/upload", "POST", 7)
    assert (record.end_s, log.counts["files/upload"]) == (None, 1)
    log.end(record, 200)
    assert record.end_s is not None


def test_faults_are_set_and_cleared_at_run_time(wire: Any) -> None:
    wire.control("faults", {"rules": [{"route": "files/list_folder", "status": 500}]})
    assert wire.rpc("files/list_folder", {"path": ""}).status_code == 500
    assert wire.control("faults")["rules"][0]["fired"] == 1
    wire.control("faults", {"rules": []})
    assert wire.rpc("files/list_folder", {"path": ""}).status_code == 200


def test_switches_are_set_at_run_time(sandbox: DropboxSandbox, wire: Any) -> None:
    assert wire.control("switches", {"quota_bytes": 5})["quota_bytes"] == 5
    assert wire.ok("users/get_space_usage")["allocation"]["allocated"] == 5
    with pytest.raises(SwitchError):
        sandbox.set_switches(quota=5)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("switches", {"colour": 1}),
        ("switches", []),
        ("faults", [{"nth": 0}]),
        ("edit", {"op": "paint"}),
        ("edit", {"op": "write"}),
        ("edit", {"op": "delete", "path": "/none"}),
        ("edit", {"op": "write", "path": "/.dropbox", "text": ""}),
        ("edit", {"op": "write", "path": "/f", "base64": "é"}),
        ("edit", {"op": "write", "path": "/f", "text": "\ud800"}),
        ("switches", {"entry_failures": [1]}),
        ("switches", {"access_tokens": 5}),
        ("switches", {"access_tokens": {"token": [1]}}),
        ("sessions/expire", [1]),
        ("tokens", {"scopes": ["files.paint"]}),
    ],
)
def test_a_senseless_control_request_is_400(wire: Any, name: str, argument: Any) -> None:
    response = wire.ask_control("POST", name, argument)
    assert response.status_code == 400
    assert response.text


@pytest.mark.parametrize(
    "values",
    [{"refusals": [1]}, {"subjects": 5}, {"utc_offset_hours": 24}, {"access_tokens": [None]}],
    ids=str,
)
def test_a_switch_that_no_request_could_work_with_is_refused(values: dict[str, Any]) -> None:
    """It was taken, and each call from then on was answered with 500."""
    with pytest.raises(SwitchError, match=next(iter(values))):
        updated(BoxSwitches(), values)


def test_an_unknown_control_is_404(wire: Any) -> None:
    assert wire.ask_control("GET", "paint").status_code == 404
    assert wire.ask_control("POST", "paint", {}).status_code == 404


@pytest.mark.parametrize(
    ("method", "name"), [("GET", "tree"), ("GET", "log"), ("POST", "edit"), ("POST", "pause")]
)
def test_the_control_surface_wants_the_token(
    sandbox: DropboxSandbox, wire: Any, method: str, name: str
) -> None:
    other = sandbox.issue_token()  # opens the account, and no more
    for token in ("", "wrong", "sandbox2", "sandbo", other, "sandbox-refresh"):
        assert wire.ask_control(method, name, {}, token=token).status_code == 401
    url = f"{wire.url}/sandbox/{name}"
    assert wire.session.request(method, url, timeout=20).status_code == 401
    assert wire.ok("files/list_folder", {"path": ""})["entries"] == []


def test_the_token_is_random_unless_it_is_given(tmp_path: Path) -> None:
    assert len({DropboxSandbox(tmp_path / str(number)).token for number in range(10)}) == 10
    assert DropboxSandbox(tmp_path, token="mine").token == "mine"


@pytest.mark.parametrize("token", ["", "two words", "line\n", "é", "\x7f"])
def test_a_token_fits_into_a_header(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        DropboxSandbox(tmp_path, token=token)


def test_keys_that_nobody_chose_are_made_of_the_token() -> None:
    keyed = DropboxSwitches(refresh_tokens=["mine"]).with_keys("t")
    assert (keyed.access_tokens, keyed.app_secret, keyed.refresh_tokens) == (
        {"t": None},
        "t-secret",
        ["mine"],
    )
    box = BoxSwitches(access_tokens=[]).with_keys("t")
    assert (box.access_tokens, box.client_secret) == ([], "t-secret")
    assert (box.refresh_tokens, box.authorization_codes) == (["t-refresh"], ["t-code"])


def test_without_a_token_nobody_is_let_in() -> None:
    """Of switches alone, as a service has them before a token is known."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    tokens = Tokens(connection)
    for guess in ("", "sandbox", "None"):
        assert not tokens.is_refresh_token(guess)
        with pytest.raises(Refused):
            tokens.check(guess, None)
    connection.close()


def test_another_client_edits_through_the_control_surface(wire: Any) -> None:
    cursor = wire.ok("files/list_folder", {"path": ""})["cursor"]
    wire.control("edit", {"op": "write", "path": "/f", "text": "héllo"})
    wire.control("edit", {"op": "write", "path": "/g", "base64": base64.b64encode(b"\x00").decode()})
    wire.control("edit", {"op": "mkdir", "path": "/d"})
    wire.control("edit", {"op": "move", "from_path": "/g", "to_path": "/d/g"})
    wire.control("edit", {"op": "delete", "path": "/f"})
    tree = wire.control("tree")
    assert set(tree) == {"/d", "/d/g"}
    assert (tree["/d/g"]["size"], tree["/d"]["kind"]) == (1, "folder")
    assert len(wire.ok("files/list_folder/continue", {"cursor": cursor})["entries"]) == 3
    assert wire.control("counts")["counts"] == {"files/list_folder": 1, "files/list_folder/continue": 1}


def test_another_client_edits_through_methods(sandbox: DropboxSandbox, wire: Any) -> None:
    rev = sandbox.write("/d/f", b"abc", client_modified="2015-05-12T15:50:38Z")["rev"]
    assert wire.ok("files/get_metadata", {"path": "/d/f"})["rev"] == rev
    sandbox.move("/d/f", "/g")
    sandbox.delete("/d")
    sandbox.create_folder("/e")
    assert {path: each["kind"] for path, each in sandbox.tree().items()} == {"/e": "folder", "/g": "file"}
    with pytest.raises(ControlError):
        sandbox.delete("/none")


def test_a_foreign_edit_wakes_a_longpoll(sandbox: DropboxSandbox, wire: Any) -> None:
    cursor = wire.ok("files/list_folder", {"path": ""})["cursor"]
    edit = threading.Timer(0.1, sandbox.write, ("/f", b"1"))
    edit.start()
    assert wire.ok("files/list_folder/longpoll", {"cursor": cursor})["changes"]
    edit.join()


def test_stopping_does_not_wait_for_a_longpoll(tmp_path: Path, speak: Any) -> None:
    sandbox = DropboxSandbox(tmp_path, token="sandbox")
    wire = speak(sandbox.start())
    cursor = wire.ok("files/list_folder", {"path": ""})["cursor"]
    failures: list[Exception] = []

    def poll() -> None:
        try:
            wire.rpc("files/list_folder/longpoll", {"cursor": cursor})
        except requests.ConnectionError as error:
            failures.append(error)

    waiting = threading.Thread(target=poll)
    waiting.start()
    until(lambda: sandbox.log.requests.now["files/list_folder/longpoll"], "the long poll is there")
    sandbox.stop()
    waiting.join(DEADLINE_S)
    assert failures  # one that was waited for had its answer


def test_a_paused_sandbox_breaks_every_connection_until_it_resumes(wire: Any, speak: Any) -> None:
    controller = speak(wire.url)
    wire.upload("/f", b"1")
    controller.control("pause", {})
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            wire.rpc("files/list_folder", {"path": ""})
    assert set(controller.control("tree")) == {"/f"}
    controller.control("resume", {})
    assert wire.ok("files/list_folder", {"path": ""})["entries"][0]["name"] == "f"


def test_a_pause_breaks_what_is_going_on(sandbox: DropboxSandbox, speak: Any) -> None:
    sandbox.set_switches(latency_ms=10_000)
    pausing = threading.Timer(0.2, sandbox.pause)
    pausing.start()
    with pytest.raises(requests.ConnectionError):
        speak(sandbox.base_url).rpc("files/list_folder", {"path": ""})
    pausing.join()


def test_tokens_are_given_out_with_scopes_and_a_lifetime(wire: Any) -> None:
    token = wire.control("tokens", {"scopes": ["files.metadata.read"], "lifetime_s": -1})["access_token"]
    response = wire.rpc("files/list_folder", {"path": ""}, headers={"Authorization": f"Bearer {token}"})
    assert response.json()["error"] == {".tag": "expired_access_token"}


def test_sessions_and_cursors_can_be_voided(wire: Any) -> None:
    session_id = wire.content("files/upload_session/start", {}, b"abc").json()["session_id"]
    cursor = wire.ok("files/list_folder", {"path": ""})["cursor"]
    wire.control("sessions/expire", {"session_ids": [session_id]})
    wire.control("cursors/reset", {})
    argument = {"cursor": {"session_id": session_id, "offset": 3}}
    assert wire.content("files/upload_session/append_v2", argument, b"d").json()["error"] == {
        ".tag": "not_found"
    }
    assert wire.rpc("files/list_folder/continue", {"cursor": cursor}).json()["error"] == {".tag": "reset"}


def test_a_thousand_small_files_take_three_calls(sandbox: DropboxSandbox, wire: Any) -> None:
    ids = wire.ok("files/upload_session/start_batch", {"num_sessions": 1000})["session_ids"]
    pieces = [{"cursor": {"session_id": each, "offset": 0}, "length": 64, "close": True} for each in ids]
    assert (
        wire.content("files/upload_session/append_batch", {"entries": pieces}, bytes(64_000)).status_code
        == 200
    )
    commits = [
        {"cursor": {"session_id": each, "offset": 64}, "commit": {"path": f"/d{n % 10}/{n}"}}
        for n, each in enumerate(ids)
    ]
    result = wire.ok("files/upload_session/finish_batch_v2", {"entries": commits})
    assert all(entry[".tag"] == "success" for entry in result["entries"])
    assert len(sandbox.files()) == 1000
    assert sum(sandbox.log.counts.values()) == 3
