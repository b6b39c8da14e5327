"""When to poll a running job, and when it counts as lost."""

FIRST_POLL_AT = 0.85
"""The first poll comes after this part of the expected time. A poll after all of it would always find the job
ended, and never show that jobs have become faster."""
POLL_GROWTH = 0.2
"""Each further poll comes after this part of the time that the job has taken so far. So its end is seen at
most a fifth of that time late, and a job that takes ten times the expected time costs a dozen polls."""
LEAST_POLL_S = 0.1
LONGEST_POLL_S = 5.0
"""Bounds of the delay between two polls. A job of 1,000 entries takes seconds to minutes, and polls count for
the service's rate limits."""
JOB_FAULTS = 8
"""After so many failed polls in a row a job counts as lost: its targets are looked at instead."""
LONGEST_RUN_S = 600.0
"""A job that the service calls running for so long counts as lost, where the account may run only one. A job
of 1,000 entries takes a minute or two."""
LONGEST_ASIDE_S = 3600.0
"""The same for a job that no other batch waits for."""


def poll_delay_s(taken_s: float, expected_s: float, retry_after_s: float | None) -> float:
    """Seconds until the next poll of a job that was accepted *taken_s* ago, expected to take *expected_s*;
    no less than the service's *retry_after_s*."""
    own_s = max(LEAST_POLL_S, FIRST_POLL_AT * expected_s - taken_s, POLL_GROWTH * taken_s)
    own_s = min(LONGEST_POLL_S, own_s)
    return own_s if retry_after_s is None else max(own_s, retry_after_s)


def longest_run_s(*, is_alone: bool) -> float:
    """Seconds after which a job that still runs counts as lost. *is_alone*: other batches wait for it."""
    return LONGEST_RUN_S if is_alone else LONGEST_ASIDE_S
