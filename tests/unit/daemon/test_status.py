"""What a mount says about itself, in JSON, in words and on a terminal."""

from __future__ import annotations

import errno
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from daemon.cli.bars import in_time
from daemon.cli.screen import render_status
from daemon.cli.statusline import StatusLine, status_line
from daemon.control.status import (
    AccountStatus,
    Cache,
    Condition,
    Copy,
    FarSide,
    MountStatus,
    Stray,
    Tally,
    Trouble,
    far_side,
    in_bytes,
    in_words,
    plural,
)
from daemon.control.typed import read
from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, Throttled
from tests.unit.daemon.hostile import HOSTILE
from tests.unit.daemon.test_protocol import STATUS

IDLE = replace(STATUS, account=AccountStatus("dbid:x"))


@pytest.mark.parametrize("status", [STATUS, IDLE])
def test_a_status_survives_json(status: MountStatus) -> None:
    assert read(MountStatus, json.loads(json.dumps(asdict(status)))) == status


def test_every_key_is_in_the_table_of_the_document() -> None:
    told = (Path(__file__).parents[3] / "docs" / "OPERATIONS.md").read_text()
    given = asdict(STATUS)
    wanted = [*given, *(f"mounts[].account.{key}" for key in given["account"])]
    assert [key for key in wanted if f"{key}`" not in told] == []


def test_an_idle_mount_says_so() -> None:
    assert in_words(IDLE) == "ready; all committed"


def test_a_busy_mount_tells_what_is_pending_failed_and_running() -> None:
    assert in_words(STATUS) == (
        "ready; 2 changes pending, 10 B; 1 failed; committing 2 files; uploads pause: the account is full; "
        "service unreachable: connection refused; sync fails: OSError: disk I/O error"
    )
    assert status_line(STATUS).startswith("work:/Scans on /mnt/x: ready; 2 changes")
    assert status_line(STATUS).endswith("; 4 API calls")


def test_of_many_failures_all_are_counted_though_some_are_shown() -> None:
    troubles = tuple(Trouble(f"/{number}", "failed", "no", 1.0) for number in range(20))
    account = replace(STATUS.account, states={"failed": Tally(5000, 0)}, troubles=troubles)
    assert "; 5000 failed;" in in_words(replace(STATUS, account=account))


@pytest.mark.parametrize(
    ("error", "condition", "words"),
    [
        (NotSignedIn("expired"), "signed_out", "refuses the credentials: expired"),
        (Offline("refused"), "unreachable", "unreachable: refused"),
        (Throttled("slow"), "throttled", "asks for a pause: slow"),
        (ServerFault("upload: HTTP 500"), "failing", "answers with errors: upload: HTTP 500"),
    ],
)
def test_what_is_wrong_with_the_service_is_told_everywhere(
    error: MountfsError, condition: str, words: str
) -> None:
    status = replace(IDLE, account=replace(IDLE.account, far_side=far_side(error)))
    assert in_words(status) == f"ready; all committed; service {words}"
    assert status_line(status).count(words) == 1
    assert re.search(rf"^service +{words}$", shown(status).replace(" \n", "\n"), re.MULTILINE)
    assert asdict(status)["account"]["far_side"]["condition"] == condition
    assert read(MountStatus, json.loads(json.dumps(asdict(status)))) == status


def test_refused_credentials_are_told_before_anything_else() -> None:
    assert far_side(NotSignedIn("expired"), detail="away", is_away=True).condition is Condition.SIGNED_OUT


def test_what_keeps_something_from_being_sent_is_told_though_the_service_answers() -> None:
    assert far_side(None, detail="refused").in_words == "answers with errors: refused"
    assert far_side(None).in_words == "answers"


def test_the_tables_hold_every_fact() -> None:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(render_status(STATUS))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for fact in ("work:/Scans", "ready", "sealed", "/2/files/upload_session/start", "name refused", "dbid:y"):
        assert fact in shown
    assert "unreachable: connection refused" in shown
    assert re.search("sync fails +OSError: disk I/O error", shown)
    for fact in ("uploads pause", "the account is full", "conflicted copy", "compare them"):
        assert fact in shown


def test_a_service_that_answers_with_errors_is_not_said_to_answer_and_no_more() -> None:
    odd = replace(IDLE, account=replace(IDLE.account, far_side=far_side(ServerFault("500 internal error"))))
    assert in_words(odd) == "ready; all committed; service answers with errors: 500 internal error"
    assert "answers with errors: 500 internal error" in shown(odd)


def shown(status: MountStatus) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(render_status(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_stays_on_this_machine_is_listed_and_keeps_nothing_from_being_committed() -> None:
    status = replace(IDLE, account=replace(IDLE.account, states={"local": Tally(3, 2048)}))
    assert in_words(status) == "ready; all committed"
    assert re.search(r"^local +3 +2\.0 KiB", shown(status), re.MULTILINE)


def test_files_that_were_set_aside_are_listed_and_are_no_failure() -> None:
    aside = Trouble("/state/spool-set-aside", "set aside", "2 files of lost changes", 0.0)
    status = replace(IDLE, account=replace(IDLE.account, troubles=(aside,)))
    assert in_words(status) == "ready; all committed"
    assert re.search(r"^/state/spool-set-aside +set aside .* 2 files", shown(status), re.MULTILINE)


def test_names_are_not_taken_for_markup() -> None:
    odd = replace(STATUS, account=replace(STATUS.account, far_side=FarSide(False, "[/bold] gone [red]")))
    console = Console(file=io.StringIO(), width=200)
    console.print(render_status(odd))
    assert isinstance(console.file, io.StringIO)
    assert "[/bold] gone [red]" in console.file.getvalue()


def test_without_a_terminal_there_is_no_live_line() -> None:
    console = Console(file=io.StringIO())
    with StatusLine(console) as line:
        line.show("x")
        assert not line.is_shown
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_on_a_terminal_the_line_follows() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with StatusLine(console) as line:
        line.show("[2] pending")
    assert isinstance(console.file, io.StringIO)
    assert "[2] pending" in console.file.getvalue()


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 * 2**20, "200 MiB"), (2**40, "1.0 TiB")],
)
def test_bytes_are_told_roughly(size_bytes: int, words: str) -> None:
    assert in_bytes(size_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (119, "119 s"), (180, "3 min"), (9000, "2.5 h")]
)
def test_times_are_told_roughly(seconds: float, words: str) -> None:
    assert in_time(seconds) == words


def test_one_is_singular() -> None:
    assert [plural(count, "change") for count in (0, 1, 2)] == ["0 changes", "1 change", "2 changes"]


def test_a_terminal_that_is_gone_changes_no_outcome() -> None:
    class Gone(io.StringIO):
        is_gone = False

        def write(self, text: str) -> int:
            if self.is_gone:
                raise OSError(errno.EIO, "Input/output error")
            return super().write(text)

    terminal = Gone()
    with StatusLine(Console(file=terminal, force_terminal=True)) as line:
        line.show("all is well")
        terminal.is_gone = True


def test_what_the_service_copies_is_told_beside_what_is_pending() -> None:
    assert "of that the service copies 1 file, 6 B, which need not be sent" in shown(STATUS)
    assert "copies" not in shown(IDLE)


def test_an_account_with_nothing_has_an_empty_tally() -> None:
    assert IDLE.account.pending == Tally(0, 0)


def hostile(name: str) -> MountStatus:
    """A status that has *name* wherever a service or a program may put one."""
    return replace(
        STATUS,
        remote=f"work:/{name}",
        mountpoint=f"/mnt/{name}",
        account=AccountStatus(
            account=name,
            states={name: Tally(1, 1)},
            current_job=name,
            calls={name: 1},
            troubles=(Trouble(f"/{name}", name, name, 1.0),),
            far_side=FarSide(is_reachable=False, detail=name),
            strays=(Stray(name, 1, 1),),
            copies=(Copy(f"/{name}", name, 1.0, name),),
            workers={name: name},
            paused=name,
        ),
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_moves_the_cursor_or_writes_a_line_of_its_own(name: str) -> None:
    for output in (shown(hostile(name)), line_of(status_line(hostile(name)))):
        assert all(char.isprintable() for char in output.replace("\n", ""))
        assert not [line for line in output.split("\n") if line.startswith("mountfs:")]
        output.encode()
    if name.isprintable():
        assert name in shown(hostile(name))


@pytest.mark.parametrize("name", HOSTILE)
def test_json_stays_json_whatever_the_names_are(name: str) -> None:
    text = json.dumps(asdict(hostile(name)))
    assert text.isascii()
    assert read(MountStatus, json.loads(text)) == hostile(name)


def line_of(text: str) -> str:
    """What the live line writes, without the terminal's own sequences."""
    console = Console(file=io.StringIO(), width=500, highlight=False, force_terminal=True)
    line = StatusLine(console)
    line.show(text)
    assert line._status is not None
    plain = Console(file=io.StringIO(), width=500, highlight=False)
    plain.print(line._status.status)
    assert isinstance(plain.file, io.StringIO)
    return plain.file.getvalue()


def test_how_far_what_is_pinned_is_here_is_told() -> None:
    def told(pinned_bytes: int) -> str:
        cache = Cache(
            used_bytes=3 << 20, limit_bytes=1 << 30, pinned_bytes=pinned_bytes, wanted_bytes=2 << 20
        )
        return shown(replace(STATUS, account=replace(STATUS.account, cache=cache)))

    assert "of what is pinned 1.0 MiB of 2.0 MiB are here" in told(1 << 20)
    assert "2.0 MiB of it pinned" in told(2 << 20)
