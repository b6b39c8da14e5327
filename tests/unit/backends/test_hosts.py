"""Where a reply may send us."""

from __future__ import annotations

import pytest

from mountfs.backends.hosts import Hosts
from mountfs.errors import ServerFault

HOSTS = Hosts(("https://gate.example.org/box/2.0", "http://127.0.0.1:8080/api"), ("box.com",), ("box.net",))


@pytest.mark.parametrize(
    "url",
    [
        "https://gate.example.org/any/where?x=1",
        "https://gate.example.org:443/x",
        "http://127.0.0.1:8080/x",
        "https://box.com/x",
        "https://upload.app.box.com/api/2.0/files/upload_sessions/F97",
        "https://upload.box.com:8443/x",
        "https://UPLOAD.Box.com/x",
        "http://2.realtime.services.box.net/subscribe?channel=c&stream_type=all",
        "https://2.realtime.services.box.net/subscribe",
    ],
)
def test_the_service_s_own_addresses_are_fine(url: str) -> None:
    assert HOSTS.check(url, "x") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/x",
        "//box.com/x",
        "https:///x",
        "http://upload.box.com/x",
        "http://gate.example.org/x",
        "https://gate.example.org:444/x",
        "http://127.0.0.1:8081/x",
        "http://localhost:8080/x",
        "https://example.com/x",
        "https://box.com.example.com/x",
        "https://xbox.com/x",
        "https://example.com/box.com",
        "https://box.com@example.com/x",
        "https://example.com@box.com/x",
        "https://example.com\\@box.com/x",
        "https://example.com#@box.com/x",
        "https://box.com:99999/x",
        "https://box.com:x/x",
        "https://[box.com/x",
        "https://box.com/a b",
        "https://box.com/a\nHost: example.com",
        "https://bóx.com/x",
        "ftp://box.com/x",
        "javascript:alert(1)//box.com",
        "file:///etc/passwd",
    ],
)
def test_every_other_address_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(ServerFault, match=r"^x: the service names an address that is not its own: "):
        HOSTS.check(url, "x")


def test_a_redirect_is_followed_from_where_it_stands() -> None:
    assert HOSTS.follow("https://api.box.com/2.0/x", "/signed?a=1", "x") == "https://api.box.com/signed?a=1"
    assert HOSTS.follow("https://api.box.com/2.0/x", "https://dl.box.com/y", "x") == "https://dl.box.com/y"
    for location in ("https://example.com/", "//example.com/", "http://[", "\\\\example.com"):
        with pytest.raises(ServerFault):
            HOSTS.follow("https://api.box.com/2.0/x", location, "x")
