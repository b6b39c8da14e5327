"""Backends as the configuration says, at services that answer as written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config.boxremote import BoxRemote
from daemon.config.settings import AccountRemote, DropboxRemote
from daemon.signin.remotes import connect
from mountfs.errors import Throttled, Transient
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, answer

SIGNED_IN_ANEW: dict[str, Callable[[str], AccountRemote]] = {
    "dropbox": lambda url: DropboxRemote("work", refresh_token="r", app_key="k", api_url=url),
    "box": lambda url: BoxRemote(
        "work", refresh_token="r", client_id="c", client_secret="s", token_url=f"{url}/oauth2/token"
    ),
    "box for itself": lambda url: BoxRemote(
        "work",
        box_subject_type="user",
        box_subject_id="7",
        client_id="c",
        client_secret="s",
        token_url=f"{url}/oauth2/token",
    ),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("remote", SIGNED_IN_ANEW.values(), ids=SIGNED_IN_ANEW)
def test_no_token_is_asked_for_before_the_service_allows_it(
    remote: Callable[[str], AccountRemote], status: int, tmp_path: Path
) -> None:
    clock = FakeClock()
    with Script(answer(status, Retry_After="30")) as server:
        backend = connect(remote(server.url), clock, tmp_path)
        for _ in range(20):
            with pytest.raises(Transient) as told:
                backend.space()
        assert isinstance(told.value, Throttled)
        assert told.value.retry_after_s == 30.0
        assert [seen.path for seen in server.seen] == ["/oauth2/token"]
        clock.advance(30.0)
        with pytest.raises(Transient):
            backend.space()
        assert len(server.seen) == 2
        backend.close()
