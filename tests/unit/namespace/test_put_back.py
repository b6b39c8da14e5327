"""A commit that the service puts off, or refuses, of a file that was renamed while it was under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Busy, Forbidden, MountfsError, NotFound
from mountfs.model.path import RemotePath
from mountfs.ports import Done, Launch, Order
from tests.fakes.pending import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    yield made
    made.close()


def answer(pipeline: Pipeline, error: MountfsError, meanwhile: Callable[[], None]) -> None:
    """The next batch is answered with *error*, after *meanwhile*."""
    submit = pipeline.backend.submit

    def answering(orders: Sequence[Order]) -> Launch:
        pipeline.backend.submit = submit  # type: ignore[method-assign]
        meanwhile()
        return Done((error,) * len(orders))

    pipeline.backend.submit = answering  # type: ignore[method-assign]
    pipeline.commit_steps(2)
    assert pipeline.backend.submit == submit


CALLS: list[tuple[str, Callable[[Pipeline], object], dict[str, bytes]]] = [
    ("nothing", lambda _: None, {"/c": b"x"}),
    ("removed", lambda pipeline: pipeline.unlink("/c"), {}),
    ("renamed", lambda pipeline: pipeline.rename("/c", "/e"), {"/e": b"x"}),
    ("renamed back", lambda pipeline: pipeline.rename("/c", "/a"), {"/a": b"x"}),
    ("written over", lambda pipeline: pipeline.write("/c", b"new"), {"/c": b"new"}),
    ("replaced", lambda pipeline: (pipeline.write("/n", b"n"), pipeline.rename("/n", "/c")), {"/c": b"n"}),
    ("moved over", lambda pipeline: pipeline.rename("/d", "/c"), {"/c": b"d"}),
    (
        "back and removed",
        lambda pipeline: (pipeline.rename("/c", "/a"), pipeline.unlink("/a")),
        {},
    ),
    (
        "back and written over",
        lambda pipeline: (pipeline.rename("/c", "/a"), pipeline.write("/a", b"new")),
        {"/a": b"new"},
    ),
    (
        "made local",
        lambda pipeline: (pipeline.write("/c", b"new"), pipeline.rename("/c", "/~$c")),
        {},
    ),
]


@pytest.mark.parametrize(("call", "files"), [case[1:] for case in CALLS], ids=[case[0] for case in CALLS])
def test_what_is_done_to_it_then_is_done(
    pipeline: Pipeline, call: Callable[[Pipeline], object], files: dict[str, bytes]
) -> None:
    pipeline.account.write("/d", b"d")
    if not any(body == b"d" for body in files.values()):
        files = files | {"/d": b"d"}
    pipeline.write("/a", b"x")
    answer(pipeline, Busy("locked"), lambda: pipeline.rename("/a", "/c"))
    call(pipeline)
    for path in ("/a", "/c", "/e"):
        if path in files:
            assert pipeline.view.stat(RemotePath(path)).size_bytes == len(files[path])
        else:
            with pytest.raises(NotFound):
                pipeline.view.stat(RemotePath(path))
    pipeline.settle()
    assert pipeline.account.files() == files
    assert pipeline.notices() == []
    assert [path for _, path, _ in pipeline.states() if path != "/~$c"] == []


@pytest.mark.parametrize("names", [["/c"], ["/c", "/e"], ["/A"], ["/c", "/a"]])
def test_a_new_file_that_is_refused_is_sent_under_the_name_it_got_meanwhile(
    pipeline: Pipeline, names: list[str]
) -> None:
    def rename() -> None:
        for source, target in zip(["/a", *names], names, strict=False):
            pipeline.rename(source, target)

    pipeline.write("/a", b"x")
    answer(pipeline, Forbidden("no"), rename)
    assert pipeline.view.stat(RemotePath(names[-1])).size_bytes == 1
    pipeline.settle()
    assert pipeline.account.files() == {names[-1]: b"x"}
    assert pipeline.states() == []


def test_what_was_written_over_a_new_file_that_is_refused_stands_for_it(pipeline: Pipeline) -> None:
    def replace() -> None:
        pipeline.rename("/a", "/c")
        pipeline.write("/c", b"newer")
        pipeline.write("/a", b"another")

    pipeline.write("/a", b"x")
    answer(pipeline, Forbidden("no"), replace)
    pipeline.settle()
    assert pipeline.account.files() == {"/c": b"newer", "/a": b"another"}
    assert pipeline.states() == []


def write_newer_and_rename(pipeline: Pipeline) -> None:
    pipeline.write("/d", b"newer")
    pipeline.rename("/d", "/g")


def rename_and_write_both(pipeline: Pipeline) -> None:
    pipeline.rename("/d", "/g")
    pipeline.write("/d", b"newer")


def rename_and_remove(pipeline: Pipeline) -> None:
    pipeline.rename("/d", "/g")
    pipeline.unlink("/g")


@pytest.mark.parametrize(
    ("meanwhile", "files", "failed"),
    [
        (write_newer_and_rename, {"/g": b"newer"}, []),
        (rename_and_write_both, {"/d": b"newer", "/g": b"old"}, ["/g"]),
        (rename_and_remove, {}, []),
    ],
)
def test_a_version_that_is_refused_comes_back_over_nothing_that_was_done_since(
    pipeline: Pipeline,
    meanwhile: Callable[[Pipeline], None],
    files: dict[str, bytes],
    failed: list[str],
) -> None:
    pipeline.account.write("/d", b"old")
    pipeline.write("/d", b"refused")
    answer(pipeline, Forbidden("no"), lambda: meanwhile(pipeline))
    pipeline.settle()
    assert pipeline.account.files() == files
    assert [path for _, path, _ in pipeline.states()] == failed
    for path in files.keys() - set(failed):
        assert pipeline.view.stat(RemotePath(path)).size_bytes == len(files[path])
