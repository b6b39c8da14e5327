"""Where the process of a mount stands, and what moves it on: pure."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where the process stands."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Event(StrEnum):
    """What moves it on."""

    ANSWERED = "the mount answered"
    STOP_ASKED = "a stop was asked for"
    LOOP_ENDED = "the mount is gone"
    DRAINED = "nothing is pending"
    TIME_UP = "the time ran out"
    CUT_SHORT = "the drain was cut short"
    HELD_UP = "nothing gets on"


P, E = Phase, Event

TRANSITIONS: dict[Phase, dict[Event, Phase]] = {
    P.STARTING: {
        E.ANSWERED: P.READY,
        E.STOP_ASKED: P.DRAINING,
        E.LOOP_ENDED: P.STOPPED,  # it could not mount
        E.TIME_UP: P.STOPPED,  # it mounted and hangs
        E.CUT_SHORT: P.STOPPED,
    },
    P.READY: {
        E.ANSWERED: P.READY,
        E.STOP_ASKED: P.DRAINING,
        E.LOOP_ENDED: P.DRAINING,  # unmounted from outside: what is pending goes out all the same
    },
    P.DRAINING: {
        E.ANSWERED: P.DRAINING,
        E.STOP_ASKED: P.DRAINING,
        E.LOOP_ENDED: P.DRAINING,
        E.DRAINED: P.STOPPED,
        E.HELD_UP: P.STOPPED,
        E.TIME_UP: P.STOPPED,
        E.CUT_SHORT: P.STOPPED,
    },
    P.STOPPED: {},
}


class IllegalStep(Exception):
    """An event that cannot happen in this phase: a bug of ours."""


def advance(phase: Phase, event: Event) -> Phase:
    """The phase after *event*. IllegalStep when the pair is not in TRANSITIONS."""
    try:
        return TRANSITIONS[phase][event]
    except KeyError:
        raise IllegalStep(f"{event} while {phase}") from None
