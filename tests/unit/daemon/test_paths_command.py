"""The commands about one path, as somebody at a shell meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli import paths, run
from daemon.control.client import Client, DeadMount, Place
from daemon.control.protocol import CommandRequest, Reply, Request, Told
from daemon.failure import Failure


class Mounts:
    """Answers for the mounts /mnt/dead and /mnt/alive."""

    def __init__(self, mountpoint: Path, about: Path | None) -> None:
        if mountpoint.name == "dead":
            raise DeadMount(f"{mountpoint}: its mountfs process has ended")
        self.about = about

    def ask(self, request: Request) -> Iterator[Reply]:
        assert isinstance(request, CommandRequest)
        if request.command == "versions":
            raise Failure(f"{self.about}: a folder has no versions: name a file")
        yield Told(("/docs: here", "not in this mount: /f: here"))


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "at", Mounts)
    monkeypatch.setattr(paths, "all_mounts", lambda: [Path("/mnt/dead"), Path("/mnt/alive")])
    monkeypatch.setattr(paths, "find_place", lambda path, **_: Place(Path("/mnt/alive"), f"/{path.name}"))


@pytest.mark.parametrize("command", ["pin", "cache"])
@pytest.mark.usefixtures("mounts")
def test_all_mounts_are_told_of_though_one_is_dead(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == 1
    told = capsys.readouterr()
    assert "/mnt/dead: its mountfs process has ended" in told.err
    assert told.out.endswith("/mnt/alive: not in this mount: /f: here\n")
    assert command == "cache" or told.out.startswith("/mnt/alive/docs: here\n")


@pytest.mark.usefixtures("mounts")
def test_the_cache_of_several_mounts_is_not_forgotten_by_one_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what somebody is to read without the network."""
    assert run(["cache", "--clear"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "mountfs: --clear: say of which mount: mountfs cache --clear PATH, such as /mnt/dead, /mnt/alive\n"
    )
    assert run(["cache", "--clear", "/mnt/alive"]) == 0
    monkeypatch.setattr(paths, "all_mounts", lambda: [Path("/mnt/alive")])
    assert run(["cache", "--clear"]) == 0
    monkeypatch.setattr(paths, "all_mounts", list)
    assert run(["cache", "--clear"]) == 1


@pytest.mark.usefixtures("mounts")
def test_what_is_refused_names_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["versions", "/mnt/alive/docs"]) == 1
    assert "/mnt/alive/docs: a folder has no versions" in capsys.readouterr().err
