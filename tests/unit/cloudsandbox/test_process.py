"""The sandbox as a process of its own, and what its state survives."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudsandbox.__main__ import main
from cloudsandbox.datalock import DataError, held
from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.dropbox.hashing import BlockHasher, combined
from cloudsandbox.dropbox.switches import LIFELIKE

MIB = 1024 * 1024
Speak = Callable[[str], Any]


class Child:
    """A sandbox process; `url` is where it listens."""

    def __init__(self, *arguments: str, service: str = "dropbox", **options: Any) -> None:
        token = [] if "--random" in arguments else ["--token", "sandbox"]
        given = [each for each in arguments if each != "--random"]
        command = [sys.executable, "-m", "cloudsandbox", service, *token, *given]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, **options)
        assert self.process.stdout is not None
        self.told: dict[str, str] = json.loads(self.process.stdout.readline())
        self.url = self.told["url"]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        for pipe in (self.process.stdout, self.process.stdin, self.process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def make(*arguments: str) -> Child:
        # A killed process cannot remove a temporary directory of its own.
        data = [] if "--data" in arguments else ["--data", str(tmp_path / "own")]
        children.append(Child(*data, *arguments))
        return children[-1]

    yield make
    for child in children:
        child.close()


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command line that does not get as far as to serve."""
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    return lambda *arguments: main(list(arguments))


def finish(wire: Any, session_id: str, size: int, path: str) -> dict[str, Any]:
    entry = {"cursor": {"session_id": session_id, "offset": size}, "commit": {"path": path}}
    (result,) = wire.ok("files/upload_session/finish_batch_v2", {"entries": [entry]})["entries"]
    return dict(result)


def test_files_revisions_sessions_and_cursors_survive_a_kill(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path
) -> None:
    first = spawn("--data", str(tmp_path))
    wire = speak(first.url)
    old = wire.upload("/f", b"old")
    new = wire.upload("/f", b"new", mode="overwrite")
    session_id = wire.content("files/upload_session/start", {}, b"abc").json()["session_id"]
    cursor = wire.ok("files/list_folder", {"path": "", "recursive": True})["cursor"]
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    wire = speak(spawn("--data", str(tmp_path)).url)
    assert wire.ok("files/get_metadata", {"path": "/f"})["rev"] == new["rev"]
    assert wire.content("files/download", {"path": "rev:" + old["rev"]}).content == b"old"
    assert wire.ok("files/list_folder/continue", {"cursor": cursor})["entries"] == []
    argument = {"cursor": {"session_id": session_id, "offset": 3}, "close": True}
    assert wire.content("files/upload_session/append_v2", argument, b"def").status_code == 200
    assert finish(wire, session_id, 6, "/g")["size"] == 6
    (told,) = wire.ok("files/list_folder/continue", {"cursor": cursor})["entries"]
    assert told["path_display"] == "/g"
    assert wire.upload("/h", b"1")["rev"] > new["rev"]


def test_a_job_that_a_kill_interrupts_is_carried_out_by_the_next_start(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path
) -> None:
    (tmp_path / "slow.toml").write_text("job_duration_s = 30.0\n")
    first = spawn("--data", str(tmp_path / "data"), "--switches", str(tmp_path / "slow.toml"))
    wire = speak(first.url)
    session_id = wire.content("files/upload_session/start", {"close": True}, b"abc").json()["session_id"]
    entry = {"cursor": {"session_id": session_id, "offset": 3}, "commit": {"path": "/f"}}
    launched = wire.ok("files/upload_session/finish_batch", {"entries": [entry]})
    first.end(signal.SIGKILL)

    wire = speak(spawn("--data", str(tmp_path / "data")).url)
    deadline_s = time.monotonic() + 10
    check = {"async_job_id": launched["async_job_id"]}
    while (state := wire.ok("files/upload_session/finish_batch/check", check))[".tag"] == "in_progress":
        assert time.monotonic() < deadline_s
    assert state["entries"][0][".tag"] == "success"


def test_a_restart_in_the_same_process_keeps_everything(tmp_path: Path, speak: Speak) -> None:
    sandbox = DropboxSandbox(tmp_path, token="sandbox")
    sandbox.start()
    sandbox.write("/d/f", b"abc")
    token = sandbox.issue_token(["files.metadata.read"])
    before = sandbox.tree()
    sandbox.stop()
    with sandbox:
        assert sandbox.tree() == before
        assert sandbox.read("/d/f") == b"abc"
        wire = speak(sandbox.base_url)
        assert wire.rpc("files/list_folder", {"path": ""}, headers={"Authorization": f"Bearer {token}"}).ok


def test_sigterm_ends_it_with_zero(spawn: Callable[..., Child]) -> None:
    assert spawn().end(signal.SIGTERM) == 0


def test_it_ends_when_its_parent_closes_the_pipe(spawn: Callable[..., Child]) -> None:
    child = spawn("--parent-pipe")
    assert child.process.stdin is not None
    child.process.stdin.close()
    assert child.process.wait(20) == 0


def test_the_command_line_sets_latency_faults_and_switches(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path
) -> None:
    (tmp_path / "faults.json").write_text('[{"route": "files/list_folder", "status": 503, "count": 1}]')
    (tmp_path / "switches.json").write_text('{"quota_bytes": 77}')
    files = ["--faults", str(tmp_path / "faults.json"), "--switches", str(tmp_path / "switches.json")]
    wire = speak(spawn("--latency-ms", "1", *files).url)
    assert wire.rpc("files/list_folder", {"path": ""}).status_code == 503
    assert wire.ok("users/get_space_usage")["allocation"]["allocated"] == 77
    assert wire.control("switches")["latency_ms"] == 1


def test_the_token_is_printed_and_another_one_at_each_start(
    spawn: Callable[..., Child], tmp_path: Path
) -> None:
    first, second = spawn("--random"), spawn("--random", "--data", str(tmp_path / "second"))
    assert first.told["token"] != second.told["token"]
    for guess, status in ((first.told["token"], 200), (second.told["token"], 401), ("sandbox", 401)):
        for name in ("/2/users/get_current_account", "/sandbox/resume"):
            headers = {"Authorization": f"Bearer {guess}"}
            assert requests.post(first.url + name, headers=headers, timeout=20).status_code == status


@pytest.mark.parametrize("service", ["dropbox", "box"])
def test_over_tls_the_authority_to_trust_is_printed(service: str, tmp_path: Path) -> None:
    first, second = (
        Child("--tls", "--data", str(tmp_path / name), service=service) for name in ("first", "second")
    )
    try:
        assert first.url.startswith("https://")
        assert first.told["ca"] == str(tmp_path / "first" / "ca.pem")
        order = [sys.executable, "-m", "cloudsandbox.readback", service, first.url]
        for told, status in ((first.told, 0), (second.told, 1)):
            env = {**os.environ, "CLOUDSANDBOX_TOKEN": "sandbox", "SSL_CERT_FILE": told["ca"]}
            done = subprocess.run(order, env=env, capture_output=True, text=True, timeout=20)
            assert done.returncode == status
        assert "CERTIFICATE_VERIFY_FAILED" in done.stderr
        files = [path.read_bytes() for path in (tmp_path / "first").rglob("*") if path.is_file()]
        assert not [each for each in files if b"PRIVATE KEY" in each]
    finally:
        first.close()
        second.close()


def test_what_it_keeps_is_its_owner_s(spawn: Callable[..., Child], speak: Speak, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        child = spawn("--data", str(tmp_path / "new" / "data"))
    finally:
        os.umask(old)
    wire = speak(child.url)
    wire.upload("/small", b"abc")
    wire.upload("/large", os.urandom(3 * MIB))
    found = list((tmp_path / "new" / "data").rglob("*"))
    assert len([path for path in found if path.is_file()]) >= 3
    assert [path for path in found if path.stat().st_mode & 0o077] == []
    assert (tmp_path / "new" / "data").stat().st_mode & 0o077 == 0


def test_a_token_that_no_header_carries_is_one_line_and_exit_2() -> None:
    command = [sys.executable, "-m", "cloudsandbox", "box", "--token", "two words"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "without blanks" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--port", "65536"), ("--port", "-1"), ("--data", ""), ("--latency-ms", "nan"), ("--latency-ms", "-1")],
)
def test_a_senseless_option_is_exit_2(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty directory would be the one in which it is started."""
    with pytest.raises(SystemExit) as ended:
        main(["dropbox", f"{option}={value}"])
    assert ended.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err.splitlines()[-1]


def test_an_account_has_one_sandbox_at_a_time(spawn: Callable[..., Child], tmp_path: Path) -> None:
    """Each would write over what the other one has changed."""
    first = spawn("--data", str(tmp_path / "data"))
    with (
        pytest.raises(DataError, match="another sandbox keeps its account there"),
        held(tmp_path / "data", "dropbox", patience_s=0.0),
    ):
        pass
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(spawn, "--data", str(tmp_path / "data"))
        first.end(signal.SIGKILL)
        assert second.result(20).url


def test_an_account_is_of_one_service(
    tmp_path: Path, run_main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path, "dropbox"):
        pass
    assert run_main("box", "--data", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"cloudsandbox: {tmp_path}: keeps an account of dropbox, not of box\n"


def test_a_switch_of_the_file_goes_before_the_lifelike_one(
    spawn: Callable[..., Child], tmp_path: Path
) -> None:
    (tmp_path / "switches.json").write_text('{"job_duration_s": 7}')
    child = spawn("--lifelike", "--switches", str(tmp_path / "switches.json"), "--latency-ms", "3")
    url, headers = f"{child.url}/sandbox/switches", {"Authorization": "Bearer sandbox"}
    switches = requests.get(url, headers=headers, timeout=20).json()
    found = {name: switches[name] for name in ("latency_ms", "job_duration_s", "write_duration_s")}
    assert found == {"latency_ms": 3.0, "job_duration_s": 7, "write_duration_s": LIFELIKE["write_duration_s"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("--faults", "{"),
        ("--faults", '[{"nth": 0}]'),
        ("--faults", "[" * 100_000),
        ("--switches", '{"x": 1}'),
        ("--switches", ""),
        ("--switches", "\xff"),
        ("--switches", '{"latency_ms": NaN}'),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_senseless_file_is_one_line_and_exit_2(
    tmp_path: Path, run_main: Callable[..., int], capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    (tmp_path / "bad").write_text(text, "latin-1")
    assert run_main("dropbox", name, str(tmp_path / "bad")) == 2
    told = capsys.readouterr().err
    assert told.startswith("cloudsandbox: ")
    assert told.count("\n") == 1


def test_a_port_in_use_is_one_line_and_exit_1(spawn: Callable[..., Child]) -> None:
    port = spawn().url.rpartition(":")[2]
    command = [sys.executable, "-m", "cloudsandbox", "dropbox", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def peak_memory_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_a_large_file_passes_through_little_memory(
    spawn: Callable[..., Child], speak: Speak, tmp_path: Path
) -> None:
    child = spawn("--data", str(tmp_path))
    wire = speak(child.url)
    chunk, count = os.urandom(24 * MIB), 10
    (session_id,) = wire.ok(
        "files/upload_session/start_batch", {"num_sessions": 1, "session_type": "concurrent"}
    )["session_ids"]
    hasher = BlockHasher()
    for number in range(count):
        cursor = {"session_id": session_id, "offset": number * len(chunk)}
        argument = {"cursor": cursor, "close": number == count - 1}
        assert wire.content("files/upload_session/append_v2", argument, chunk).status_code == 200
        hasher.update(chunk)
    done = finish(wire, session_id, count * len(chunk), "/big")
    assert done["content_hash"] == combined(block.digest for block in hasher.blocks())
    assert len(wire.content("files/download", {"path": "/big"}).content) == count * len(chunk)
    assert peak_memory_bytes(child.process.pid) < 150 * MIB


def test_unaligned_appends_have_the_same_hash_as_the_whole(sandbox: DropboxSandbox, wire: Any) -> None:
    data = os.urandom(11 * MIB)
    session_id = wire.content("files/upload_session/start", {}, data[:5]).json()["session_id"]
    for start, end in ((5, 3 * MIB), (3 * MIB, 9 * MIB), (9 * MIB, len(data))):
        argument = {"cursor": {"session_id": session_id, "offset": start}, "close": end == len(data)}
        assert wire.content("files/upload_session/append_v2", argument, data[start:end]).status_code == 200
    done = finish(wire, session_id, len(data), "/f")
    hasher = BlockHasher()
    hasher.update(data)
    assert done["content_hash"] == combined(block.digest for block in hasher.blocks())
    assert sandbox.read("/f") == data


def test_pieces_of_a_large_append_batch_go_to_their_files(sandbox: DropboxSandbox, wire: Any) -> None:
    pieces = [os.urandom(size) for size in (3 * MIB, 1, 0, 5 * MIB + 7)]
    ids = wire.ok("files/upload_session/start_batch", {"num_sessions": len(pieces)})["session_ids"]
    entries = [
        {"cursor": {"session_id": each, "offset": 0}, "length": len(piece), "close": True}
        for each, piece in zip(ids, pieces, strict=True)
    ]
    body = b"".join(pieces)
    assert wire.content("files/upload_session/append_batch", {"entries": entries}, body).status_code == 200
    for number, (each, piece) in enumerate(zip(ids, pieces, strict=True)):
        assert finish(wire, each, len(piece), f"/{number}")[".tag"] == "success"
        assert sandbox.read(f"/{number}") == piece


def test_no_scratch_file_stays_behind(sandbox: DropboxSandbox, wire: Any, tmp_path: Path) -> None:
    sandbox.set_switches(max_body_bytes=5 * MIB)
    wire.upload("/f", os.urandom(4 * MIB))
    assert wire.content("files/upload", {"path": "/g"}, os.urandom(6 * MIB)).status_code == 409
    assert wire.content("files/upload", {"path": "/F"}, os.urandom(3 * MIB)).status_code == 409
    assert list((tmp_path / "data" / "incoming").iterdir()) == []


def test_expired_sessions_and_their_bytes_are_swept_at_the_start(tmp_path: Path, speak: Speak) -> None:
    sandbox = DropboxSandbox(tmp_path, token="sandbox")
    with sandbox:
        wire = speak(sandbox.base_url)
        gone = wire.content("files/upload_session/start", {}, b"abc").json()["session_id"]
        kept = wire.content("files/upload_session/start", {"close": True}, b"kept").json()["session_id"]
        finish(wire, kept, 4, "/kept")
        sandbox.expire_sessions(gone, kept)
    with sandbox:
        assert [path.read_bytes() for path in (tmp_path / "content").rglob("*") if path.is_file()] == [
            b"kept"
        ]
        assert sandbox.read("/kept") == b"kept"
