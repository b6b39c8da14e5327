"""Maestral, unchanged, as a client of the Dropbox stand-in: a small tree synced both ways.

Maestral takes older versions of the SDK than the tests do, so it has a virtual environment of its own:

    python -m venv DIR && DIR/bin/pip install maestral 'dropbox==12.2.1'
    MAESTRAL_PYTHON=DIR/bin/python pytest tests/interop/maestral
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from tests.waiting import until

PYTHON = os.environ.get("MAESTRAL_PYTHON", "")
CLIENT = Path(__file__).with_name("client.py")
APP_KEY = "from maestral.constants import DROPBOX_APP_KEY; print(DROPBOX_APP_KEY)"
HOSTS = ("DROPBOX_API_HOST", "DROPBOX_API_CONTENT_HOST", "DROPBOX_API_NOTIFY_HOST")

pytestmark = pytest.mark.skipif(not PYTHON, reason="MAESTRAL_PYTHON names no Python that has Maestral")


@pytest.fixture
def synced(sandbox: DropboxSandbox, tmp_path: Path) -> Iterator[Path]:
    """The folder that Maestral keeps the same as the account; it had no trouble when the test ends."""
    folder = tmp_path / "synced"
    host = sandbox.base_url.removeprefix("https://")
    environment = {
        **dict.fromkeys(HOSTS, host),
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "REQUESTS_CA_BUNDLE": str(sandbox.ca_file),
    }
    asked = subprocess.run([PYTHON, "-c", APP_KEY], check=True, capture_output=True, text=True)
    sandbox.set_switches(app_key=asked.stdout.strip())
    order = [PYTHON, str(CLIENT), str(folder), f"{sandbox.token}-refresh"]
    log = tmp_path / "maestral.log"
    with (
        log.open("wb") as into,
        subprocess.Popen(order, env=environment, stdin=subprocess.PIPE, stdout=into, stderr=into) as maestral,
    ):
        yield folder
        assert maestral.stdin is not None
        maestral.stdin.close()
        assert maestral.wait(timeout=60) == 0, log.read_text()


def contents(folder: Path) -> dict[str, bytes | None]:
    """Path below *folder* -> its bytes, None for a folder; what Maestral keeps for itself left out."""
    return {
        f"/{path.relative_to(folder)}": None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if not path.relative_to(folder).parts[0].startswith(".maestral")
    }


def test_a_small_tree_is_synced_both_ways(sandbox: DropboxSandbox, synced: Path) -> None:
    now: dict[str, bytes | None] = {"/theirs": None, "/theirs/deep": None}

    def is_synced() -> bool:
        return (
            contents(synced) == now
            and sandbox.tree().keys() == now.keys()
            and all(data is None or sandbox.read(path) == data for path, data in now.items())
        )

    for number in range(3):
        path, data = f"/theirs/deep/{number} ü.txt", bytes([number]) * 1000 * number
        sandbox.write(path, data)
        now[path] = data
    until(is_synced, "what the account had is in the folder")

    (synced / "ours" / "sub").mkdir(parents=True)
    (synced / "ours" / "large").write_bytes(bytes(5_000_000))
    (synced / "ours" / "sub" / "a.txt").write_bytes(b"ours")
    now |= {"/ours": None, "/ours/sub": None, "/ours/large": bytes(5_000_000), "/ours/sub/a.txt": b"ours"}
    until(is_synced, "what was made in the folder is in the account")

    # Not a file that Maestral has just uploaded: until it has noted the reply, another change is a conflict.
    (synced / "theirs" / "deep" / "1 ü.txt").write_bytes(b"changed here")
    sandbox.write("/theirs/deep/2 ü.txt", b"changed there")
    now |= {"/theirs/deep/1 ü.txt": b"changed here", "/theirs/deep/2 ü.txt": b"changed there"}
    until(is_synced, "both sides have each other's changes")

    (synced / "theirs").rename(synced / "renamed")
    now = {path.replace("/theirs", "/renamed"): data for path, data in now.items()}
    until(is_synced, "the account has the rename")

    shutil.rmtree(synced / "renamed" / "deep")
    sandbox.delete("/ours/large")
    now = {path: data for path, data in now.items() if "/deep" not in path and path != "/ours/large"}
    until(is_synced, "both sides have each other's removals")
