"""A refusal says in the same line what to do about it."""

from __future__ import annotations

import pytest

from mountfs.errors import (
    Corrupt,
    DiskFull,
    Forbidden,
    MountfsError,
    NameNotAllowed,
    NameTooLong,
    NoSpace,
    NotPermitted,
    NotSignedIn,
    Refused,
    TooLarge,
    TransferLimit,
)
from mountfs.model.advice import advised


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (NameNotAllowed("no such name"), "no such name: rename it, and it is sent"),
        (NameTooLong("300 characters"), "300 characters: rename it, and it is sent"),
        (
            TooLarge("5 GB"),
            "5 GB: split it, or take it elsewhere with mountfs export and give it up with mountfs discard",
        ),
        (
            Forbidden("read only"),
            "read only: get permission, then run mountfs retry, or move it to another folder",
        ),
        (
            NotPermitted("a team folder"),
            "a team folder: get permission, then run mountfs retry, or move it to another folder",
        ),
        (NoSpace("full"), "full: make room in the account; uploads then go on by themselves"),
        (DiskFull("full"), "full: make room on the disk; uploads then go on by themselves"),
        (
            TransferLimit("used up"),
            "used up: wait, or upgrade the plan; uploads then go on by themselves",
        ),
        (
            NotSignedIn("revoked"),
            "revoked: sign in again with mountfs login; the mount takes the new credentials by itself",
        ),
        (Corrupt("other bytes"), "other bytes: run mountfs retry to send it once more"),
        (
            Refused("policy"),
            "policy: mountfs retry sends it again, mountfs export copies it out, mountfs discard gives it up",
        ),
    ],
)
def test_what_to_do_follows_the_reason(error: MountfsError, line: str) -> None:
    assert advised(error) == line
