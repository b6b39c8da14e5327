"""A commit that the service puts off, of a file that was renamed while it was under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mountfs.errors import Busy, NotFound
from mountfs.model.path import RemotePath
from mountfs.ports import Done, Launch, Order
from tests.fakes.pending import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    yield made
    made.close()


def put_off(pipeline: Pipeline, meanwhile: Callable[[], None]) -> None:
    """The next batch is answered with Busy, after *meanwhile*."""
    submit = pipeline.backend.submit

    def busy(orders: Sequence[Order]) -> Launch:
        pipeline.backend.submit = submit  # type: ignore[method-assign]
        meanwhile()
        return Done((Busy("locked"),) * len(orders))

    pipeline.backend.submit = busy  # type: ignore[method-assign]
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
    put_off(pipeline, lambda: pipeline.rename("/a", "/c"))
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
