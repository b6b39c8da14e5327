"""Files that were renamed while they were on their way, and then came back to be sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.errors import BatchRefused, Busy, Forbidden, MountfsError
from mountfs.model.change import ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.pending import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    yield made
    made.close()


def send(pipeline: Pipeline, path: str, body: bytes, answer: MountfsError) -> None:
    """*path* is on its way, and will be answered with *answer* once the job it is in is over."""
    pipeline.backend.refuse(path, answer)
    pipeline.write(path, body)
    pipeline.write("/company", b"c")
    pipeline.account.job_polls = 1
    while not pipeline.committer.current:
        pipeline.commit_steps(1)
    assert (ChangeKind.PUT, path, ChangeState.COMMITTING) in pipeline.states()


def come_back(pipeline: Pipeline) -> None:
    """The answer arrives; nothing is sent again yet."""
    while pipeline.committer.current:
        pipeline.commit_steps(1)
    pipeline.account.job_polls = 0


def files_after(pipeline: Pipeline) -> dict[str, bytes]:
    """What the service has once all is over, without what went in company."""
    pipeline.settle()
    assert pipeline.states() == []
    files = pipeline.account.files()
    assert files.pop("/company") == b"c"
    return files


NEXT: dict[str, tuple[Callable[[Pipeline, str], object], dict[str, bytes]]] = {
    "nothing": (lambda pipeline, at: None, {"": b"1"}),
    "renamed again": (lambda pipeline, at: pipeline.rename(at, "/h"), {"/h": b"1"}),
    "renamed back": (lambda pipeline, at: pipeline.rename(at, "/f"), {"/f": b"1"}),
    "removed": (lambda pipeline, at: pipeline.unlink(at), {}),
    "written over": (lambda pipeline, at: pipeline.write(at, b"2"), {"": b"2"}),
    "moved over": (
        lambda pipeline, at: (pipeline.write("/n", b"2"), pipeline.rename("/n", at)),
        {"": b"2"},
    ),
}


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known"])
@pytest.mark.parametrize("target", ["/g", "/F"])
@pytest.mark.parametrize("following", NEXT)
def test_what_came_back_has_its_new_name(
    pipeline: Pipeline, following: str, target: str, is_new: bool
) -> None:
    if not is_new:
        pipeline.account.write("/f", b"0")
    send(pipeline, "/f", b"1", Busy("locked"))
    pipeline.rename("/f", target)
    come_back(pipeline)
    act, expected = NEXT[following]
    act(pipeline, target)
    assert files_after(pipeline) == {path or target: body for path, body in expected.items()}


def test_a_new_file_that_came_back_is_sent_under_its_new_name_only(pipeline: Pipeline) -> None:
    send(pipeline, "/f", b"1", Busy("locked"))
    pipeline.rename("/f", "/g")
    pipeline.mkdir("/d")
    pipeline.rename("/g", "/d/h")
    come_back(pipeline)
    assert (ChangeKind.PUT, "/d/h", ChangeState.UPLOADED) in pipeline.states()
    assert files_after(pipeline) == {"/d/h": b"1"}
    assert pipeline.revisions_of("/f") == pipeline.revisions_of("/g") == 0


def test_what_came_back_replaces_what_it_was_renamed_over(pipeline: Pipeline) -> None:
    old = pipeline.account.write("/g", b"old")
    send(pipeline, "/f", b"1", Busy("locked"))
    pipeline.rename("/f", "/g")
    come_back(pipeline)
    assert [kind for kind, _, _ in pipeline.states()] == [ChangeKind.PUT]
    assert files_after(pipeline) == {"/g": b"1"}
    assert pipeline.file("/g").id == old.id


@pytest.mark.parametrize("act", [Pipeline.unlink, lambda pipeline, path: pipeline.rename(path, "/e/h")])
def test_what_came_back_in_a_renamed_folder_has_its_new_name(
    pipeline: Pipeline, act: Callable[[Pipeline, str], None]
) -> None:
    pipeline.account.mkdir("/d")
    send(pipeline, "/d/f", b"1", Busy("locked"))
    pipeline.rename("/d", "/e")
    pipeline.rename("/e/f", "/e/g")
    come_back(pipeline)
    act(pipeline, "/e/g")
    assert set(files_after(pipeline)) == (set() if act is Pipeline.unlink else {"/e/h"})


def test_another_file_that_took_the_old_name_keeps_its_own_renames(pipeline: Pipeline) -> None:
    pipeline.account.write("/x", b"x")
    send(pipeline, "/f", b"1", Busy("locked"))
    pipeline.unlink("/f")
    pipeline.rename("/x", "/f")
    pipeline.rename("/f", "/g")
    come_back(pipeline)
    assert files_after(pipeline) == {"/g": b"x"}


def test_a_new_file_that_was_refused_under_its_old_name_is_sent_under_the_new_one(pipeline: Pipeline) -> None:
    send(pipeline, "/f", b"1", Forbidden("no"))
    pipeline.rename("/f", "/g")
    come_back(pipeline)
    assert pipeline.view.stat(RemotePath("/g")).size_bytes == 1
    assert files_after(pipeline) == {"/g": b"1"}


def test_what_had_to_step_beside_is_sent_under_the_name_it_was_given_since(pipeline: Pipeline) -> None:
    pipeline.account.write("/f", b"0")
    pipeline.write("/f", b"ours")
    pipeline.upload_all()
    pipeline.account.write("/f", b"theirs")
    pipeline.account.job_polls = 1
    while not pipeline.committer.current:
        pipeline.commit_steps(1)
    pipeline.rename("/f", "/g")
    come_back(pipeline)
    pipeline.rename("/g", "/h")
    pipeline.settle()
    assert pipeline.account.files() == {"/f": b"theirs", "/h": b"ours"}
    assert pipeline.states() == []


def test_a_batch_that_was_refused_as_a_whole_leaves_no_rename_behind(pipeline: Pipeline) -> None:
    """It is split; what was in it is ours again."""
    pipeline.write("/f", b"1")
    pipeline.write("/company", b"c")
    pipeline.upload_all()
    pipeline.clock.advance(1.0)
    renames = iter(["/g"])
    submit = pipeline.memory.submit

    def refuse(orders: object) -> object:
        pipeline.memory.submit = submit  # type: ignore[method-assign]
        for target in renames:
            pipeline.rename("/f", target)
        raise BatchRefused("too many")

    pipeline.memory.submit = refuse  # type: ignore[method-assign, assignment]
    pipeline.commit_steps(1)
    pipeline.rename("/g", "/h")
    assert files_after(pipeline) == {"/h": b"1"}
