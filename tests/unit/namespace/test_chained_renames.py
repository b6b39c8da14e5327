"""Renames of what was renamed already, before any of it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.model.path import RemotePath
from tests.fakes.pending import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    yield made
    made.close()


def names_in(pipeline: Pipeline, folder: str) -> list[str]:
    return [node.path.text for node in pipeline.view.children(RemotePath(folder))]


def test_a_file_keeps_its_new_name_when_its_folder_is_renamed(pipeline: Pipeline) -> None:
    pipeline.account.write("/old", b"x")
    pipeline.account.mkdir("/d")
    pipeline.rename("/old", "/d/New")
    pipeline.rename("/d", "/e")
    assert names_in(pipeline, "/e") == ["/e/New"]
    pipeline.settle()
    assert pipeline.account.files() == {"/e/New": b"x"}


def test_a_new_folder_may_take_the_name_of_what_was_moved_into_it(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"x")
    pipeline.mkdir("/b")
    pipeline.rename("/a", "/b/a")
    pipeline.rename("/b", "/a")
    assert names_in(pipeline, "") == ["/a"]
    assert names_in(pipeline, "/a") == ["/a/a"]
    pipeline.settle()
    assert pipeline.account.files() == {"/a/a": b"x"}


def test_a_file_that_was_moved_twice_can_be_removed(pipeline: Pipeline) -> None:
    """Each move of it, or of its folder, may give it another revision."""
    pipeline.account.write("/a", b"x")
    pipeline.account.mkdir("/b")
    pipeline.rename("/a", "/b/a")
    pipeline.rename("/b", "/c")
    pipeline.unlink("/c/a")
    pipeline.settle()
    assert pipeline.account.files() == {}
    assert pipeline.account.folders() == {"/c"}
    assert pipeline.notices() == []


def test_a_rename_that_was_not_sent_shows_nothing_of_what_stands_at_its_target_still(
    pipeline: Pipeline,
) -> None:
    for path in ("/a", "/b", "/a/old"):
        pipeline.account.mkdir(path)
    assert names_in(pipeline, "/a") == ["/a/old"]
    pipeline.rename("/a", "/b/b")
    pipeline.rename("/b", "/a")
    pipeline.mkdir("/a/old")
    pipeline.settle()
    assert pipeline.account.folders() == {"/a", "/a/b", "/a/b/old", "/a/old"}


@pytest.mark.parametrize("target", ["/c", "/B"])
def test_a_new_folder_takes_nothing_along_that_went_away_with_the_one_before_it(
    pipeline: Pipeline, target: str
) -> None:
    pipeline.account.mkdir("/b")
    pipeline.write("/b/x", b"x")
    pipeline.rename("/b", "/a")
    pipeline.mkdir("/b")
    pipeline.rename("/b", target)
    assert names_in(pipeline, "/a") == ["/a/x"]
    assert names_in(pipeline, target) == []
    pipeline.settle()
    assert pipeline.account.files() == {"/a/x": b"x"}
    assert pipeline.account.folders() == {"/a", target}
