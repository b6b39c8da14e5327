"""The official SDK as a client of the sandbox Box; every exchange is held against the published API."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from box_sdk_gen import (
    BaseUrls,
    BoxClient,
    BoxDeveloperTokenAuth,
    BoxNetworkClient,
    BoxRetryStrategy,
    NetworkSession,
)
from box_sdk_gen.managers.folders import CreateFolderParent
from box_sdk_gen.managers.uploads import (
    UploadFileAttributes,
    UploadFileAttributesParentField,
    UploadFileVersionAttributes,
)

from cloudsandbox.box import BoxSandbox, BoxSwitches
from tests.fakes.boxschema import assert_conforms

PART_BYTES = 1000


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BoxSandbox]:
    switches = BoxSwitches(
        min_session_bytes=10,
        part_size_bytes=PART_BYTES,
        record_exchanges=True,
        commit_retry_after_s=0,
        download_retry_after_s=0,
        download_host="localhost",
        refuse_forwarded_token=True,
    )
    with BoxSandbox(tmp_path / "data", switches=switches, token="sandbox") as running:
        yield running
        assert_conforms(running.exchanges(), refused_may_be_wrong=True)


@pytest.fixture
def network(box: BoxSandbox) -> Iterator[NetworkSession]:
    session = requests.Session()
    session.trust_env = False
    yield NetworkSession(
        network_client=BoxNetworkClient(session),
        retry_strategy=BoxRetryStrategy(retry_base_interval=0.001),
        base_urls=BaseUrls(base_url=box.base_url, upload_url=box.base_url + "/api"),
    )
    session.close()


@pytest.fixture
def connect(network: NetworkSession) -> Callable[..., BoxClient]:
    """Makes clients with this authentication, or with a good token."""

    def make(auth: Any = None) -> BoxClient:
        return BoxClient(auth or BoxDeveloperTokenAuth(token="sandbox"), network_session=network)

    return make


@pytest.fixture
def client(connect: Callable[..., BoxClient]) -> BoxClient:
    return connect()


@pytest.fixture
def make_folder(client: BoxClient) -> Callable[..., Any]:
    def make(name: str, parent: str = "0") -> Any:
        return client.folders.create_folder(name, CreateFolderParent(id=parent))

    return make


@pytest.fixture
def upload(client: BoxClient) -> Callable[..., Any]:
    """Uploads a new file; gives it as the service shows it."""

    def send(name: str, data: bytes = b"data", parent: str = "0", **options: Any) -> Any:
        times = {key: options.pop(key) for key in list(options) if key.endswith("_at")}
        attributes = UploadFileAttributes(
            name=name, parent=UploadFileAttributesParentField(id=parent), **times
        )
        return client.uploads.upload_file(attributes, io.BytesIO(data), **options).entries[0]

    return send


@pytest.fixture
def upload_version(client: BoxClient) -> Callable[..., Any]:
    """Uploads a new version; gives the file."""

    def send(file_id: str, data: bytes, name: str = "f.txt", **options: Any) -> Any:
        attributes = UploadFileVersionAttributes(name=name)
        return client.uploads.upload_file_version(file_id, attributes, io.BytesIO(data), **options).entries[0]

    return send


@pytest.fixture
def refused() -> Callable[..., Any]:
    """Calls and gives what the service said against it."""
    from box_sdk_gen import BoxAPIError

    def call(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        with pytest.raises(BoxAPIError) as caught:
            work(*args, **options)
        return caught.value.response_info

    return call
