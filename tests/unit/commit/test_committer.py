"""The pipeline end to end on a memory account: what is sent, in what order, in how many calls."""

from __future__ import annotations

from mountfs.model.change import ChangeKind, ChangeState
from tests.fakes.pending import Pipeline

DAY = "2023-11-1"  # the 14th or 15th, by the machine's time zone


def test_a_closed_file_is_committed(pipeline: Pipeline) -> None:
    pipeline.write("/a.txt", b"hello")
    pipeline.settle()
    assert pipeline.account.files() == {"/a.txt": b"hello"}
    assert pipeline.journal.rows() == []
    assert pipeline.spool.names() == []


def test_a_tree_needs_no_calls_for_its_folders(batches: Pipeline) -> None:
    batches.mkdir("/d")
    batches.mkdir("/d/e")
    batches.write("/d/e/f", b"x")
    batches.settle()
    assert batches.account.files() == {"/d/e/f": b"x"}
    assert [order.kind for batch in batches.account.submits for order in batch] == [ChangeKind.PUT]


def test_an_empty_folder_is_made(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.settle()
    assert pipeline.account.folders() == {"/d"}


def test_a_thousand_small_files_cost_a_few_calls(batches: Pipeline) -> None:
    batches.account.job_polls = 3
    for index in range(1000):
        batches.write(f"/f{index}", b"x" * 64 + str(index).encode())
        batches.uploader.step(batches.clock.now_s())
        batches.committer.step(batches.clock.now_s())
        batches.clock.advance(0.01)
    batches.settle()
    calls = batches.memory.calls()
    assert len(batches.account.files()) == 1000
    assert sum(calls.values()) - calls["list_folder"] <= 40
    assert batches.account.overlapping_submits == 0


def test_five_thousand_changes_are_planned_with_one_look_each(batches: Pipeline) -> None:
    for index in range(5000):
        batches.mkdir(f"/d{index}")
    batches.settle()
    assert len(batches.account.folders()) == 5000
    assert len(batches.account.submits) == 5


def test_a_removed_tree_is_deleted_level_by_level(batches: Pipeline) -> None:
    for index in range(20):
        batches.account.write(f"/d/e/f{index}", b"x")
    for index in range(20):
        batches.unlink(f"/d/e/f{index}")
    batches.rmdir("/d/e")
    batches.rmdir("/d")
    batches.settle()
    assert batches.account.folders() == set()
    assert [len(batch) for batch in batches.account.submits] == [20, 1, 1]


def test_a_folder_somebody_put_something_into_is_not_deleted(pipeline: Pipeline) -> None:
    pipeline.account.mkdir("/d")
    pipeline.rmdir("/d")
    pipeline.account.write("/d/theirs", b"x")
    pipeline.settle()
    assert pipeline.account.files() == {"/d/theirs": b"x"}
    assert "not removed" in pipeline.notices()[0]


def test_a_file_deleted_and_moved_over_keeps_one_version_at_any_moment(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"new")
    pipeline.account.write("/b", b"old")
    pipeline.rename("/a", "/b")
    pipeline.settle()
    assert pipeline.account.files() == {"/b": b"new"}
    assert [batch[0].kind for batch in pipeline.account.submits] == [ChangeKind.DELETE, ChangeKind.MOVE]


def test_a_temporary_name_never_reaches_the_service(pipeline: Pipeline) -> None:
    pipeline.write("/.name.aB3xYz", b"x")
    pipeline.urgency.hurry()
    for _ in range(20):
        pipeline.uploader.step(pipeline.clock.now_s())
        pipeline.committer.step(pipeline.clock.now_s())
        pipeline.clock.advance(0.05)
    pipeline.rename("/.name.aB3xYz", "/name")
    pipeline.settle()
    assert [order.path.text for batch in pipeline.account.submits for order in batch] == ["/name"]


def test_a_local_only_file_stays_here(pipeline: Pipeline) -> None:
    pipeline.write("/.f.swp", b"x")
    pipeline.settle()
    assert pipeline.memory.calls().keys() <= {"list_folder"}
    assert pipeline.states() == [(ChangeKind.PUT, "/.f.swp", ChangeState.SEALED)]


def test_somebody_waiting_is_not_kept_waiting(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    with pipeline.urgency.pressed():
        start_s = pipeline.clock.now_s()
        pipeline.settle()
    assert pipeline.clock.now_s() - start_s < 0.1
