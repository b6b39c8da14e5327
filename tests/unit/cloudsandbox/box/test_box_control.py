"""The control surface, the log and the process around a sandbox Box."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox, BoxSwitches
from cloudsandbox.control import ControlError
from cloudsandbox.switches import SwitchError, updated

MIB = 1024 * 1024
Speak = Callable[[str], Any]


def test_counts_peaks_and_names_are_in_the_log(sandbox: BoxSandbox, wire: Any) -> None:
    folder = wire.ok("POST", "/2.0/folders", {"name": "d", "parent": {"id": "0"}})
    file = wire.upload("f", parent=folder["id"])
    wire.ok("DELETE", f"/2.0/files/{file['id']}")
    summary = wire.control("counts")
    assert summary["counts"] == {"folders/create": 1, "files/upload": 1, "files/delete": 1}
    assert summary["peak_requests"]["files/upload"] == 1
    log = wire.control("log")["requests"]
    assert [row["paths"] for row in log] == [["0/d"], [f"{folder['id']}/f"], [file["id"]]]
    assert [row["method"] for row in log] == ["POST", "POST", "DELETE"]


def test_another_client_s_changes_are_made_by_path(sandbox: BoxSandbox) -> None:
    first = sandbox.write("/a/b/f", b"1", "2020-01-01T00:00:00Z")
    second = sandbox.write("/A/B/F", b"22")
    assert second["id"] == first["id"]
    sandbox.create_folder("/c")
    sandbox.move("/a/b/f", "/c/g")
    sandbox.edit({"op": "touch", "path": "/c/g", "content_modified_at": "2021-01-01T00:00:00Z"})
    sandbox.delete("/a")
    tree = sandbox.tree()
    assert list(tree) == ["/c", "/c/g"]
    assert (tree["/c/g"]["versions"], tree["/c/g"]["size"], tree["/c/g"]["id"]) == (2, 2, first["id"])
    assert tree["/c/g"]["content_modified_s"] == 1_609_459_200
    assert sandbox.read("/c/g") == b"22"
    assert list(sandbox.files()) == ["/c/g"]


def test_edits_come_over_http_as_well(sandbox: BoxSandbox, wire: Any) -> None:
    wire.control("edit", {"op": "write", "path": "/t", "text": "hé"})
    wire.control("edit", {"op": "write", "path": "/b", "base64": base64.b64encode(b"\x00").decode()})
    assert (sandbox.read("/t"), sandbox.read("/b")) == ("hé".encode(), b"\x00")
    assert wire.control("tree") == sandbox.tree()


@pytest.mark.parametrize(
    "change",
    [
        {"op": "burn"},
        {"op": "write", "path": "/f"},
        {"op": "delete", "path": "/nothing"},
        {"op": "write", "path": "/d", "text": ""},
        {"op": "write", "path": "/f", "base64": "é"},
        {"op": "mkdir", "path": "/d "},
    ],
)
def test_a_senseless_edit_is_refused(sandbox: BoxSandbox, change: dict[str, Any]) -> None:
    sandbox.create_folder("/d")
    with pytest.raises(ControlError):
        sandbox.edit(change)
    assert list(sandbox.tree()) == ["/d"]


def test_open_sessions_are_listed_and_let_go(sandbox: BoxSandbox, wire: Any) -> None:
    session = wire.begin(1500)
    wire.part(session, 1000, b"x" * 500, 1500)
    (listed,) = wire.control("sessions")
    assert (listed["id"], listed["parts"], listed["received_bytes"]) == (session["id"], [1000], 500)
    wire.control("sessions/expire", {"session_ids": [session["id"]]})
    assert wire.control("sessions") == []


def test_a_session_expires_by_schedule(sandbox: BoxSandbox, wire: Any) -> None:
    sandbox.set_faults([{"route": "sessions/part", "action": "session_expired", "count": 1}])
    response = wire.part(wire.begin(100), 0, b"x" * 100, 100)
    assert (response.status_code, response.json()["code"]) == (410, "session_expired")


def test_exchanges_are_kept_while_the_switch_is_on(sandbox: BoxSandbox, wire: Any) -> None:
    wire.upload("f", b"data")
    (kept,) = wire.control("exchanges")
    assert kept["request_body"]["file"] == {"bytes": 4}
    assert kept["reply_body"]["total_count"] == 1
    wire.control("exchanges/clear", {})
    sandbox.set_switches(record_exchanges=False)
    wire.upload("g")
    assert wire.control("exchanges") == []


def test_tokens_are_given_out(wire: Any) -> None:
    token = wire.control("tokens", {"lifetime_s": 60})["access_token"]
    assert wire.ok("GET", "/2.0/users/me", headers={"Authorization": f"Bearer {token}"})


def test_another_token_of_the_account_does_not_open_the_control_surface(wire: Any) -> None:
    token = wire.control("tokens", {"lifetime_s": 60})["access_token"]
    for given in (token, "sandbox-refresh", ""):
        response = wire.call("GET", "/sandbox/tree", headers={"Authorization": f"Bearer {given}"})
        assert response.status_code == 401


def test_unknown_controls_are_not_found(wire: Any) -> None:
    assert wire.call("GET", "/sandbox/nothing").status_code == 404
    assert wire.call("POST", "/sandbox/nothing", {}).status_code == 404


def test_a_pause_breaks_everything_until_it_ends(sandbox: BoxSandbox, wire: Any) -> None:
    sandbox.pause()
    with pytest.raises(OSError, match="onnection"):
        wire.call("GET", "/2.0/users/me")
    sandbox.resume()
    assert wire.ok("GET", "/2.0/users/me")


@pytest.mark.parametrize(
    "values",
    [
        {"recommit": "x"},
        {"new_version_status": 204},
        {"part_size_bytes": 0},
        {"part_size": 5},
        {"quota_bytes": "x"},
    ],
)
def test_a_senseless_switch_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SwitchError):
        updated(BoxSwitches(), values)


class Child:
    """A sandbox process; `url` is where it listens."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "cloudsandbox", "box", "--token", "sandbox", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        for pipe in (self.process.stdout, self.process.stdin):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def spawn() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def make(*arguments: str) -> Child:
        children.append(Child(*arguments))
        return children[-1]

    yield make
    for child in children:
        child.close()


@pytest.fixture
def small_parts(tmp_path: Path) -> list[str]:
    """Arguments for sessions of small files."""
    (tmp_path / "switches.json").write_text('{"min_session_bytes": 10, "part_size_bytes": 1000}')
    return ["--switches", str(tmp_path / "switches.json")]


def test_a_killed_process_forgets_nothing(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path, small_parts: list[str]
) -> None:
    order = ["--data", str(tmp_path / "data"), *small_parts]
    child = spawn(*order)
    wire = speak(child.url)
    file = wire.upload("f", b"kept")
    session, data = wire.begin(1500), os.urandom(1500)
    first = wire.part(session, 0, data[:1000], 1500).json()["part"]
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh"}
    keys = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    token = wire.ok("POST", "/oauth2/token", data={**form, **keys})
    assert child.end(signal.SIGKILL) == -signal.SIGKILL
    again = speak(spawn(*order, "--port", child.url.rpartition(":")[2]).url)
    assert again.ok("GET", f"/2.0/files/{file['id']}")["sha1"] == file["sha1"]
    (event,) = again.ok("GET", "/2.0/events?stream_position=0")["entries"]
    assert event["source"]["name"] == "f"
    assert [part["offset"] for part in again.ok("GET", _below(session, "list_parts"))["entries"]] == [0]
    second = again.part(session, 1000, data[1000:], 1500).json()["part"]
    assert again.commit(session, [first, second], data).status_code == 201
    assert again.call("POST", "/oauth2/token", data={**form, **keys}).json()["error"] == "invalid_grant"
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert again.ok("GET", "/2.0/users/me", headers=bearer)


def _below(session: Any, name: str) -> str:
    path: str = session["session_endpoints"][name]
    return path[path.index("/", len("http://")) :]


def test_the_command_line_sets_latency_faults_and_switches(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path
) -> None:
    (tmp_path / "faults.json").write_text('[{"route": "users/me", "status": 503, "count": 1}]')
    (tmp_path / "switches.toml").write_text("quota_bytes = 77\n")
    files = ["--faults", str(tmp_path / "faults.json"), "--switches", str(tmp_path / "switches.toml")]
    wire = speak(spawn("--latency-ms", "1", *files).url)
    assert wire.call("GET", "/2.0/users/me").status_code == 503
    assert wire.ok("GET", "/2.0/users/me")["space_amount"] == 77
    assert wire.control("switches")["latency_ms"] == 1


def peak_memory_bytes(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_large_files_pass_through_little_memory(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path
) -> None:
    child = spawn("--data", str(tmp_path))
    wire = speak(child.url)
    data = os.urandom(8 * MIB) * 25
    assert wire.send("big", data).status_code == 201
    wire.upload("direct", data[: 46 * MIB])
    file = wire.control("tree")["/big"]
    reply = wire.call("GET", f"/2.0/files/{file['id']}/content", allow_redirects=False)
    assert wire.session.get(reply.headers["Location"], timeout=20).content == data
    assert peak_memory_bytes(child.process.pid) < 150 * MIB


def test_no_scratch_file_and_no_abandoned_bytes_stay_behind(
    sandbox: BoxSandbox, wire: Any, tmp_path: Path
) -> None:
    sandbox.set_switches(part_size_bytes=2 * MIB)
    wire.upload("f", os.urandom(2 * MIB))
    session = wire.begin(4 * MIB)
    piece = os.urandom(2 * MIB)
    assert wire.part(session, 0, piece, 4 * MIB).status_code == 200
    assert wire.part(session, 0, piece, 4 * MIB).status_code == 409
    assert wire.part(session, 2 * MIB, piece, 4 * MIB, Digest="sha=" + "A" * 27 + "=").status_code == 400
    wire.ok("DELETE", _below(session, "abort"))
    assert list((tmp_path / "data" / "incoming").iterdir()) == []
    kept = [path for path in (tmp_path / "data" / "content").rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in kept] == [2 * MIB]


def test_expired_sessions_and_their_bytes_are_swept_at_the_start(tmp_path: Path, speak: Speak) -> None:
    sandbox = BoxSandbox(
        tmp_path, switches=BoxSwitches(min_session_bytes=1, part_size_bytes=10), token="sandbox"
    )
    with sandbox:
        wire = speak(sandbox.base_url)
        wire.part(wire.begin(20), 0, b"x" * 10, 20)
        assert wire.send("kept", b"kept").status_code == 201
        sandbox.expire_sessions()
    with sandbox:
        found = [path.read_bytes() for path in (tmp_path / "content").rglob("*") if path.is_file()]
        assert found == [b"kept"]
        assert sandbox.read("/kept") == b"kept"
