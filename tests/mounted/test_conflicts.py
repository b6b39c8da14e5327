"""``mountfs conflicts --keep`` on a real mount: what is left here, and at the service."""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.mounted.corner import Corner, is_text
from tests.mounted.realmount import mountfs
from tests.waiting import until

KEPT = {
    "mine": {"report.txt": "ours"},
    "theirs": {"report.txt": "theirs"},
    "both": {"report.txt": "theirs", "report (mine).txt": "ours"},
}


@pytest.mark.only_on(
    "dropbox", "box", because="the command asks a mount that was started by the command line"
)
def test_each_decision_is_what_others_see_too(corner: Corner) -> None:
    for keep in KEPT:
        (corner.path / keep).mkdir()
        corner.committed(f"{keep}/report.txt", "first")
    corner.far_side.pause()
    for keep in KEPT:
        (corner.path / keep / "report.txt").write_text("ours")
        corner.far_side.write(corner.remote(f"{keep}/report.txt"), "theirs")
    corner.far_side.resume()
    corner.settle()
    for keep, left in KEPT.items():
        folder = corner.path / keep
        until(partial(is_text, folder / "report.txt", "theirs"), "theirs is shown under the name")
        listed = mountfs("conflicts", folder)
        assert (listed.returncode, listed.stdout.count("report (conflicted copy")) == (1, 1), listed
        done = mountfs("conflicts", "--keep", keep, folder / "report.txt")
        assert done.returncode == 0, done.stderr
        assert {name: (folder / name).read_text() for name in os.listdir(folder)} == left
        assert mountfs("conflicts", folder).returncode == 0
    corner.settle()
    there = {name: entry["content_hash"] for name, entry in corner.there().items() if entry["kind"] == "file"}
    assert there == {
        f"{keep}/{name}": corner.hash_of(text.encode())
        for keep, left in KEPT.items()
        for name, text in left.items()
    }
    history = corner.far_side.versions(corner.remote("mine/report.txt"))
    assert [each["size"] for each in history] == [5, 6, 4], "theirs is not in the history of what replaced it"
