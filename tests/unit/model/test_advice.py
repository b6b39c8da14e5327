"""A refusal says in the same line what to do about it."""

from __future__ import annotations

import pytest

from mountfs.errors import Forbidden, MountfsError, NameNotAllowed, NotSignedIn, Refused, TooLarge
from mountfs.model.advice import advised


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NameNotAllowed("no such name"), "no such name: rename it"),
        (Forbidden("read only"), "read only: get permission, then run mountfs retry"),
        (TooLarge("5 GB"), "5 GB: split it"),
        (NotSignedIn("revoked"), "revoked: put new credentials into the configuration"),
        (Refused("a policy"), "a policy: mountfs retry sends it again"),
    ],
)
def test_what_to_do_follows_the_reason(error: MountfsError, words: str) -> None:
    assert advised(error).startswith(words)
    assert "\n" not in advised(error)
