"""A rename that took effect at the service, before its reply is here: nobody misses what it moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Forbidden, NotFound, Transient
from mountfs.model.change import ChangeKind, ChangeState
from mountfs.model.entry import NS_PER_S
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Done, Launch, Order
from tests.fakes.pending import Pipeline

TOUCHED_NS, TOUCHED_AGAIN_NS = 1_500_000_000 * NS_PER_S, 1_500_000_001 * NS_PER_S


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    made.account.write("/f", b"x")
    made.account.mkdir("/d")
    yield made
    made.close()


def send_rename(pipeline: Pipeline, source: str, target: str) -> None:
    """It takes effect; the reply is due in an hour. Everything was listed before."""
    pipeline.account.job_polls, pipeline.account.poll_after_s = 1, 3600.0
    pipeline.rename(source, target)
    shown(pipeline)
    pipeline.commit_steps(2)
    assert pipeline.states() == [(ChangeKind.MOVE, target, ChangeState.COMMITTING)]


def shown(pipeline: Pipeline, folder: RemotePath = ROOT) -> set[str]:
    found: set[str] = set()
    for node in pipeline.view.children(folder):
        found |= {node.path.text} | (shown(pipeline, node.path) if node.is_folder else set())
    return found


def list_anew(pipeline: Pipeline, folder: str) -> None:
    """Forgets the listing of *folder* alone."""
    pipeline.snapshot.invalidate(RemotePath(folder).child("no such name"))


@pytest.mark.parametrize("anew", [[""], ["/d"], ["", "/d"], ["/d", ""]])
def test_it_is_shown_whichever_folder_is_listed_anew(pipeline: Pipeline, anew: list[str]) -> None:
    send_rename(pipeline, "/f", "/d/f")
    for folder in anew:
        list_anew(pipeline, folder)
        assert shown(pipeline) == {"/d", "/d/f"}


def test_a_folder_and_what_is_in_it_are_shown_though_the_new_name_was_looked_at_before(
    pipeline: Pipeline,
) -> None:
    pipeline.account.write("/d/e", b"e")
    for path in ("/new/e", "/d/e"):
        try:
            pipeline.view.stat(RemotePath(path))
        except NotFound:
            assert path == "/new/e"
    send_rename(pipeline, "/d", "/new")
    for folder in ("/d", ""):
        list_anew(pipeline, folder)
        assert shown(pipeline) == {"/f", "/new", "/new/e"}


def test_what_somebody_else_removed_meanwhile_costs_one_more_listing(pipeline: Pipeline) -> None:
    send_rename(pipeline, "/f", "/d/f")
    pipeline.account.remove("/d/f")
    list_anew(pipeline, "")
    before = pipeline.memory.calls()["list_folder"]
    assert [shown(pipeline) for _ in range(3)] == [{"/d"}] * 3
    assert pipeline.memory.calls()["list_folder"] == before + 2


def test_it_is_no_missing_file_while_nobody_can_tell_whether_it_arrived(pipeline: Pipeline) -> None:
    send_rename(pipeline, "/f", "/d/f")
    list_anew(pipeline, "")
    assert pipeline.view.stat(RemotePath("/d")).is_folder
    pipeline.memory.is_online = False
    with pytest.raises(Transient):
        pipeline.view.stat(RemotePath("/d/f"))
    with pytest.raises(NotFound):
        pipeline.view.stat(RemotePath("/d/other"))
    pipeline.memory.is_online = True
    assert shown(pipeline) == {"/d", "/d/f"}


@pytest.mark.parametrize("anew", [[], ["", "/d"]])
def test_it_keeps_the_time_that_was_set_before_and_meanwhile(pipeline: Pipeline, anew: list[str]) -> None:
    pipeline.touch("/f", TOUCHED_NS)
    send_rename(pipeline, "/f", "/d/f")
    for folder in anew:
        list_anew(pipeline, folder)
    file = RemotePath("/d/f")
    assert pipeline.view.stat(file).mtime_ns == TOUCHED_NS
    pipeline.touch("/d/f", TOUCHED_AGAIN_NS)
    assert pipeline.view.stat(file).mtime_ns == TOUCHED_AGAIN_NS
    pipeline.settle(most_s=4000.0)
    assert pipeline.view.stat(file).mtime_ns == TOUCHED_AGAIN_NS


@pytest.mark.parametrize("names", [["/g"], ["/f", "/d/f", "/g"]])
def test_it_keeps_its_time_when_it_is_renamed_again_meanwhile(pipeline: Pipeline, names: list[str]) -> None:
    """Each of the moves gives it another revision."""
    pipeline.touch("/f", TOUCHED_NS)
    send_rename(pipeline, "/f", "/d/f")
    for source, target in zip(["/d/f", *names], names, strict=False):
        pipeline.rename(source, target)
    assert pipeline.view.stat(RemotePath("/g")).mtime_ns == TOUCHED_NS
    pipeline.settle(most_s=4000.0 * len(names))
    assert pipeline.account.files() == {"/g": b"x"}
    assert pipeline.view.stat(RemotePath("/g")).mtime_ns == TOUCHED_NS


def test_what_is_written_over_it_replaces_the_revision_it_then_has(pipeline: Pipeline) -> None:
    send_rename(pipeline, "/f", "/d/f")
    pipeline.write("/d/f", b"new")
    pipeline.rename("/d/f", "/g")
    pipeline.settle(most_s=8000.0)
    assert pipeline.account.files() == {"/g": b"new"}
    assert [len(batch) for batch in pipeline.account.submits] == [1, 1, 1]


@pytest.mark.parametrize("names", [["/g"], ["/g", "/d/f", "/g"]])
def test_a_file_renamed_while_it_is_committed_keeps_its_time(pipeline: Pipeline, names: list[str]) -> None:
    """The service keeps the old time with identical bytes."""
    pipeline.account.job_polls, pipeline.account.poll_after_s = 1, 3600.0
    pipeline.touch("/f", TOUCHED_NS)
    change = pipeline.write("/f", b"x")
    pipeline.commit_steps(1)
    assert pipeline.states() == [(ChangeKind.PUT, "/f", ChangeState.COMMITTING)]
    for source, target in zip(["/f", *names], names, strict=False):
        pipeline.rename(source, target)
    pipeline.settle(most_s=4000.0 * (len(names) + 1))
    written_ns = change.mtime_ns - change.mtime_ns % NS_PER_S
    assert pipeline.file("/g").mtime_ns != written_ns
    assert pipeline.view.stat(RemotePath("/g")).mtime_ns == written_ns


def test_what_is_written_over_a_file_renamed_while_it_is_committed_is_no_conflict(pipeline: Pipeline) -> None:
    pipeline.account.job_polls, pipeline.account.poll_after_s = 1, 3600.0
    pipeline.write("/f", b"new")
    pipeline.commit_steps(1)
    assert pipeline.states() == [(ChangeKind.PUT, "/f", ChangeState.COMMITTING)]
    pipeline.write("/f", b"newer")
    pipeline.rename("/f", "/g")
    pipeline.settle(most_s=12000.0)
    assert pipeline.account.files() == {"/g": b"newer"}
    assert len(pipeline.account.submits) == 3


@pytest.mark.parametrize("name", ["/F", "/g"])
def test_what_is_refused_while_it_is_renamed_is_kept(pipeline: Pipeline, name: str) -> None:
    pipeline.write("/f", b"new")
    submit = pipeline.backend.submit

    def refuse(orders: Sequence[Order]) -> Launch:
        pipeline.backend.submit = submit  # type: ignore[method-assign]
        pipeline.rename("/f", name)
        return Done((Forbidden("no"),) * len(orders))

    pipeline.backend.submit = refuse  # type: ignore[method-assign]
    pipeline.settle()
    assert pipeline.states() == [(ChangeKind.PUT, name, ChangeState.FAILED)]
    assert pipeline.account.files() == {name: b"x"}


@pytest.mark.parametrize("is_removed", [True, False])
def test_it_keeps_its_time_though_a_new_folder_has_its_old_name(pipeline: Pipeline, is_removed: bool) -> None:
    pipeline.touch("/f", TOUCHED_NS)
    pipeline.rename("/f", "/g")
    pipeline.mkdir("/f")
    pipeline.touch("/f", TOUCHED_AGAIN_NS)
    if is_removed:
        pipeline.rmdir("/f")
        pipeline.mkdir("/f")
    assert (pipeline.view.stat(RemotePath("/f")).mtime_ns == TOUCHED_AGAIN_NS) is not is_removed
    assert pipeline.view.stat(RemotePath("/g")).mtime_ns == TOUCHED_NS
    pipeline.settle()
    assert (pipeline.view.stat(RemotePath("/f")).mtime_ns == TOUCHED_AGAIN_NS) is not is_removed
    assert pipeline.view.stat(RemotePath("/g")).mtime_ns == TOUCHED_NS


def test_a_new_folder_keeps_its_time_though_the_file_that_had_its_name_is_removed_later(
    pipeline: Pipeline,
) -> None:
    pipeline.unlink("/f")
    pipeline.mkdir("/f")
    pipeline.touch("/f", TOUCHED_NS)
    pipeline.settle()
    assert pipeline.view.stat(RemotePath("/f")).mtime_ns == TOUCHED_NS
