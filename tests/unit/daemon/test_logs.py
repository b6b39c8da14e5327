"""Where log lines go."""

from __future__ import annotations

import logging
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.process import logs
from daemon.process.logs import LogFile
from mountfs.model.logevent import LogEvent, pairs
from tests.unit.daemon.hostile import HOSTILE


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Leaves the root logger as it was."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [handler for handler in root.handlers if handler.name == logs.HANDLER_NAME]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_a_terminal_gets_warnings_in_the_form_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0, {})
    logging.getLogger("daemon.x").info("unheard")
    logging.getLogger("daemon.x").warning("heard")
    assert capsys.readouterr().err == "mountfs: heard\n"


def test_asking_for_more_gives_more(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(2, {})
    logging.getLogger("daemon.x").debug("detail")
    assert capsys.readouterr().err == "mountfs: detail\n"


def test_the_level_of_a_mount_takes_the_place_of_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0, {})
    logs.set_level("error")
    logging.getLogger("daemon.x").warning("unheard")
    logging.getLogger("daemon.x").error("heard")
    assert capsys.readouterr().err == "mountfs: heard\n"


def test_the_journal_gets_a_priority_on_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal"
    with journal.open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = journal.stat()
        logs.configure(0, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        try:
            raise ValueError("two\n<0>lines")
        except ValueError:
            logging.getLogger("daemon.x").exception("failed")
        logging.getLogger("daemon.x").info("more")
    first, *lines, last = journal.read_text().splitlines()
    assert first == "<3>level=error logger=daemon.x msg=failed"
    assert last == "<6>level=info logger=daemon.x msg=more"
    assert lines
    assert all(line.startswith("<3>    ") for line in lines)


def test_a_terminal_that_a_service_opened_is_no_journal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0, {"JOURNAL_STREAM": "8:1"})
    logging.getLogger("daemon.x").warning("heard")
    assert capsys.readouterr().err == "mountfs: heard\n"


def test_a_background_mount_logs_to_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0, {}, tmp_path / "x.log")
    logging.getLogger("daemon.x").info("told")
    assert capsys.readouterr().err == ""
    line = (tmp_path / "x.log").read_text()
    assert re.fullmatch(r"time=\S+Z? level=info logger=daemon.x msg=told\n", line)


def test_a_log_that_was_moved_away_or_begun_anew_by_another_mount_is_followed(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    ours, theirs = (LogFile(path, maxBytes=100, backupCount=2) for _ in range(2))
    for handler, text in ((ours, "a" * 90), (theirs, "b" * 90), (ours, "c"), (theirs, "d")):
        handler.emit(logging.makeLogRecord({"msg": text}))
    assert (moved.read_text(), path.read_text()) == ("a" * 90 + "\n", "b" * 90 + "\nc\nd\n")
    path.rename(tmp_path / "kept")
    ours.emit(logging.makeLogRecord({"msg": "e"}))
    assert path.read_text() == "e\n"
    for handler in (ours, theirs):
        handler.close()


def test_a_log_that_cannot_be_opened_again_keeps_nobody_from_working(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    handler = LogFile(folder / "log", maxBytes=100, backupCount=2)
    folder.rename(tmp_path / "moved")
    for text in ("a" * 90, "b" * 90, "c"):
        handler.emit(logging.makeLogRecord({"msg": text}))
    handler.close()
    assert capsys.readouterr().err == ""
    assert (tmp_path / "moved" / "log").read_text() == "a" * 90 + "\n"


def test_configuring_again_does_not_say_things_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0, {})
    logs.configure(0, {})
    logging.getLogger("daemon.x").warning("once")
    assert capsys.readouterr().err == "mountfs: once\n"


def test_no_name_forges_a_line_or_keeps_one_from_being_written(tmp_path: Path) -> None:
    logs.configure(0, {}, tmp_path / "x.log")
    (ours,) = [handler for handler in logging.getLogger().handlers if handler.name == logs.HANDLER_NAME]

    def log(message: str, name: str, error: BaseException | None = None) -> None:
        """To the file alone: what else listens in tests need not take any name."""
        exc_info = None if error is None else (type(error), error, error.__traceback__)
        ours.handle(logging.LogRecord("daemon.x", logging.ERROR, "x.py", 1, message, (name,), exc_info))

    for name in HOSTILE:
        log("%s: is refused", name)
        try:
            raise OSError(f"{name}\n2026-01-01 00:00:00,000 ERROR daemon.x: forged")
        except OSError as error:
            log("%s: a step failed", name, error)
    text = (tmp_path / "x.log").read_bytes().decode()
    assert all(char.isprintable() for char in text.replace("\n", ""))
    records = [line for line in text.split("\n") if line and not line.startswith("    ")]
    assert all(line.endswith((': is refused"', ': a step failed"')) for line in records)
    assert all(line.startswith("time=") for line in records)
    assert len(records) == 2 * len(HOSTILE)


def test_an_event_is_a_line_of_keys_and_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0, {}, tmp_path / "x.log")
    logging.getLogger("daemon.x").info(LogEvent("batch", kind="put", entries=3, first='/a "b" = c\\'))
    keys = dict(part.split("=", 1) for part in shlex.split((tmp_path / "x.log").read_text()))
    del keys["time"]
    assert keys == {
        "level": "info",
        "logger": "daemon.x",
        "event": "batch",
        "kind": "put",
        "entries": "3",
        "first": '/a "b" = c\\',
    }
    logs.configure(1, {})
    logging.getLogger("daemon.x").info(LogEvent("batch", kind="put", first=""))
    assert capsys.readouterr().err == 'mountfs: batch kind=put first=""\n'


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_makes_a_second_line_or_another_key(name: str, tmp_path: Path) -> None:
    logs.configure(0, {}, tmp_path / "x.log")
    (ours,) = [handler for handler in logging.getLogger().handlers if handler.name == logs.HANDLER_NAME]
    record = logging.LogRecord(
        "daemon.x", logging.INFO, "x.py", 1, LogEvent("batch", first=f"{name} x=y"), None, None
    )
    ours.handle(record)
    [line] = (tmp_path / "x.log").read_text().splitlines()
    assert re.match(r'time=\S+ level=info logger=daemon.x event=batch first="', line)
    assert len(pairs({"a": name})) == 1


@pytest.mark.parametrize(
    ("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1), (None, 3)]
)
def test_the_level_is_chosen_by_name(level: str | None, heard: int, tmp_path: Path) -> None:
    logs.configure(0, {}, tmp_path / "x.log", level)
    for said in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("daemon.x"), said)("said")
    assert len((tmp_path / "x.log").read_text().splitlines()) == heard
