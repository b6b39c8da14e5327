"""The login of a running mount, taken anew when the user writes other credentials into the configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from threading import Lock

from daemon.config.settings import AccountRemote
from daemon.failure import Failure
from daemon.signin.credentials import Tokens
from mountfs.errors import MountfsError, NotSignedIn, Refused
from mountfs.model.pacing import PROBES, Pacer
from mountfs.ports import Clock

LOG = logging.getLogger(__name__)

CREDENTIALS = frozenset(
    {"access_token", "refresh_token", "app_key", "app_secret", "client_id", "client_secret"}
    | {"box_subject_type", "box_subject_id"}
)
"""The keys of a remote that a running mount takes anew; all others take effect at the next mount."""

TRYING_S = 5.0
"""So long a call waits while another one asks whose the new credentials are. The old ones may be refused."""

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
        self._refused = Pacer(PROBES)
        """A refusal may be a mistake of the service's, also of credentials that were just written down."""
        self._read = read
        self._make = make
        self._is_ours = is_ours
        self._lock = Lock()
        self._tokens = make(remote)
        self._candidates: Tokens | None = None
        """Those of new credentials, while the service is asked whose they are."""
        self._stamp = self._tried = _stamp_of(file)

    def current(self) -> str:
        self._look()
        if self._lock.locked() and self._lock.acquire(timeout=TRYING_S):
            self._lock.release()
        return self._tokens.current()

    def refused(self, token: str) -> str:
        return self._tokens.refused(token)

    def close(self) -> None:
        for tokens in (self._tokens, self._candidates):
            if tokens is not None:
                tokens.close()

    def _look(self) -> None:
        stamp = _stamp_of(self._file)
        now_s = self._clock.now_s()
        is_news = stamp != self._tried
        is_due = is_news or now_s >= max(self._trying.ready_s, self._refused.ready_s)
        if stamp == self._stamp or not is_due or not self._lock.acquire(blocking=False):
            return
        before, self._stamp, self._tried = self._stamp, stamp, stamp
        try:
            candidate = self._candidate()
            if candidate is not None and candidate != self._remote:
                self._take(candidate)
            self._trying.succeeded()
            self._refused.succeeded()
        except Refused as error:
            if is_news:
                LOG.error("%s: the new credentials are of no use: %s", self._file, error)
            if isinstance(error, NotSignedIn):
                self._try_again(self._refused, error, before, now_s)
        except MountfsError as error:
            LOG.info("%s: the new credentials cannot be tried now: %s", self._file, error)
            self._try_again(self._trying, error, before, now_s)
        finally:
            self._lock.release()

    def _try_again(self, pacer: Pacer, error: MountfsError, before: Stamp, started_s: float) -> None:
        """Once *pacer* says so, the file is as new as it was *before*."""
        self._stamp = before
        now_s, jitter = self._clock.now_s(), self._clock.jitter()
        pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)

    def _take(self, candidate: AccountRemote) -> None:
        tokens = self._candidates = self._make(candidate)
        try:
            is_ours = self._is_ours(candidate, tokens)
        finally:
            self._candidates = None
        if not is_ours:
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
