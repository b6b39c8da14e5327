from __future__ import annotations

from daemon.commit.pacing import poll_delay_s


def test_questions_become_rarer() -> None:
    delays = [poll_delay_s(polls, None) for polls in range(40)]
    assert delays[0] == 0.2
    assert delays == sorted(delays)
    assert delays[-1] == 5.0


def test_no_question_comes_before_the_service_wants_it() -> None:
    assert poll_delay_s(0, 17.0) == 17.0
    assert poll_delay_s(20, 0.1) == 5.0
