"""The official SDK as a client of the sandbox: over TLS, as it insists, with a throw-away authority."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.tls import Authority
from tests.ports import OwnPort

# The SDK reads its hosts once, when it is imported; every sandbox of this suite listens on this port.
_OWN = OwnPort()
PORT = _OWN.number
_HOSTS = ("DROPBOX_API_HOST", "DROPBOX_API_CONTENT_HOST", "DROPBOX_API_NOTIFY_HOST")
_before = {name: os.environ.get(name) for name in _HOSTS}
os.environ.update(dict.fromkeys(_HOSTS, f"127.0.0.1:{PORT}"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # on newer Pythons the SDK's imports are deprecated
    import dropbox
for _name, _value in _before.items():
    if _value is None:
        del os.environ[_name]
    else:
        os.environ[_name] = _value


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Forgive two deprecations only: of a route we test on purpose, and of how the SDK asks for the time."""
    here = f"{Path(__file__).parent}{os.sep}"
    for item in items:  # of all suites
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning"))
            route = "ignore:upload_session/finish_batch is deprecated:DeprecationWarning"
            item.add_marker(pytest.mark.filterwarnings(route))


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def sandbox(authority: Authority, tmp_path: Path) -> Iterator[DropboxSandbox]:
    with DropboxSandbox(tmp_path / "data", port=PORT, authority=authority, token="sandbox") as running:
        yield running


@pytest.fixture
def connect(sandbox: DropboxSandbox) -> Iterator[Callable[..., dropbox.Dropbox]]:
    """Makes clients that give up at once, and closes them."""
    clients: list[dropbox.Dropbox] = []

    def make(token: str | None = "sandbox", **options: Any) -> dropbox.Dropbox:
        options = {"max_retries_on_error": 0, "max_retries_on_rate_limit": 0, "timeout": 20, **options}
        session = dropbox.create_session(ca_certs=str(sandbox.ca_file))
        session.trust_env = False  # a proxy or a CA bundle of the environment would go before ours
        client = dropbox.Dropbox(token, session=session, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., dropbox.Dropbox]) -> dropbox.Dropbox:
    return connect()


@pytest.fixture
def wait_job() -> Callable[[Callable[[str], Any], str], Any]:
    """Asks a check route until the job is complete."""

    def wait(check: Callable[[str], Any], job_id: str) -> Any:
        for _ in range(10_000):
            status = check(job_id)
            if not status.is_in_progress():
                return status
        raise AssertionError("the job never ended")

    return wait


@pytest.fixture
def closed_session(client: dropbox.Dropbox) -> Callable[[bytes], str]:
    """Makes a closed sequential session with these bytes; gives its id."""

    def make(data: bytes) -> str:
        session_id: str = client.files_upload_session_start(data, close=True).session_id
        return session_id

    return make


@pytest.fixture
def finish_at(client: dropbox.Dropbox) -> Callable[[str, int, str], Any]:
    """Finishes a session without more bytes."""

    def finish(session_id: str, offset_bytes: int, path: str) -> Any:
        cursor = dropbox.files.UploadSessionCursor(session_id, offset_bytes)
        return client.files_upload_session_finish(b"", cursor, dropbox.files.CommitInfo(path))

    return finish
