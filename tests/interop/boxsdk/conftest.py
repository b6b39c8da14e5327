"""The first generation of the official Box SDK, the module boxsdk, as a client of the sandbox."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boxsdk import Client, OAuth2
from boxsdk.config import API
from boxsdk.exception import BoxAPIException
from boxsdk.network.default_network import DefaultNetwork
from boxsdk.object.folder import Folder
from boxsdk.session.session import AuthorizedSession, Session

from cloudsandbox.box import BoxSandbox, BoxSwitches


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BoxSandbox]:
    switches = BoxSwitches(
        min_session_bytes=10,
        part_size_bytes=1000,
        commit_retry_after_s=0,
        download_retry_after_s=0,
        download_host="localhost",
    )
    with BoxSandbox(tmp_path / "data", switches=switches, token="sandbox") as running:
        yield running


@pytest.fixture
def connect(box: BoxSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Makes clients with these tokens, and closes them."""
    monkeypatch.setattr(API, "BASE_API_URL", box.api_url)
    monkeypatch.setattr(API, "UPLOAD_URL", box.upload_url)
    monkeypatch.setattr(API, "OAUTH2_API_URL", box.token_url.removesuffix("/token"))
    networks: list[DefaultNetwork] = []

    def make(access_token: str = "sandbox", refresh_token: str = "sandbox-refresh") -> Client:
        network = DefaultNetwork()
        networks.append(network)
        network._session.trust_env = False  # nothing public keeps out a proxy of the environment
        oauth = OAuth2(
            client_id="sandbox-client",
            client_secret="sandbox-secret",
            access_token=access_token,
            refresh_token=refresh_token,
            session=Session(network_layer=network),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that there is a second generation
            return Client(oauth, AuthorizedSession(oauth, network_layer=network))

    yield make
    for network in networks:
        network._session.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


@pytest.fixture
def root(client: Client) -> Folder:
    return client.root_folder()


@pytest.fixture
def refused() -> Callable[..., Any]:
    """Calls and gives what the service said against it: status, code and context."""

    def call(work: Callable[..., Any], *args: Any, **options: Any) -> tuple[int, str, Any]:
        with pytest.raises(BoxAPIException) as caught:
            work(*args, **options)
        return caught.value.status, caught.value.code, caught.value.context_info

    return call
