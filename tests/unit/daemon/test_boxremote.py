"""A Box account in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.boxremote import BoxRemote
from daemon.config.settings import SandboxRemote, find_remote, holds_secret, load, parse
from daemon.failure import BadSettings
from daemon.process.embedded import EmbeddedSandbox, Listening, account_of
from daemon.signin.identity import identity_mark
from daemon.signin.remotes import connect
from mountfs.clock import SystemClock
from mountfs.model.path import ROOT

CLIENT = {"client_id": "c", "client_secret": "s"}
FILE = Path("/etc/mountfs.toml")


def read(**keys: object) -> BoxRemote:
    remote = parse(FILE, {"remotes": {"work": {"type": "box", **keys}}}).remotes["work"]
    assert isinstance(remote, BoxRemote)
    return remote


@pytest.mark.parametrize(
    "keys",
    [
        {"access_token": "t"},
        {**CLIENT, "refresh_token": "r"},
        {**CLIENT, "box_subject_type": "enterprise", "box_subject_id": "17"},
    ],
)
def test_there_are_three_kinds_of_credentials(keys: dict[str, object]) -> None:
    remote = read(**keys)
    assert {name: getattr(remote, name) for name in keys} == keys
    assert remote.api_url == "https://api.box.com/2.0"
    assert remote.upload_url == "https://upload.box.com/api/2.0"
    assert remote.token_url == "https://api.box.com/oauth2/token"


def test_everything_else_has_a_default_and_can_be_set() -> None:
    plain = read(access_token="t")
    assert (plain.root_folder_id, plain.as_user) == ("0", None)
    assert (plain.uploads_per_minute, plain.calls_per_minute) == (240, 1000)
    assert plain.small_file_bytes == 20_000_000
    chosen = read(
        access_token="t",
        as_user="4711",
        root_folder_id=123,
        uploads_per_minute=60,
        calls_per_minute="500",
        small_file_bytes=50_000_000,
    )
    assert (chosen.root_folder_id, chosen.as_user) == ("123", "4711")
    assert (chosen.uploads_per_minute, chosen.calls_per_minute) == (60, 500)
    assert chosen.small_file_bytes == 50_000_000


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"access_token": "t", "refresh_token": "r"}, "access_token and refresh_token exclude each other"),
        ({"refresh_token": "r"}, "refresh_token needs client_id; add it"),
        ({"refresh_token": "r", "client_id": "c"}, "refresh_token needs client_secret; add it"),
        ({**CLIENT, "box_subject_type": "user"}, "box_subject_type needs box_subject_id; add it"),
        ({**CLIENT, "box_subject_id": "7"}, "box_subject_type needs box_subject_type; add it"),
        ({**CLIENT, "box_subject_type": "group"}, "box_subject_type = 'group': must be enterprise or user"),
        ({"access_token": "t", "root_folder_id": "x"}, "must be the number at the end"),
        ({"access_token": "t", "small_file_bytes": 50_000_001}, "a whole number between 1 and 50000000"),
        ({"access_token": "t", "uploads_per_minute": 0}, "a whole number between 1 and 1000000"),
        ({"access_token": "t", "calls_per_minute": True}, "a whole number between"),
        ({"access_token": "t", "api_url": "http://example.com"}, "would send the token in clear"),
        ({"access_token": "t", "app_key": "k"}, "unknown key 'app_key'"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(keys: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        read(**keys)
    assert complaint in str(caught.value)
    assert "[remotes.work]" in str(caught.value)


def test_secrets_are_not_shown() -> None:
    shown = repr(BoxRemote("work", access_token="sesame", client_secret="hush", refresh_token="open"))
    assert not any(secret in shown for secret in ("sesame", "hush", "open"))
    assert holds_secret({"remotes": {"a": {"client_secret": "s"}}})


def test_the_mark_of_an_account_changes_with_whose_tree_it_is() -> None:
    marks = {
        identity_mark(remote)
        for remote in (
            read(access_token="t"),
            read(access_token="t", as_user="7"),
            read(access_token="t", root_folder_id="7"),
            read(**CLIENT, refresh_token="t"),
        )
    }
    assert len(marks) == 4
    assert identity_mark(read(access_token="t", uploads_per_minute=7)) in marks


def test_the_stand_in_is_built_in(tmp_path: Path) -> None:
    assert find_remote(load([]), "sandbox-box") == SandboxRemote("sandbox-box", "box")


def test_the_stand_in_is_reached_at_one_port(tmp_path: Path) -> None:
    remote = account_of(SandboxRemote("sandbox-box", "box"), Listening("http://127.0.0.1:9", "t"))
    assert isinstance(remote, BoxRemote)
    assert remote.access_token == "t"
    assert remote.api_url == "http://127.0.0.1:9/2.0"
    assert remote.upload_url == "http://127.0.0.1:9/api/2.0"
    assert remote.token_url == "http://127.0.0.1:9/oauth2/token"


def test_the_stand_in_runs_beside_the_mount(tmp_path: Path) -> None:
    with EmbeddedSandbox("box", tmp_path / "data") as sandbox:
        remote = account_of(SandboxRemote("sandbox-box", "box"), sandbox.start())
        backend = connect(remote, SystemClock(), tmp_path)
        assert backend.list_folder(ROOT) == []
        assert backend.account().key.startswith("box-")
        backend.close()
