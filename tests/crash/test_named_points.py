"""The table of what a sweep need not reach."""

from __future__ import annotations

from tests.crash.named import NOT_SWEPT, transactions


def test_what_no_sweep_reaches_is_a_transaction_that_there_is() -> None:
    assert NOT_SWEPT.keys() <= transactions()
