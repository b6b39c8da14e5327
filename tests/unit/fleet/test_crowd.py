"""Two hundred machines that share an account, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doubles.crowd import Copier, Crowd

MANY = 200


@contextmanager
def crowd(folder: Path, works: list[Copier], until_s: float | None = None) -> Iterator[Crowd]:
    made = Crowd(folder, works)
    if until_s is None:
        made.run()
    else:
        made.run(until_s)
    yield made
    made.close()


def test_two_hundred_machines_that_want_to_commit_at_once_need_a_job_each(tmp_path: Path) -> None:
    with crowd(tmp_path, [Copier(files=50)] * MANY) as world:
        assert len(world.jobs) == MANY
        assert world.most_at_once == 1
        busy_s = sum(job.ended_s - job.began_s for job in world.jobs)
        assert world.now_s <= 1.15 * busy_s
        asked = sum(world.server.asked.values())
        assert asked / world.now_s <= MANY  # once a second each, at most


def test_machines_that_go_on_and_on_get_their_turns_one_after_the_other(tmp_path: Path) -> None:
    with crowd(tmp_path, [Copier(files=10**6, per_s=1.0)] * 20, until_s=300.0) as world:
        turns = [len(world.jobs_of(number)) for number in range(20)]
        assert max(turns) - min(turns) <= 1
        waits_s = world.waits_s()
        assert max(waits_s) <= 2.0 * min(waits_s)
        assert world.most_at_once == 1


def test_one_that_has_much_to_commit_keeps_no_other_waiting_for_more_than_its_batch(tmp_path: Path) -> None:
    with crowd(tmp_path, [Copier(files=20_000), *[Copier(files=1, begins_s=10.0)] * 5]) as world:
        longest_job_s = max(job.ended_s - job.began_s for job in world.jobs)
        assert max(world.waits_s()[1:]) <= longest_job_s + 5 * 0.6


@pytest.mark.parametrize(("rate", "more_jobs"), [(math.inf, 1.0), (100.0, 1.25)])
def test_ten_machines_need_no_more_jobs_than_one_with_the_same_files(
    tmp_path: Path, rate: float, more_jobs: float
) -> None:
    """Where they want more than the service takes. Where not, jobs that are not full cost nobody."""
    (tmp_path / "one").mkdir()
    with (
        crowd(tmp_path, [Copier(files=3_000, per_s=rate)] * 10) as ten,
        crowd(tmp_path / "one", [Copier(files=30_000, per_s=10 * rate)]) as one,
    ):
        assert sum(job.entries for job in ten.jobs) == sum(job.entries for job in one.jobs) == 30_000
        assert len(ten.jobs) <= more_jobs * len(one.jobs)
        assert ten.now_s <= 1.1 * one.now_s


def test_machines_that_have_nothing_to_commit_ask_nothing(tmp_path: Path) -> None:
    with crowd(tmp_path, [Copier(files=0)] * MANY, until_s=3600.0) as world:
        assert world.server.asked == {}
