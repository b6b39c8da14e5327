"""`[fleet]` in the configuration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from daemon.config.fleet import Fallback, Fleet
from daemon.config.settings import holds_secret, parse, usable_fleet
from daemon.control import typed
from daemon.control.status import AccountStatus, FleetStatus, MountStatus, in_words
from daemon.failure import BadSettings
from daemon.fleet.joining import check_library

FILE = Path("/etc/mountfs.toml")


def read(**section: object) -> Fleet | None:
    return parse(FILE, {"fleet": section}).fleet


def test_without_the_section_there_is_no_fleet() -> None:
    settings = parse(FILE, {})
    assert settings.fleet is None
    assert usable_fleet(settings, {}) is None


def test_a_fleet_needs_an_address_and_nothing_else() -> None:
    assert read(url="redis://10.0.0.1") == Fleet("redis://10.0.0.1")
    assert read(url="rediss://h:1/2", fallback="alone", name="m", lease="30s", username="u") == Fleet(
        "rediss://h:1/2", "u", fallback=Fallback.ALONE, name="m", lease_s=30.0
    )


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({}, "the key 'url' is missing"),
        ({"url": "http://h"}, "must look like redis://HOST:6379/0"),
        ({"url": "redis://u:p@h"}, "must not hold a password"),
        ({"url": "redis://h/x"}, "must be only scheme, host, port"),
        ({"url": "redis://h:99999"}, "is no valid address"),
        ({"url": "redis://h", "lease": 1}, "must lie between 2 and 300 seconds"),
        ({"url": "redis://h", "fallback": "go"}, "must be one of wait, alone"),
        ({"url": "redis://h", "password": "p"}, "password would travel in clear"),
        ({"url": "redis://h", "password": {"file": "/p"}}, "password would travel in clear"),
    ],
)
def test_what_makes_no_sense_is_told(section: dict[str, object], told: str) -> None:
    with pytest.raises(BadSettings, match=told) as caught:
        read(**section)
    assert str(caught.value).startswith(f"{FILE}: [fleet]")


def test_the_password_is_fetched_from_where_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mountfs.fleet").write_text("secret\n")
    kept = {"url": "rediss://h", "password": {"credential": "mountfs.fleet"}}
    settings = parse(FILE, {"fleet": kept})
    fleet = usable_fleet(settings, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert fleet is not None
    assert fleet.password == "secret"
    assert "secret" not in repr(fleet)
    with pytest.raises(
        BadSettings, match=r"\[fleet\]: password: credential 'mountfs.fleet' is given by systemd"
    ):
        usable_fleet(settings, {})


def test_a_password_in_the_file_makes_it_private() -> None:
    assert holds_secret({"fleet": {"url": "rediss://h", "password": "p"}})
    assert not holds_secret({"fleet": {"url": "rediss://h", "password": {"credential": "c"}}})


def test_without_the_library_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.fleet.joining.find_spec", lambda _name: None)
    with pytest.raises(BadSettings, match=r"pip install 'mountfs\[fleet\]'"):
        check_library()


def test_status_tells_of_the_fleet_and_crosses_the_socket() -> None:
    fleet = FleetStatus("a", 3.0, (("b", 1.5),), {"a": 7}, "redis://h cannot be reached")
    account = AccountStatus("me", fleet=fleet)
    status = MountStatus("work:", "/m", 1, "ready", 1.0, False, "/s", account)
    assert typed.read(MountStatus, asdict(status)) == status
    assert "the fleet: redis://h cannot be reached" in in_words(status)
    assert "fleet" not in in_words(
        MountStatus("work:", "/m", 1, "ready", 1.0, False, "/s", AccountStatus("me"))
    )
