"""The table of a change's states is the law."""

from __future__ import annotations

import re
import sqlite3

import pytest

from mountfs.journal.schema import DDL
from mountfs.model.change import (
    FINAL_STATES,
    MALLEABLE_STATES,
    PENDING_STATES,
    TRANSITIONS,
    Change,
    ChangeEvent,
    ChangeKind,
    ChangeState,
    IllegalStep,
    advance,
)
from mountfs.model.path import RemotePath

S, E = ChangeState, ChangeEvent
PAIRS = [(state, event) for state in S for event in E]
LEGAL = [(state, event) for state, event in PAIRS if event in TRANSITIONS[state]]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]


@pytest.mark.parametrize(("state", "event"), ILLEGAL)
def test_a_step_not_in_the_table_is_a_bug(state: ChangeState, event: ChangeEvent) -> None:
    with pytest.raises(IllegalStep, match=f"{event} is not possible while {state}"):
        advance(state, event)


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_a_step_in_the_table_leads_where_it_says(state: ChangeState, event: ChangeEvent) -> None:
    assert advance(state, event) is TRANSITIONS[state][event]


def test_every_state_is_in_the_table_and_every_event_is_of_use() -> None:
    assert set(TRANSITIONS) == set(S)
    assert {event for steps in TRANSITIONS.values() for event in steps} == set(E)


def test_a_change_goes_from_written_to_committed() -> None:
    state = S.OPEN
    for event in (E.SEAL, E.UPLOAD_DONE, E.COMMIT_SENT, E.ACKNOWLEDGED):
        state = advance(state, event)
    assert state is S.COMMITTED


def test_final_states_are_those_nothing_leads_out_of() -> None:
    assert {state for state, steps in TRANSITIONS.items() if not steps} == FINAL_STATES


def _reach(start: ChangeState) -> set[ChangeState]:
    found, border = {start}, [start]
    while border:
        border = [after for state in border for after in TRANSITIONS[state].values() if after not in found]
        found.update(border)
    return found


@pytest.mark.parametrize("state", sorted(set(S) - FINAL_STATES))
def test_no_state_is_a_dead_end(state: ChangeState) -> None:
    assert _reach(state) & FINAL_STATES


def test_every_state_can_come_about() -> None:
    assert _reach(S.OPEN) == set(S)


def test_only_an_acknowledged_commit_lets_bytes_go_as_committed() -> None:
    leads = [(s, e) for s, steps in TRANSITIONS.items() for e, after in steps.items() if after is S.COMMITTED]
    assert leads == [(S.COMMITTING, E.ACKNOWLEDGED)]


@pytest.mark.parametrize("state", S)
def test_what_was_sent_cannot_be_taken_back(state: ChangeState) -> None:
    can_be_dropped = E.SUPERSEDED in TRANSITIONS[state]
    assert can_be_dropped == (state in MALLEABLE_STATES or state is S.CONFLICTED)


def test_each_state_is_pending_final_or_failed() -> None:
    assert PENDING_STATES | FINAL_STATES | {S.FAILED} == set(S)
    assert not PENDING_STATES & FINAL_STATES


@pytest.mark.parametrize(("column", "words"), [("kind", ChangeKind), ("state", ChangeState)])
def test_the_database_knows_the_same_words(column: str, words: type[ChangeKind] | type[ChangeState]) -> None:
    db = sqlite3.connect(":memory:")
    db.executescript(DDL)
    stored = db.execute("SELECT sql FROM sqlite_master WHERE name = 'changes'").fetchone()[0]
    db.close()
    check = re.search(rf"CHECK \({column} IN \(([^)]*)\)\)", stored)
    assert check is not None
    assert set(re.findall(r"'([^']*)'", check[1])) == set(words)


def _change(state: ChangeState = S.OPEN, kind: ChangeKind = ChangeKind.PUT, **fields: object) -> Change:
    return Change(1, 1, kind, state, RemotePath("/a/b"), **fields)  # type: ignore[arg-type]


def test_only_an_open_change_that_was_not_closed_is_not_whole() -> None:
    assert not _change().is_whole
    assert _change(is_flushed=True).is_whole
    assert all(_change(state).is_whole for state in S if state is not S.OPEN)


def test_questions_of_state() -> None:
    assert _change(S.COMMITTING).is_pending
    assert not _change(S.COMMITTING).is_malleable
    assert _change(S.FAILED).is_malleable
    assert not _change(S.FAILED).is_pending


def test_order_matters_where_any_paths_overlap() -> None:
    move = _change(kind=ChangeKind.MOVE, source=RemotePath("/c"))
    assert move.paths == (RemotePath("/c"), RemotePath("/a/b"))
    assert move.overlaps(Change(2, 2, ChangeKind.MKDIR, S.UPLOADED, RemotePath("/A")))
    assert move.overlaps(Change(2, 2, ChangeKind.PUT, S.OPEN, RemotePath("/C/x")))
    assert not move.overlaps(Change(2, 2, ChangeKind.PUT, S.OPEN, RemotePath("/a/c")))
