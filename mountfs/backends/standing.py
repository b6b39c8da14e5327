"""How an account stands with its service: what replies say about all calls to come."""

from __future__ import annotations

from collections.abc import Callable

from mountfs.backends.health import Health
from mountfs.backends.signin import SignIn
from mountfs.backends.throttle import Gate
from mountfs.backends.wire import Request, Response
from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, Throttled, Transient
from mountfs.ports import Clock

Judge = Callable[[Response, str], MountfsError]
"""The error that a reply of 400 and above to a route stands for, in the service's own words."""

SIGN_IN = "sign-in"
"""What the credentials are called among the routes that fail."""


class Standing:
    """The gate, the sign-in and the health of one account, told of every reply. Any thread."""

    def __init__(self, clock: Clock, judge: Judge) -> None:
        self.gate = Gate()
        self.health = Health(clock)
        self.sign_in = SignIn(clock)
        self._clock = clock
        self._judge = judge
        self._accepted: tuple[str, float] | None = None
        """The token that was taken last, and when."""

    def replied(self, request: Request, response: Response, started_s: float) -> None:
        """A call that left at *started_s* was answered. What a long poll meets is its caller's to tell."""
        error = self._paced(request, response, started_s)
        if request.is_longpoll:
            return
        if isinstance(error, Throttled | ServerFault):
            self.health.failed(request.route, error, host_of(request))
        else:
            self.health.worked(request.route, host_of(request))

    def overlong(self, request: Request, head: Response, error: ServerFault, started_s: float) -> None:
        """A reply whose body is longer than any may be: *error*. What its *head* says about pauses stands."""
        self._paced(request, head, started_s)
        if not request.is_longpoll:
            self.health.failed(request.route, error, host_of(request))

    def unanswered(self, request: Request, error: Offline) -> None:
        """No reply came."""
        if not request.is_longpoll:
            self.health.failed(request.route, error, host_of(request))

    def _paced(self, request: Request, response: Response, started_s: float) -> MountfsError | None:
        """Tells the gate of a reply; the error that it stands for."""
        error = self._judge(response, request.route) if response.status >= 400 else None
        if isinstance(error, Transient) and _is_to_pause(response, error):
            now_s, jitter = self._clock.now_s(), self._clock.jitter()
            self.gate.throttled(request.route, error, started_s=started_s, now_s=now_s, jitter=jitter)
        else:
            self.gate.passed(request.route, started_s)
        return error

    def signed(self, token: str, response: Response, route: str, started_s: float) -> None:
        """The last word on a call with *token* that began at *started_s*."""
        error = self._judge(response, route) if response.status == 401 else None
        if isinstance(error, NotSignedIn):
            self.unsigned(token, error, started_s)
        else:
            self._accepted = (token, self._clock.now_s())
            self.sign_in.accepted(started_s)
            self.health.worked(SIGN_IN)
            self.health.signed_in()

    def unsigned(self, token: str | None, error: MountfsError, started_s: float) -> None:
        """A call that began at *started_s* had no word on its credentials but *error*; *token*: what it was
        signed with, None when there was nothing to sign it with."""
        if isinstance(error, NotSignedIn):
            if token is not None and self._is_replaced(token, started_s):
                return
            self.health.failed(SIGN_IN, error)
            if token is not None:
                self.sign_in.refused(token, error, started_s)
            return
        self.sign_in.undecided()
        if token is None:
            self.health.failed(SIGN_IN, error)

    def _is_replaced(self, token: str, started_s: float) -> bool:
        """Whether another token has been taken since a call with *token* left: what the service says of
        *token* is no news of the account."""
        return self._accepted is not None and self._accepted[0] != token and started_s <= self._accepted[1]


def by_status(response: Response, route: str) -> MountfsError:
    """The judgement on a service that nothing more is known of."""
    if response.status == 429:
        return Throttled(f"{route}: the service asks to slow down", response.retry_after_s)
    if response.is_fault:
        return ServerFault(f"{route}: HTTP {response.status}", response.retry_after_s)
    if response.status == 401:
        return NotSignedIn(f"{route}: the credentials are not accepted")
    return MountfsError(f"{route}: HTTP {response.status}")


def _is_to_pause(response: Response, error: Transient) -> bool:
    """Whether a reply asks for a pause; a busy lock at the service is one caller's matter."""
    return isinstance(error, Throttled) or (response.status == 503 and isinstance(error, ServerFault))


def host_of(request: Request) -> str:
    """Of any text: what is no address fails elsewhere, and in our words."""
    return request.url.partition("//")[2].partition("/")[0]
