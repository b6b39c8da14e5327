"""Whether a service can be reached from this machine, and how far their clocks are apart."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from mountfs.backends.http import HttpClient, HttpSettings
from mountfs.backends.proxies import proxy_for
from mountfs.backends.servicetime import http_date_s
from mountfs.backends.wire import Request
from mountfs.errors import MountfsError
from mountfs.model.entry import NS_PER_S
from mountfs.ports import Clock

PATIENCE = HttpSettings(workers=1, connect_timeout_s=10.0, read_timeout_s=15.0)


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of one request without credentials. ``ahead_s``: how far this machine's clock is ahead of
    the service's; None: it did not tell. ``error``: why there was no answer. ``proxy``: the way to it."""

    ahead_s: float | None = None
    error: MountfsError | None = None
    proxy: str | None = None

    @property
    def is_untrusted(self) -> bool:
        """Whether there was an answer, by somebody whose certificate is not known here."""
        at: BaseException | None = self.error
        while at is not None:
            if isinstance(at, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(at):
                return True
            at = at.__cause__ or at.__context__
        return False


def reach(url: str, clock: Clock) -> Reached:
    """Asks the service at *url* for nothing in particular: any answer is good."""
    client, proxy = HttpClient(clock, settings=PATIENCE), proxy_for(url)
    try:
        reply = client.exchange(Request("GET", url, "doctor", is_signed=False, is_read=True))
    except MountfsError as error:
        return Reached(error=error, proxy=proxy)
    finally:
        client.close()
    theirs_s = http_date_s(reply.headers.get("date", ""))
    ahead_s = None if theirs_s is None else clock.wall_ns() / NS_PER_S - theirs_s
    return Reached(ahead_s, proxy=proxy)
