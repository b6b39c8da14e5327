"""What is told of a proxy, and of a far side behind one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mountfs.backends.http import HttpClient
from mountfs.backends.proxies import proxy_for
from mountfs.backends.wire import Request
from mountfs.errors import InvalidArgument, MountfsError, Offline, Unreachable
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, answer, hang_up

FAR = "https://api.dropboxapi.com"


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpClient]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    client = HttpClient(FakeClock())
    yield client
    client.close()


def failure(http: HttpClient) -> MountfsError:
    with pytest.raises(MountfsError) as caught:
        http.exchange(Request("POST", f"{FAR}/x", "route"))
    return caught.value


def test_what_a_proxy_replies_is_told_and_leaves_nothing_sent(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(answer(407)) as server:
        monkeypatch.setenv("https_proxy", server.url.replace("http://", "http://me:sesame@"))
        error = failure(http)
    shown = server.url.replace("http://", "http://***@")
    assert isinstance(error, Unreachable)
    assert str(error).startswith(f"the proxy {shown} on the way to api.dropboxapi.com fails: Tunnel ")
    assert "407" in str(error)
    assert "sesame" not in str(error)


def test_a_proxy_that_is_not_there_is_told(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    error = failure(http)
    assert isinstance(error, Unreachable)
    told = "the proxy http://127.0.0.1:9 on the way to api.dropboxapi.com fails: Connection refused"
    assert str(error) == told


def test_what_breaks_behind_a_proxy_names_it(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(hang_up) as server:
        monkeypatch.setenv("all_proxy", server.url)
        error = failure(http)
    assert isinstance(error, Offline)
    told = f"api.dropboxapi.com (through the proxy {server.url}) broke the connection: "
    assert str(error).startswith(told)


@pytest.mark.parametrize("proxy", ["http://:0", "socks5://127.0.0.1:9"])
def test_an_address_that_is_of_no_use_is_told(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    error = failure(http)
    assert isinstance(error, InvalidArgument)
    assert str(error).startswith(f"the proxy {proxy} cannot be used: ")


def test_the_proxy_named_is_the_one_that_is_used(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(FAR) is None
    monkeypatch.setenv("all_proxy", "http://a:1")
    assert proxy_for(FAR) == "http://a:1"
    monkeypatch.setenv("https_proxy", "http://b:2")
    assert proxy_for(FAR) == "http://b:2"
    assert proxy_for("http://example.com") == "http://a:1"
    assert proxy_for("https://127.0.0.1:5") is None
    monkeypatch.setenv("no_proxy", "dropboxapi.com")
    assert proxy_for(FAR) is None
    assert proxy_for("https://[") is None


def test_a_reply_that_a_proxy_loses_leaves_open_what_was_done(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(hang_up) as server:
        monkeypatch.setenv("http_proxy", server.url)
        with pytest.raises(Offline) as caught:
            http.exchange(Request("POST", "http://api.example.com/x", "route"))
    assert len(server.seen) == 1
    assert not isinstance(caught.value, Unreachable)
