"""What a person can do about a refusal, said in the same line as the refusal."""

from __future__ import annotations

from mountfs.errors import (
    Corrupt,
    DiskFull,
    Forbidden,
    Locked,
    MountfsError,
    NameNotAllowed,
    NameTooLong,
    NoSpace,
    NotPermitted,
    NotSignedIn,
    TooLarge,
    TransferLimit,
)

_ADVICE: tuple[tuple[type[MountfsError] | tuple[type[MountfsError], ...], str], ...] = (
    ((NameNotAllowed, NameTooLong), "rename it, and it is sent"),
    (TooLarge, "split it, or take it elsewhere with mountfs export and give it up with mountfs discard"),
    (Locked, "it is tried again by itself, and once it is unlocked"),
    ((Forbidden, NotPermitted), "get permission, then run mountfs retry, or move it to another folder"),
    (DiskFull, "make room on the disk; uploads then go on by themselves"),
    (NoSpace, "make room in the account; uploads then go on by themselves"),
    (TransferLimit, "wait, or upgrade the plan; uploads then go on by themselves"),
    (NotSignedIn, "sign in again with mountfs login; the mount takes the new credentials by itself"),
    (Corrupt, "run mountfs retry to send it once more"),
)
_OTHERWISE = "mountfs retry sends it again, mountfs export copies it out, mountfs discard gives it up"


def advice_for(error: MountfsError) -> str:
    """What to do about *error*, in half a line."""
    return next((words for kinds, words in _ADVICE if isinstance(error, kinds)), _OTHERWISE)


def advised(error: MountfsError) -> str:
    """*error* and what to do about it, in one line."""
    return f"{error}: {advice_for(error)}"
