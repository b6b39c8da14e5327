"""The login of a running mount, taken anew when the user writes other credentials into the configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from threading import Lock

from daemon.credentials import Clock, Tokens
from daemon.failure import Failure
from daemon.settings import AccountRemote
from mountfs.errors import MountfsError, Refused
from mountfs.model.pacing import Pacer

LOG = logging.getLogger(__name__)

CREDENTIALS = frozenset(
    {"access_token", "refresh_token", "app_key", "app_secret", "client_id", "client_secret"}
    | {"box_subject_type", "box_subject_id"}
)
"""The keys of a remote that a running mount takes anew; all others take effect at the next mount."""

Stamp = tuple[int, int, int] | None


class Login:
    """A source of tokens (``credentials.Tokens``) on another one, which is replaced when the file says so.

    Whoever needs a token looks at the file first (one ``stat``). Credentials of another account are not
    taken: what is pending belongs to the account that was mounted. Any thread.
    """

    def __init__(
        self,
        file: Path,
        remote: AccountRemote,
        clock: Clock,
        *,
        read: Callable[[], object],
        make: Callable[[AccountRemote], Tokens],
        is_ours: Callable[[AccountRemote, Tokens], bool],
    ) -> None:
        """*read*: the remote as the file has it now, Failure; *make*: its tokens; *is_ours*: whether they
        lead to the account that is mounted, which asks the service, MountfsError."""
        self._file = file
        self._remote = remote
        self._clock = clock
        self._trying = Pacer()
        self._read = read
        self._make = make
        self._is_ours = is_ours
        self._lock = Lock()
        self._tokens = make(remote)
        self._stamp = _stamp_of(file)

    def current(self) -> str:
        self._look()
        return self._tokens.current()

    def refused(self, token: str) -> str:
        return self._tokens.refused(token)

    def _look(self) -> None:
        stamp = _stamp_of(self._file)
        now_s = self._clock.now_s()
        if stamp == self._stamp or now_s < self._trying.ready_s or not self._lock.acquire(blocking=False):
            return
        before, self._stamp = self._stamp, stamp
        try:
            candidate = self._candidate()
            if candidate is not None and candidate != self._remote:
                self._take(candidate)
            self._trying.succeeded()
        except Refused as error:
            LOG.error("%s: the new credentials are of no use: %s", self._file, error)
        except MountfsError as error:
            LOG.info("%s: the new credentials cannot be tried now: %s", self._file, error)
            self._stamp = before
            ended_s, jitter = self._clock.now_s(), self._clock.jitter()
            self._trying.failed(error, started_s=now_s, now_s=ended_s, jitter=jitter)
        finally:
            self._lock.release()

    def _take(self, candidate: AccountRemote) -> None:
        tokens = self._make(candidate)
        if not self._is_ours(candidate, tokens):
            LOG.error("%s: the new credentials are of another account; the old ones stay", self._file)
            return
        self._remote, self._tokens = candidate, tokens
        LOG.warning("%s: the new credentials are in use", self._file)

    def _candidate(self) -> AccountRemote | None:
        """The remote with the credentials that are written down now; None where they cannot be read."""
        try:
            found = self._read()
        except Failure as failure:
            LOG.error("%s", failure)
            return None
        if type(found) is not type(self._remote):
            return None
        names = [each.name for each in fields(self._remote) if each.name in CREDENTIALS]
        return replace(self._remote, **{name: getattr(found, name) for name in names})


def _stamp_of(file: Path) -> Stamp:
    """Changes whenever the file is written or replaced."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
