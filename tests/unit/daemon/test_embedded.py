"""The stand-in as a child process, reading it back, and doing without it."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from daemon.cli import run
from daemon.cli.demoreadback import read_back
from daemon.cli.demotree import files_below, hash_of, make_tree
from daemon.config.settings import DropboxRemote, SandboxRemote
from daemon.failure import Failure
from daemon.process.embedded import EmbeddedSandbox, Listening, account_of


def upload(sandbox: Listening, path: str, body: bytes) -> None:
    address = urlsplit(sandbox.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {
        "Authorization": f"Bearer {sandbox.token}",
        "Content-Type": "application/octet-stream",
        "Dropbox-API-Arg": json.dumps({"path": path}),
    }
    connection.request("POST", "/2/files/upload", body, headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    response.read()
    connection.close()


def test_what_was_stored_is_read_back_and_survives_a_restart(tmp_path: Path) -> None:
    size = make_tree(tmp_path / "source", small_files=25, large_bytes=5_000_000)
    ours = {path: hash_of(file) for path, file in files_below(tmp_path / "source")}
    assert len(ours) == size.files == 26
    assert sum(file.stat().st_size for _, file in files_below(tmp_path / "source")) == size.size_bytes
    with EmbeddedSandbox("dropbox", tmp_path / "data") as sandbox:
        first = sandbox.start()
        for path, file in files_below(tmp_path / "source"):
            upload(first, path, file.read_bytes())
        account = read_back("dropbox", first.url, first.token)
        assert account.stated == account.delivered == ours
    with EmbeddedSandbox("dropbox", tmp_path / "data") as sandbox:
        second = sandbox.start()
        assert read_back("dropbox", second.url, second.token).stated == ours
        with pytest.raises(Failure, match="answered 401"):
            read_back("dropbox", second.url, first.token)


def test_nothing_is_loaded_from_the_folder_in_which_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    with EmbeddedSandbox("dropbox", tmp_path / "data") as sandbox:
        listening = sandbox.start()
        assert read_back("dropbox", listening.url, listening.token).stated == {}


def test_a_refused_reader_is_told(tmp_path: Path) -> None:
    with EmbeddedSandbox("dropbox", tmp_path / "data") as sandbox:
        url = sandbox.start().url
        with pytest.raises(Failure, match="list_folder: the service answered 401"):
            read_back("dropbox", url, "wrong")


def test_a_service_that_is_gone_is_told(tmp_path: Path) -> None:
    with EmbeddedSandbox("dropbox", tmp_path / "data") as sandbox:
        gone = sandbox.start()
    with pytest.raises(Failure, match=r"reading back: /2/files/list_folder: .*refused"):
        read_back("dropbox", gone.url, gone.token)


def test_the_child_is_in_a_session_of_its_own_and_ends_with_its_parent(tmp_path: Path) -> None:
    sandbox = EmbeddedSandbox("dropbox", tmp_path / "data")
    listening = sandbox.start()
    process = sandbox._process
    assert process is not None
    assert os.getsid(process.pid) == process.pid
    assert listening.token.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    sandbox.stop()
    assert process.returncode == 0
    sandbox.stop()


@pytest.mark.parametrize(
    ("free_bytes", "told"), [(4096, "the disk of .* is full; "), (1 << 30, "see what it ")]
)
def test_why_it_did_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, told: str
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    with pytest.raises(Failure, match=f"the sandbox of dropbox did not start: {told}"):
        EmbeddedSandbox("dropbox", tmp_path / "data").start()


def test_a_stand_in_that_does_not_come_up_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failure, match="the sandbox of dropbox did not start"):
        EmbeddedSandbox("dropbox", tmp_path / "data", ("--port", "99999999")).start()
    capfd.readouterr()


def test_all_hosts_of_the_stand_in_are_one() -> None:
    remote = account_of(SandboxRemote("sandbox-dropbox", "dropbox"), Listening("http://127.0.0.1:9", "t"))
    assert isinstance(remote, DropboxRemote)
    assert {remote.api_url, remote.content_url, remote.notify_url} == {"http://127.0.0.1:9"}
    assert remote.access_token == "t"


def test_a_sandbox_by_itself_is_told_all_that_the_command_was_told(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text('[{"status": 418}]')
    order = ["sandbox", "box", "--port", "0", "--data", str(tmp_path / "data"), "--token", "mine", "--tls"]
    (tmp_path / "switches.json").write_text('{"login": "me@example.com"}')
    order += ["--latency-ms", "0.5", "--faults", str(tmp_path / "faults.json"), "--lifelike"]
    order += ["--switches", str(tmp_path / "switches.json")]
    process = subprocess.Popen([sys.executable, "-m", "daemon.cli", *order], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["token"] == "mine"
        assert told["ca"] == str(tmp_path / "data" / "ca.pem")
        context = ssl.create_default_context(cafile=told["ca"])
        address = urlsplit(told["url"])
        connection = HTTPSConnection(address.hostname or "", address.port, timeout=30, context=context)
        headers = {"Authorization": "Bearer mine"}
        connection.request("GET", "/sandbox/switches", headers=headers)
        switches = json.loads(connection.getresponse().read())
        wanted = {"latency_ms": 0.5, "login": "me@example.com", "uploads_per_minute": 240}
        assert {name: switches[name] for name in wanted} == wanted
        connection.request("GET", "/2.0/users/me", headers=headers)
        assert connection.getresponse().status == 418
        connection.close()
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize(
    "command",
    [
        ["sandbox", "dropbox"],
        ["sandbox", "box", "--port", "0"],
        ["demo"],
        ["mount", "sandbox-box:", "MOUNTPOINT"],
        ["mount", "--background", "sandbox-dropbox:", "MOUNTPOINT"],
    ],
    ids=" ".join,
)
def test_without_the_sandboxes_one_line_says_what_to_install(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cloudsandbox", None)  # what the import system takes for absent
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mnt").mkdir()
    assert run([str(tmp_path / "mnt") if word == "MOUNTPOINT" else word for word in command]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mountfs: the sandboxes are not installed; run: pip install 'mountfs[sandbox]'")
    assert {path.name for path in tmp_path.iterdir()} == {"mnt"}
