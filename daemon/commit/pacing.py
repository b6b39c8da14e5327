"""When to ask after a running batch again."""

FIRST_POLL_S = 0.2
GROWTH = 1.7
LONGEST_POLL_S = 5.0
"""A batch of 1000 entries takes seconds to minutes; asking is free of charge but not of rate limits."""


def poll_delay_s(polls: int, retry_after_s: float | None) -> float:
    """Seconds until the next question after *polls* of them; not before the service wants it."""
    own_s = min(LONGEST_POLL_S, FIRST_POLL_S * GROWTH ** min(polls, 16))
    return own_s if retry_after_s is None else max(own_s, retry_after_s)
