"""What was entered last is kept, and what was entered long ago is forgotten."""

from __future__ import annotations

from mountfs.files.recent import Recent

MOST = 100


def test_half_of_the_bound_is_always_kept_and_never_more_than_the_bound() -> None:
    recent: Recent[int, int] = Recent(MOST)
    for number in range(10 * MOST):
        recent[number] = -number
        assert len(recent) <= MOST
        assert all(recent.get(each) == -each for each in range(max(0, number - MOST // 2 + 1), number + 1))
    assert recent.get(0) is None


def test_an_entry_that_is_made_again_is_new_and_has_the_last_value() -> None:
    recent: Recent[str, int] = Recent(MOST)
    for number in range(10 * MOST):
        recent["again"] = number
        recent[f"other {number}"] = number
    assert recent.get("again") == 10 * MOST - 1


def test_what_is_taken_out_is_gone_however_old_it_is() -> None:
    recent: Recent[str, int] = Recent(MOST)
    recent["twice"] = 1
    for number in range(MOST // 2):
        recent[str(number)] = number
    recent["twice"] = 2
    assert recent.pop("twice") == 2
    assert recent.get("twice") is None
    assert recent.pop("twice") is None
    recent.clear()
    assert len(recent) == 0
