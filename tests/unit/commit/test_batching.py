from __future__ import annotations

import math
from dataclasses import replace

import pytest

from daemon.commit.batching import (
    COMPANY_S,
    FOLDER_ALONE_S,
    HURRIED_COMPANY_S,
    Batch,
    Moment,
    Survey,
    choose,
    choose_several,
    first_seen,
    survey,
)
from mountfs.backends.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.entry import NS_PER_S
from mountfs.model.path import RemotePath
from mountfs.model.settling import TEMPORARY_SETTLE_S
from mountfs.ports import BackendLimits

NOW = Moment(now_s=100.0, wall_ns=1000 * NS_PER_S, settle_s=0.25)
EXPLICIT = replace(MEMORY_LIMITS, parents_implicit=False)
S = ChangeState


def change(
    seq: int,
    kind: str,
    path: str,
    source: str | None = None,
    *,
    state: ChangeState = S.UPLOADED,
    age_s: float = 60.0,
    size_bytes: int = 10,
) -> Change:
    return Change(
        id=seq,
        seq=seq,
        kind=ChangeKind(kind),
        state=state,
        path=RemotePath(path),
        source=None if source is None else RemotePath(source),
        size_bytes=size_bytes,
        touched_ns=NOW.wall_ns - round(age_s * NS_PER_S),
    )


def ready(*changes: Change, limits=MEMORY_LIMITS, moment: Moment = NOW) -> set[int]:  # type: ignore[no-untyped-def]
    found = survey(changes, limits, moment, {})
    return {row.id for rows in found.ready.values() for row in rows}


BLOCKED = [
    # what is earlier and pending, what has to wait for it
    (("put", "/a"), ("put", "/a")),
    (("put", "/a"), ("delete", "/A")),
    (("put", "/d/f"), ("delete", "/d")),
    (("put", "/d/f"), ("move", "/e", "/d")),
    (("delete", "/a"), ("put", "/a")),
    (("delete", "/d"), ("put", "/d/f")),
    (("delete", "/d"), ("mkdir", "/d")),
    (("delete", "/d/f"), ("delete", "/d")),
    (("delete", "/b"), ("move", "/b", "/a")),
    (("move", "/b", "/a"), ("put", "/a")),
    (("move", "/b", "/a"), ("put", "/b")),
    (("move", "/e", "/d"), ("put", "/d/f")),
    (("move", "/e", "/d"), ("put", "/e/f")),
    (("mkdir", "/d"), ("move", "/d/f", "/f")),
    (("mkdir", "/d"), ("delete", "/d")),
    (("mkdir", "/d/e"), ("move", "/x", "/d")),
]
FREE = [
    (("put", "/d/a"), ("put", "/d/b")),
    (("put", "/da"), ("delete", "/d")),
    (("mkdir", "/d"), ("put", "/d/f")),
    (("mkdir", "/d"), ("delete", "/d/f")),
    (("mkdir", "/d"), ("move", "/f", "/d/f")),
    (("mkdir", "/d"), ("mkdir", "/d/e")),
    (("delete", "/d/f"), ("mkdir", "/d")),
]


@pytest.mark.parametrize("state", [S.OPEN, S.SEALED, S.UPLOADED, S.COMMITTING, S.CONFLICTED])
@pytest.mark.parametrize(("earlier", "later"), BLOCKED)
def test_a_change_waits_for_earlier_ones_whose_paths_overlap(
    earlier: tuple[str, ...], later: tuple[str, ...], state: ChangeState
) -> None:
    assert 2 not in ready(change(1, *earlier, state=state), change(2, *later))


@pytest.mark.parametrize(("earlier", "later"), FREE)
def test_what_does_not_depend_on_another_goes_with_it(
    earlier: tuple[str, ...], later: tuple[str, ...]
) -> None:
    assert 2 in ready(change(1, *earlier), change(2, *later))


@pytest.mark.parametrize(("earlier", "later"), BLOCKED)
def test_what_failed_blocks_nothing(earlier: tuple[str, ...], later: tuple[str, ...]) -> None:
    assert 2 in ready(change(1, *earlier, state=S.FAILED), change(2, *later))


def test_what_never_leaves_the_machine_blocks_nothing() -> None:
    assert ready(change(1, "put", "/d/.f.swp"), change(2, "delete", "/d")) == {2}


def test_where_folders_are_explicit_files_wait_for_them() -> None:
    changes = [change(1, "mkdir", "/d"), change(2, "mkdir", "/d/e"), change(3, "put", "/d/e/f")]
    assert ready(*changes, limits=EXPLICIT) == {1}
    assert ready(*changes[1:], limits=EXPLICIT) == {2}


def test_what_is_under_way_blocks_also_what_was_made_before_it() -> None:
    revived, sent = change(1, "put", "/a"), change(2, "put", "/a", state=S.COMMITTING)
    assert ready(revived, sent) == set()
    assert ready(change(1, "move", "/d", "/e"), change(2, "put", "/d/f", state=S.COMMITTING)) == set()


def test_a_new_folder_takes_those_above_it_along() -> None:
    """The service makes them by the way; a folder still to come would hide what is in it already."""
    changes = [
        change(1, "mkdir", "/d", age_s=1),
        change(2, "mkdir", "/d/e", age_s=1),
        change(3, "put", "/d/f", state=S.OPEN),
        change(4, "mkdir", "/x", age_s=0),
    ]
    assert ready(*changes) == {1, 2}


def test_a_time_waits_for_its_file_and_holds_up_what_would_take_it_away() -> None:
    assert ready(change(1, "move", "/a", "/b"), change(2, "set-time", "/a")) == {1}
    assert ready(change(1, "put", "/a"), change(2, "set-time", "/a")) == {1}
    for later in (("put", "/a"), ("delete", "/a"), ("move", "/b", "/a"), ("move", "/e", "/d")):
        path = "/d/f" if later[-1] == "/d" else "/a"
        assert ready(change(1, "set-time", path), change(2, *later)) == {1}
    assert ready(change(1, "mkdir", "/d"), change(2, "set-time", "/d/f"), limits=EXPLICIT) == {1, 2}


def test_a_name_settles_first() -> None:
    assert ready(change(1, "put", "/a", age_s=0.2)) == set()
    assert ready(change(1, "put", "/a", age_s=0.3)) == {1}


def test_somebody_waiting_skips_the_settling_but_not_of_temporary_names() -> None:
    hurried = replace(NOW, is_hurried=True)
    assert ready(change(1, "put", "/a", age_s=0.0), moment=hurried) == {1}
    young = change(1, "put", "/.a.Xy12Zz", age_s=TEMPORARY_SETTLE_S - 0.1)
    assert ready(young, moment=hurried) == set()
    assert ready(replace(young, touched_ns=young.touched_ns - NS_PER_S), moment=hurried) == {1}


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    assert ready(change(1, "put", "/a", age_s=-3600.0)) == {1}


def test_what_failed_for_now_waits_alone() -> None:
    found = survey([change(1, "put", "/a"), change(2, "put", "/b")], MEMORY_LIMITS, NOW, {1: 107.0})
    assert [row.id for row in found.ready[ChangeKind.PUT]] == [2]
    assert found.settles_in_s == pytest.approx(7.0)


def decide(
    *changes: Change, since_s: float | None = None, moment: Moment = NOW, limits=MEMORY_LIMITS
) -> Batch | float:  # type: ignore[no-untyped-def]
    found = survey(changes, limits, moment, {})
    seen = first_seen(found.ready, {}, moment.now_s if since_s is None else since_s)
    return choose(found, seen, limits, {}, moment)


def ids(batch: Batch | float) -> tuple[list[int], list[int]]:
    assert isinstance(batch, Batch)
    return [row.id for row in batch.changes], [row.id for row in batch.carried]


def test_new_folders_are_made_by_the_files_in_them() -> None:
    changes = [
        change(1, "mkdir", "/d", age_s=1),
        change(2, "mkdir", "/d/e", age_s=1),
        change(3, "put", "/d/e/f"),
    ]
    assert ids(decide(*changes)) == ([3], [1, 2])


def test_a_new_folder_waits_for_the_first_file_in_it_but_not_for_ever() -> None:
    writing = change(2, "put", "/d/f", state=S.OPEN)
    assert isinstance(decide(change(1, "mkdir", "/d", age_s=FOLDER_ALONE_S - 1), writing), float)
    assert ids(decide(change(1, "mkdir", "/d", age_s=FOLDER_ALONE_S + 1), writing)) == ([1], [])


def test_a_new_folder_into_which_something_is_moved_is_made_first() -> None:
    changes = [
        change(1, "mkdir", "/d", age_s=1),
        change(2, "put", "/d/f", state=S.OPEN),
        change(3, "move", "/d/g", "/g"),
    ]
    assert ids(decide(*changes)) == ([1], [])


def test_only_the_folders_above_the_files_sent_are_carried() -> None:
    changes = [
        change(1, "mkdir", "/d", age_s=1),
        change(2, "mkdir", "/e", age_s=1),
        change(3, "put", "/d/f"),
        change(4, "put", "/e/f", state=S.SEALED, size_bytes=10**9),
    ]
    assert ids(decide(*changes)) == ([3], [1])


def test_a_batch_waits_while_others_arrive_but_not_for_ever() -> None:
    arriving = change(2, "put", "/b", state=S.SEALED, age_s=0.0)
    assert decide(change(1, "put", "/a"), arriving) == NOW.now_s + COMPANY_S
    assert ids(decide(change(1, "put", "/a"), arriving, since_s=NOW.now_s - COMPANY_S)) == ([1], [])


def test_somebody_waiting_shortens_that() -> None:
    hurried = replace(NOW, is_hurried=True)
    arriving = change(2, "put", "/b", state=S.SEALED, age_s=0.0)
    assert decide(change(1, "put", "/a"), arriving, moment=hurried) == NOW.now_s + HURRIED_COMPANY_S
    assert ids(decide(change(1, "put", "/a"), moment=hurried)) == ([1], [])


def test_a_large_file_on_its_way_up_is_not_waited_for() -> None:
    assert ids(decide(change(1, "put", "/a"), change(2, "put", "/b", state=S.SEALED, size_bytes=10**9))) == (
        [1],
        [],
    )


def test_a_full_batch_goes_at_once_and_is_not_overfull() -> None:
    limits = replace(MEMORY_LIMITS, commit_entries=3)
    changes = [change(seq, "put", f"/f{seq}") for seq in range(1, 6)]
    arriving = change(9, "put", "/new", state=S.SEALED, age_s=0.0)
    assert ids(decide(*changes, arriving, limits=limits)) == ([1, 2, 3], [])


def test_the_largest_kind_goes_first_unless_another_starves() -> None:
    changes = [change(1, "delete", "/x"), change(2, "put", "/a"), change(3, "put", "/b")]
    assert ids(decide(*changes)) == ([2, 3], [])
    found = survey(changes, MEMORY_LIMITS, NOW, {})
    batch = choose(found, {1: 0.0, 2: 99.0, 3: 99.0}, MEMORY_LIMITS, {}, NOW)
    assert ids(batch) == ([1], [])


# Several at once


def several(*changes: Change, limits: BackendLimits, most: int = 100) -> list[list[int]] | float:
    found = survey(changes, limits, NOW, {})
    chosen = choose_several(found, first_seen(found.ready, {}, NOW.now_s), limits, {}, NOW, most)
    return [ids(batch)[0] for batch in chosen] if isinstance(chosen, list) else chosen


def test_where_a_batch_is_one_change_none_waits_for_company() -> None:
    arriving = change(3, "put", "/c", state=S.SEALED, age_s=0.0)
    changes = [change(1, "put", "/a"), change(2, "put", "/b"), arriving]
    assert several(*changes, limits=SIDE_BY_SIDE_LIMITS) == [[1], [2]]
    assert several(arriving, limits=SIDE_BY_SIDE_LIMITS) == math.inf


def test_only_what_is_left_over_waits_for_company() -> None:
    limits = replace(SIDE_BY_SIDE_LIMITS, commit_entries=2)
    changes = [change(seq, "put", f"/f{seq}") for seq in range(1, 6)]
    arriving = change(9, "put", "/new", state=S.SEALED, age_s=0.0)
    assert several(*changes, limits=limits) == [[1, 2], [3, 4], [5]]
    assert several(*changes, arriving, limits=limits) == [[1, 2], [3, 4]]
    assert several(changes[0], arriving, limits=limits) == NOW.now_s + COMPANY_S


def test_nothing_that_comes_later_overtakes_whatever_its_kind() -> None:
    changes = [change(seq, "put", f"/f{seq}") for seq in (1, 2, 4, 5)]
    changes += [change(3, "delete", "/x"), change(6, "mkdir", "/d")]
    assert several(*changes, limits=SIDE_BY_SIDE_LIMITS) == [[1], [2], [3], [4], [5], [6]]
    assert several(*changes, limits=SIDE_BY_SIDE_LIMITS, most=3) == [[1], [2], [3]]
    found = survey(changes, SIDE_BY_SIDE_LIMITS, NOW, {})
    since_s = {row.id: NOW.now_s - row.id for row in changes}
    first = choose_several(found, since_s, SIDE_BY_SIDE_LIMITS, {}, NOW, 1)
    assert isinstance(first, list) and ids(first[0]) == ([6], [])


def test_nothing_to_do_asks_for_nothing() -> None:
    assert choose(Survey(), {}, MEMORY_LIMITS, {}, NOW) == math.inf
