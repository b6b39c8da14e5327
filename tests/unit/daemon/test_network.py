"""Whose credentials the network process uses."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.settings import DropboxRemote
from daemon.places.callbudget import AccountBudget
from daemon.process import network
from daemon.process.network import MountedAccount
from daemon.process.networkrecipe import Recipe
from daemon.signin.credentials import StaticToken
from mountfs.clock import SystemClock
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import MemoryAccount

REMOTE = DropboxRemote("work", access_token="secret")


@pytest.mark.parametrize(("owner", "told"), [("", ["signed-in remote=work account=Memory"]), ("x", [])])
def test_credentials_that_a_running_mount_takes_are_a_sign_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: str,
    told: list[str],
) -> None:
    account = MemoryAccount()
    backend = MemoryBackend(account)
    monkeypatch.setattr(network, "connect", lambda *_: backend)
    ours = backend.account()
    recipe = Recipe(REMOTE, "work", str(tmp_path), "", logging.INFO, logging.WARNING)
    mounted = MountedAccount(
        recipe, replace(ours, key=ours.key + owner), AccountBudget(SystemClock()), fleets=None
    )
    with caplog.at_level(logging.INFO):
        assert mounted.is_ours(REMOTE, StaticToken("secret")) is not bool(owner)
    assert caplog.messages == told
