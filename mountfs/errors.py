"""Everything that can go wrong, in the words of the file system.

MountfsError
├── Refused               the answer is no, and asking again gives the same answer
│   ├── NotFound  AlreadyExists  NotADirectory  IsADirectory  DirectoryNotEmpty
│   ├── Forbidden (Locked: by somebody, for a time)
│   ├── NotExecutable  NotSignedIn  NotPermitted  NotSupported
│   ├── ReadOnly (ShuttingDown)
│   ├── NameNotAllowed  NameTooLong  InvalidArgument  BadHandle  CrossDevice
│   ├── NoAttribute  AttributeTooLarge
│   └── NoSpace (the account's; DiskFull: the local disk's)  TooLarge  TransferLimit
├── Conflict              somebody else changed it first
├── Stale                 the kernel knows an older version: it looks again, and repeats its call
├── Resend                the bytes must travel again
│   ├── SessionLost       the upload session is gone (expired, or already committed)
│   └── Corrupt           bytes do not match their hash
├── BatchRefused          the service does not take this kind of batch: send one by one
├── RequestTooBig         the request must be split
└── Transient             the same call may succeed later
    ├── Offline           no answer at all; whether the call took effect is unknown
    │   └── Unreachable   no connection could be made: the call certainly took no effect
    ├── Throttled         told to slow down, with or without a time
    ├── Busy              lock contention on the service's side
    ├── ServerFault       5xx; whether the call took effect is unknown
    │   └── NotPassedOn   something on the way does not take a request like this one
    ├── DiskTrouble       pending bytes cannot be read, or cached ones not be written, just now
    ├── CalledOff         nobody wants any more what was asked for
    └── Internal          something raised what it should not: a bug, or no memory

Foreign exceptions (requests, JSON, SQLite) become these at one edge each; the errno of each
class is chosen in ``mountfs.fuse.errno``; whether to retry is decided by class, never by text.
"""

from __future__ import annotations

from typing import Self


class MountfsError(Exception):
    """Root of the tree; the message is one line that a user can act on."""

    def bare(self) -> Self:
        """The same to be kept for as long as the trouble lasts. What was raised keeps the frames that it went
        through, with all that is in their variables, and so does each error that it was raised from."""
        kept = type(self).__new__(type(self))
        kept.args = self.args
        kept.__dict__.update(vars(self))
        return kept


class Refused(MountfsError):
    """The answer is no, and asking again gives the same answer."""


class NotFound(Refused):
    """Nothing stands at this path."""


class AlreadyExists(Refused):
    """Something already stands at this path."""


class NotADirectory(Refused):
    """A component that must be a directory is a file."""


class IsADirectory(Refused):
    """A file was expected where a directory stands."""


class DirectoryNotEmpty(Refused):
    """A directory that must be empty has entries."""


class Forbidden(Refused):
    """The account may not do this here."""


class Locked(Forbidden):
    """Somebody has locked the file at the service: nobody else may write to it until it is unlocked."""


class NotExecutable(Refused):
    """The file may be executed by nobody: its mode has no execute bit."""


class NoAttribute(Refused):
    """A file has no extended attribute of this name."""


class AttributeTooLarge(Refused):
    """An extended attribute is larger than a mount keeps, or all those of one file are."""


class NotSignedIn(Refused):
    """The credentials are wrong, expired for good or revoked."""


class NotPermitted(Refused):
    """No account may do this on this service."""


class NotSupported(Refused):
    """The file system has no such operation."""


class ReadOnly(Refused):
    """The mount is read-only."""


class ShuttingDown(ReadOnly):
    """The mount is draining and takes no new writes."""


class NameNotAllowed(Refused):
    """The service refuses this name."""


class NameTooLong(Refused):
    """A component is longer than the service takes."""


class InvalidArgument(Refused):
    """An argument makes no sense, such as moving a folder into itself."""


class BadHandle(Refused):
    """The file handle is not open, or not open for this."""


class CrossDevice(Refused):
    """A rename that can only be done by copying and removing, as `mv` then does."""


class NoSpace(Refused):
    """No room: in the account, or on the disk that keeps what is pending."""


class DiskFull(NoSpace):
    """The local disk that keeps the journal and pending bytes has no room; the account may have."""


class TooLarge(Refused):
    """The file is larger than the service takes."""


class TransferLimit(Refused):
    """A monthly limit of the account's plan is used up."""


class Conflict(MountfsError):
    """Somebody else changed the target since its revision was last seen."""


class Stale(MountfsError):
    """The kernel's attributes of the file are those of an older version: it has to look again."""


class Resend(MountfsError):
    """The bytes must travel again: the session holds others than we thought, or none."""


class SessionLost(Resend):
    """The upload session is gone: expired, refused, or already committed."""


class Corrupt(Resend):
    """Bytes do not match the hash that came with them."""


class BatchRefused(MountfsError):
    """The service does not take this kind of batch; send its members one by one."""


class RequestTooBig(MountfsError):
    """The request's header or body is larger than the service takes; split it."""


class Transient(MountfsError):
    """The same call may succeed later, not before *retry_after_s* if that is given."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Offline(Transient):
    """The far side does not answer; whether the call took effect is unknown."""


class Unreachable(Offline):
    """No connection to the far side could be made: nothing was sent, so the call took no effect."""


class Throttled(Transient):
    """The service asks this account to slow down."""


class Busy(Transient):
    """The service could not get its own lock; the same order succeeds later."""


class ServerFault(Transient):
    """The service failed; whether the call took effect is unknown."""


class DiskTrouble(Transient):
    """Pending bytes cannot be read, or cached ones not be written, just now: the disk or the process may
    recover (EIO, EMFILE, ENOMEM)."""


class CalledOff(Transient):
    """Nobody wants any more what was asked for; no program waits for it."""


class NotPassedOn(ServerFault):
    """Something on the way to the service does not pass on a request of this form or size. A smaller one may
    pass, and this one once that is set otherwise."""


class Internal(Transient):
    """Something raised what it should not, a bug or for want of memory; what it did until then is unknown."""

    @classmethod
    def of(cls, error: BaseException) -> MountfsError:
        """*error* itself where it is one of ours, else in words for people; the traceback is the log's."""
        if isinstance(error, MountfsError):
            return error
        return cls(f"failed on this machine: {with_class(error)}")


def with_class(error: BaseException) -> str:
    """One that is none of ours, in a line: its text alone may say little, such as the 3 of a KeyError."""
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


def refusal_named(name: str | None) -> type[MountfsError]:
    """The class of that name in the tree above; Refused for any other name, and for none."""
    kind = globals().get(name or "")
    return kind if isinstance(kind, type) and issubclass(kind, MountfsError) else Refused
