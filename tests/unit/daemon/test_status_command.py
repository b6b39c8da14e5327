"""``mountfs status`` and ``mountfs pending``: shapes, exit codes, what is told where nothing is mounted."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from daemon.cli import overview, run
from daemon.cli.bars import in_figures, render_transfer
from daemon.cli.context import Context
from daemon.cli.screen import render_status
from daemon.cli.watch import keys, screen, watch_on
from daemon.control.changes import PendingChange, PendingChanges
from daemon.control.client import Client, Elsewhere, Place
from daemon.control.health import Health, health_of, trouble_of, worst
from daemon.control.protocol import Listed, Reply, Request
from daemon.control.status import AccountStatus, FarSide, MountStatus, Tally, Transfer, UnderWay
from daemon.failure import BadSettings, Failure
from tests.doubles.world import World
from tests.unit.daemon.test_protocol import STATUS, TRANSFER

WELL = replace(STATUS, account=AccountStatus("dbid:x"))


def spoken(renderable: object, columns: int = 160) -> str:
    console = Console(file=io.StringIO(), width=columns, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# Health


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"far_side": FarSide(False, "refused")}, "the service unreachable: refused"),
        ({"paused": "the account is full"}, "uploads pause: the account is full"),
        ({"workers": {"sync": "disk I/O error"}}, "sync fails: disk I/O error"),
        (
            {"states": {"failed": Tally(2, 0)}},
            "2 changes failed, and wait for you: mountfs retry, or discard",
        ),
        (
            {"retried": 5000},
            "5000 changes met an error and are tried again",
        ),
    ],
)
def test_what_does_not_get_on_is_trouble(change: dict[str, object], words: str) -> None:
    sick = replace(WELL, account=replace(WELL.account, **change))  # type: ignore[arg-type]
    assert health_of(sick) is Health.TROUBLE
    assert words in " ".join(trouble_of(sick))


def test_what_is_pending_is_no_trouble() -> None:
    account = replace(WELL.account, pending=Tally(5, 9), states={"sealed": Tally(5, 9)}, transfer=TRANSFER)
    assert health_of(replace(WELL, account=account)) is Health.WELL


def test_of_several_mounts_the_worst_counts_and_none_is_down() -> None:
    assert worst([Health.WELL, Health.TROUBLE]) is Health.TROUBLE
    assert worst([Health.DOWN, Health.TROUBLE]) is Health.DOWN
    assert worst([]) is Health.DOWN


# The command


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Path, MountStatus | Failure]]:
    """What each mount says that `status` finds."""
    said: dict[Path, MountStatus | Failure] = {}

    def ask(place: Path) -> MountStatus:
        answer = said[place]
        if isinstance(answer, Failure):
            raise answer
        return answer

    monkeypatch.setattr(overview, "all_mounts", lambda: list(said))
    monkeypatch.setattr(overview, "ask_status", ask)
    yield said


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = run(["status", "--json", *arguments])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return code, found


def test_the_exit_code_tells_how_all_mounts_are(
    mounts: dict[Path, MountStatus | Failure], capsys: pytest.CaptureFixture[str]
) -> None:
    mounts[Path("/mnt/a")] = WELL
    assert told(capsys)[0] == 0
    mounts[Path("/mnt/b")] = STATUS
    code, shape = told(capsys)
    assert (code, shape["health"], shape["version"]) == (1, "trouble", 1)
    mounts[Path("/mnt/c")] = Failure("/mnt/c: its mountfs process has ended")
    code, shape = told(capsys)
    assert (code, shape["health"]) == (2, "down")
    assert isinstance(shape["mounts"], list)
    assert [each["health"] for each in shape["mounts"]] == ["well", "trouble", "down"]
    assert shape["mounts"][2]["trouble"] == ["/mnt/c: its mountfs process has ended"]
    assert run(["status"]) == 2
    shown = capsys.readouterr()
    assert "ready" in shown.out
    assert shown.err == "mountfs: /mnt/c: its mountfs process has ended\n"


def test_what_is_no_mount_is_not_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", str(tmp_path)]) == 2
    assert "no mountfs mount here" in capsys.readouterr().err


def test_with_nothing_mounted_it_lists_what_is_journaled_for_which_account(
    mounts: dict[Path, MountStatus | Failure],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    state = tmp_path / "state"
    slot = state / "accounts" / "dbid-x" / "slot-0"
    slot.mkdir(parents=True)
    world = World(slot)
    world.put("/f", b"12345")
    world.put("/.f.swp", b"123")
    world.core.durability.save()
    world.close()
    (state / "remotes.json").write_text(json.dumps({"work": {"key": "dbid-x", "mark": "m"}}))
    config = tmp_path / "mountfs.toml"
    config.write_text(f'[mount]\nstate_dir = "{state}"\n')
    config.chmod(0o600)
    assert run(["--config", str(config), "status", "--json"]) == 2
    shape = json.loads(capsys.readouterr().out)
    whose = {"account": "dbid-x", "remotes": ["work"], "state_dir": str(state)}
    assert shape["journaled"] == [{**whose, "count": 1, "size_bytes": 5, "local_count": 1, "local_bytes": 3}]
    assert run(["--config", str(config), "status"]) == 2
    lines = " ".join(capsys.readouterr().out.split())
    assert lines.startswith("nothing is mounted work: 1 change, 5 B journaled in")
    assert "work: 1 file, 3 B in" in lines
    assert lines.endswith("stay on this machine by their names")


# On a terminal


def test_bars_tell_bytes_of_bytes_a_rate_and_the_time_to_go() -> None:
    busy = Transfer(
        Tally(40, 3 << 20),
        Tally(2, 1 << 20),
        bytes_per_s=1 << 19,
        changes_per_s=2.0,
        eta_s=2.0,
        files=(UnderWay("/big.iso", 4 << 20, 3 << 20), UnderWay("/note", 10, 0)),
        others=7,
    )
    assert in_figures(busy) == "3.0 MiB of 4.0 MiB, 40 of 42 changes, 512 KiB/s, 2 s to go"
    lines = spoken(render_transfer(busy)).splitlines()
    assert "3.0 MiB of 4.0 MiB" in lines[1]
    assert lines[1].startswith("/big.iso")
    assert lines[2] == "/note and 7 more"


def test_on_a_narrow_terminal_nothing_is_cut() -> None:
    long = "/" + "q" * 100
    [trouble, *_], [copy, *_] = STATUS.account.troubles, STATUS.account.copies
    account = replace(
        STATUS.account, troubles=(replace(trouble, path=long),), copies=(replace(copy, path=long),)
    )
    shown = spoken(render_status(replace(STATUS, account=account, state_dir=long, page=long)), 50)
    assert shown.count("q") == 4 * 100
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown


def test_what_does_not_move_is_waiting() -> None:
    assert in_figures(Transfer(left=Tally(2, 10))).endswith("0 B/s, waiting")


def test_the_screen_of_watch_tells_health_first() -> None:
    found = overview.Overview(mounts=[STATUS], silent={"/mnt/c": "gone"})
    shown = spoken(screen(found))
    assert "mountfs: down" in shown.splitlines()[0]
    assert "work:/Scans on /mnt/x" in shown
    assert "gone" in shown


@pytest.mark.parametrize(
    ("phase", "told"), [("ready", "ready, since 10 min"), ("draining", "draining, mounted since 10 min")]
)
def test_the_time_is_that_of_the_mount_and_not_of_its_drain(phase: str, told: str) -> None:
    found = overview.Overview(mounts=[replace(WELL, phase=phase, uptime_s=600.0)])
    assert told in spoken(overview.render_overview(found))


@pytest.mark.parametrize("colour", [None, "1"])
def test_watching_needs_a_terminal(
    mounts: dict[Path, MountStatus | Failure],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    colour: str | None,
) -> None:
    if colour is not None:
        monkeypatch.setenv("FORCE_COLOR", colour)
        monkeypatch.setenv("TERM", "xterm")
    assert run(["status", "--watch"]) == 2
    assert "--watch needs a terminal" in capsys.readouterr().err


# What is pending


@pytest.mark.parametrize("colour", [None, "1"])
def test_pending_lists_every_change_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], colour: str | None
) -> None:
    if colour is not None:
        monkeypatch.setenv("FORCE_COLOR", colour)
    changes = (
        PendingChange("/d/f", "new file", "uploaded", 2048, 3.0, waits_for="/d"),
        PendingChange("/g", "renamed", "failed", 0, 90.0, reason="not allowed"),
    )

    class Answering:
        def ask(self, request: Request) -> Iterator[Reply]:
            yield PendingChanges(changes)
            yield Listed(2)

    monkeypatch.setattr(Client, "at", lambda *_place: Answering())
    monkeypatch.setattr("daemon.cli.pending.find_place", lambda path: Place(Path("/mnt"), "/"))
    assert run(["pending", "/mnt"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "/mnt/d/f\tnew file\tuploaded\t2.0 KiB\t3 s\twaits for /mnt/d",
        "/mnt/g\trenamed\tfailed\t\t90 s\tnot allowed",
    ]
    assert "2 more changes of the account not mounted here" in shown.err
    assert run(["pending", "/mnt", "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["path"] for each in lines] == ["/mnt/d/f", "/mnt/g"]
    assert lines[0] == {
        "path": "/mnt/d/f",
        "change": "new file",
        "state": "uploaded",
        "size_bytes": 2048,
        "age_s": 3.0,
        "waits_for": "/mnt/d",
        "reason": "",
    }


def test_where_all_mounts_are_elsewhere_pending_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Away:
        def ask(self, request: Request) -> Iterator[Reply]:
            raise Elsewhere("/mnt: its process runs in another container")

    monkeypatch.setattr(Client, "at", lambda *_place: Away())
    monkeypatch.setattr("daemon.cli.pending.all_mounts", lambda: [Path("/mnt")])
    assert run(["pending"]) == 1
    assert capsys.readouterr().err == "mountfs: /mnt: its process runs in another container\n"


@pytest.mark.parametrize("colour", [None, "1"])
def test_what_is_written_to_a_file_is_cut_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], colour: str | None
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if colour is not None:
        monkeypatch.setenv("FORCE_COLOR", colour)
    path = "/" + "/".join(["folder"] * 100)
    Context().out.print(path)
    assert capsys.readouterr().out == f"{path}\n"
    monkeypatch.setenv("COLUMNS", "80")
    assert Context().out.width == 80


@pytest.mark.parametrize(
    ("is_terminal", "told"), [(False, "--watch needs a terminal; "), (True, "whose cursor moves")]
)
def test_where_no_screen_can_be_drawn_none_is_watched(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, told: str
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: is_terminal)
    out = Console(file=file, _environ={"TERM": "dumb"})
    context = Context()
    context.out = out
    with pytest.raises(BadSettings, match=told):
        watch_on(context, lambda: pytest.fail("it was looked at"))


def test_a_terminal_without_an_end_in_sight_ends_the_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with keys() as pressed:
            os.write(ours, b"x")
            assert not pressed(60)
            os.write(ours, b"q")
            assert pressed(60)
            monkeypatch.setattr(os, "read", lambda *_: b"")
            os.write(ours, b"x")
            assert pressed(60)
    os.close(ours)
