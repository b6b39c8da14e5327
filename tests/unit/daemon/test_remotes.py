"""Backends as the configuration says, at services that answer as written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.boxremote import BoxRemote
from daemon.config.commitoptions import CommitMode
from daemon.config.settings import AccountRemote, CommitRoute, DropboxRemote
from daemon.signin.remotes import box_settings, connect, settings_of
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.settings import FINISH_BATCH_V2, DropboxSettings
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


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, None),
        ("Scanned", "Scanned"),
        ("Scanned at {host}, {}", "Scanned at desk, {}"),
        ("{host}" * 100, "desk" * 64),
    ],
)
def test_a_description_may_name_this_machine(given: str | None, told: str | None) -> None:
    assert box_settings(BoxRemote("work", description=given), "desk").description == told


def test_tags_may_name_this_machine() -> None:
    given = ("scanned", "{host}", "at {host}", "desk")
    assert box_settings(BoxRemote("work", tags=given), "desk").tags == ("scanned", "desk", "at desk")


def test_the_defaults_of_the_configuration_are_those_of_the_backend() -> None:
    assert settings_of(DropboxRemote("work"), DropboxSettings) == DropboxSettings()
    assert settings_of(BoxRemote("work"), BoxSettings) == BoxSettings()


def test_what_the_configuration_says_reaches_the_backend() -> None:
    remote = DropboxRemote("work", path_root="root", commit_route=CommitRoute.FINISH_BATCH_V2, mute=True)
    expected = DropboxSettings(path_root="root", commit_route=FINISH_BATCH_V2, mute=True)
    assert settings_of(remote, DropboxSettings) == expected
    groups = (("ptid:x", (("customer", "ACME"),)),)
    remote = replace(
        remote,
        commit_mode=CommitMode.OVERWRITE,
        autorename=True,
        strict_conflict=True,
        client_modified=False,
        property_groups=groups,
    )
    told = settings_of(remote, DropboxSettings)
    assert (told.commit_mode, told.autorename, told.strict_conflict) == ("overwrite", True, True)
    assert (told.client_modified, told.property_groups) == (False, groups)
    assert settings_of(BoxRemote("work", description="x"), BoxSettings).description == "x"


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
