"""When to ask after a running batch again, and when to give it up for lost."""

AIMS_AT = 0.85
"""The first question comes a little before a job is expected to end: one that always found it over could not
tell that jobs have become faster."""
LATER = 0.2
"""From then on the next question comes a fifth of the time later that the job has taken so far. Its end is
known at most that part too late, and a job that takes ten times what was expected costs a dozen questions."""
LEAST_POLL_S = 0.1
LONGEST_POLL_S = 5.0
"""A batch of 1000 entries takes seconds to minutes; asking is free of charge but not of rate limits."""
JOB_FAULTS = 8
"""After so many failed polls in a row a job counts as lost: the service is asked what stands at its
targets."""
LONGEST_RUN_S = 600.0
"""So does a job that the service says is running for so long, where only one of the account may run at a
time. A thousand entries take a minute or two."""
LONGEST_ASIDE_S = 3600.0
"""The same where it keeps no other batch waiting."""


def poll_delay_s(taken_s: float, expected_s: float, retry_after_s: float | None) -> float:
    """Seconds until the next question after a job that has taken *taken_s* so far; not before the service
    wants it."""
    own_s = max(LEAST_POLL_S, AIMS_AT * expected_s - taken_s, LATER * taken_s)
    own_s = min(LONGEST_POLL_S, own_s)
    return own_s if retry_after_s is None else max(own_s, retry_after_s)


def longest_run_s(*, is_alone: bool) -> float:
    """Seconds after which a job that still runs counts as lost. *is_alone*: others wait for it."""
    return LONGEST_RUN_S if is_alone else LONGEST_ASIDE_S
