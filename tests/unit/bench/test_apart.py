"""A benchmark without a proxy between the clients and the sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.apart import PORT, can_be_apart
from tests.mounted.sandboxprocess import REPOSITORY

if not can_be_apart():
    pytest.skip("root alone may have hosts of its own", allow_module_level=True)

SCRIPT = """
import json, ssl, sys, urllib.request
from pathlib import Path
from tests.bench.contestants import Mountfs, Rclone
from tests.bench.hosts import HOSTS
from tests.bench.lifelike import TOKEN, LifelikeSandbox

folder = Path(sys.argv[1])
with LifelikeSandbox("dropbox", folder / "far", 0.0) as sandbox:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(sandbox.ca_file))),
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found = []
    for host in HOSTS["dropbox"]:
        with opener.open(urllib.request.Request(f"https://{host}/sandbox/census", headers=headers)) as reply:
            found.append(json.load(reply)["files"])
    peers = [kind(folder / kind.name, sandbox) for kind in (Mountfs, Rclone)]
    ways = [peer.environment() for peer in peers]
    proxies = [way.get("HTTPS_PROXY") for way in ways if way["NO_PROXY"] != "*"]
print(json.dumps([sandbox.port, found, proxies]))
"""


def test_the_hosts_that_clients_have_built_in_are_the_sandbox(tmp_path: Path) -> None:
    hosts = Path("/etc/hosts")
    before = hosts.read_bytes(), hosts.stat().st_ino
    order = [sys.executable, "-m", "tests.bench.apart", sys.executable, "-c", SCRIPT, str(tmp_path)]
    run = subprocess.run(order, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    assert json.loads(run.stdout) == [PORT, [0, 0, 0], []]
    assert (hosts.read_bytes(), hosts.stat().st_ino) == before, "those of the machine are as they were"
