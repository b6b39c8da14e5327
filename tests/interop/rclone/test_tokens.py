"""How rclone comes by its tokens."""

import configparser
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.rclone.remote import Rclone, Remote

EXPIRED = "2020-01-01T00:00:00Z"
FRESH = "2099-01-01T00:00:00Z"


def token(access: str, refresh: str, expiry: str) -> dict[str, str]:
    return {"access_token": access, "token_type": "bearer", "refresh_token": refresh, "expiry": expiry}


@pytest.fixture
def alone(remote: Remote, own_rclone: Rclone) -> Remote:
    """The remote, with a configuration that no other test reads."""
    return replace(remote, rclone=own_rclone)


def spare_refresh_token(remote: Remote) -> str:
    """One that no other test has used up: a Box takes each but once."""
    known = remote.sandbox.switches()["refresh_tokens"]
    spare = f"spare-{remote.folder}"
    remote.sandbox.set_switches(refresh_tokens=[*known, spare])
    return spare


def test_an_expired_token_is_refreshed_and_kept(alone: Remote) -> None:
    alone.write("f", b"data")
    alone.rclone.configure(token("old", spare_refresh_token(alone), EXPIRED))
    calls = alone.calls_of(lambda: alone.call("cat", alone.at("f")))
    assert calls["oauth2/token"] >= 1
    config = configparser.ConfigParser()
    config.read(alone.rclone.config)
    kept = json.loads(config[alone.service]["token"])
    assert kept["access_token"] != "old"
    assert "oauth2/token" not in alone.calls_of(lambda: alone.call("cat", alone.at("f")))


def test_a_token_that_is_not_good_any_more_is_told(alone: Remote) -> None:
    alone.rclone.configure(token("revoked", spare_refresh_token(alone), FRESH))
    told = {"dropbox": "invalid_access_token", "box": "401 Unauthorized"}
    assert told[alone.service] in alone.refused("lsf", alone.at())


def test_a_refresh_token_that_is_not_known_is_told(alone: Remote) -> None:
    alone.rclone.configure(token("old", "forged", EXPIRED))
    assert "invalid_grant" in alone.refused("lsf", alone.at())


def test_an_app_that_is_not_known_is_told(alone: Remote, tmp_path: Path) -> None:
    alone.rclone.configure(token("old", spare_refresh_token(alone), EXPIRED))
    config = alone.rclone.config
    config.write_text(config.read_text().replace("sandbox-secret", "wrong"))
    assert "invalid_client" in alone.refused("lsf", alone.at())
