"""``mountfs log``: what happened to a file, and how much of that is remembered."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from daemon.cli import run
from daemon.control.changes import Story
from daemon.control.client import Client, Place
from daemon.process import story
from daemon.process.mounted import RunningAccount
from mountfs.errors import Forbidden, NotFound
from mountfs.model.path import RemotePath
from tests.doubles.world import MIB, World
from tests.unit.daemon.test_mounted import account_of


@pytest.fixture
def account(world: World) -> RunningAccount:
    return account_of(world)


def told(account: RunningAccount, path: str) -> list[str]:
    return [event.what for event in account.story(RemotePath(path))]


def test_the_story_of_a_file_goes_from_its_first_write_to_its_revision(
    world: World, account: RunningAccount
) -> None:
    world.put("/f", b"12345")
    world.settle()
    events = told(account, "/f")
    assert events[0] == "new here"
    assert events[-1].endswith(f"committed as revision {world.file('/f').revision}")
    words = ("written to", "closed with 5 B", "all its bytes are at the service", "put ordered as /f")
    assert [next(at for at, event in enumerate(events) if word in event) for word in words] == [1, 2, 3, 4]
    times = [event.wall_s for event in account.story(RemotePath("/f"))]
    assert times == sorted(times)


def test_the_story_names_the_batch_that_the_log_tells_of(
    world: World, account: RunningAccount, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "daemon.process.counting"):
        for path in ("/f", "/g"):
            world.put(path, b"1")
        world.settle()
    [line] = [record.getMessage() for record in caplog.records if record.name == "daemon.process.counting"]
    batch = re.search(r"batch=(\d+)", line)
    assert batch is not None, line
    for path in ("/f", "/g"):
        assert [event for event in told(account, path) if event.endswith(f"in batch {batch[1]}")]


def test_a_large_file_tells_of_its_session(world: World, account: RunningAccount) -> None:
    world.put("/big", bytes(40 * MIB))
    world.settle()
    assert "an upload session is open for it" in told(account, "/big")


def test_renames_refusals_and_the_work_of_others_are_told(world: World, account: RunningAccount) -> None:
    world.put("/a", b"1")
    world.settle()
    world.rename("/a", "/b")
    assert told(account, "/b")[-1] == "renamed from /a"
    world.settle()
    assert told(account, "/b")[-1].endswith("done")
    theirs = world.theirs("/b", b"theirs")
    assert world.get("/b") == b"theirs"
    assert told(account, "/b")[-1] == f"seen at the service: revision {theirs.revision}"
    world.backend.refuse("/no", Forbidden("not here"), times=20)
    world.put("/no", b"1")
    world.settle()
    assert any(event.startswith("refused: ") and "not here" in event for event in told(account, "/no"))


def test_a_removed_file_has_a_story_until_its_removal_is_committed(
    world: World, account: RunningAccount
) -> None:
    world.put("/f", b"1")
    world.settle()
    world.fs.unlink("/f")
    assert told(account, "/f")[-1] == "removed here"
    world.settle()
    with pytest.raises(NotFound):
        account.story(RemotePath("/f"))


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(
    world: World, account: RunningAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOST_EVENTS", 40)
    for number in range(30):
        world.put(f"/f{number}", b"1")
    assert told(account, "/f0") == []
    assert told(account, "/f29")[0] == "new here"
    assert account._stories.count <= 40


def test_one_file_that_is_written_all_day_leaves_room_for_others(
    world: World, account: RunningAccount
) -> None:
    world.put("/other", b"1")
    before = account._stories.count
    for number in range(story.MOST_OF_ONE):
        world.put("/busy", str(number).encode())
    assert account._stories.count == before + story.MOST_OF_ONE
    assert len(told(account, "/busy")) >= story.MOST_OF_ONE // 2
    assert told(account, "/other")[0] == "new here"


def test_the_command_prints_a_line_for_each_event(
    world: World,
    account: RunningAccount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.put("/f", b"1")

    class Answering:
        def ask(self, request: object) -> list[Story]:
            return [Story(account.story(RemotePath("/f")))]

    monkeypatch.setattr(Client, "at", lambda _place, _about: Answering())
    monkeypatch.setattr("daemon.cli.story.find_place", lambda *_, **__: Place(Path("/mnt"), "/f"))
    assert run(["log", "/mnt/f"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == told(account, "/f")
    assert run(["log", "/mnt/f", "--json"]) == 0
    assert '"what": "new here"' in capsys.readouterr().out.splitlines()[0]
