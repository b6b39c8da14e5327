"""Token endpoints (RFC 6749): a form there, a grant back, and refusals that say what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mountfs.backends import checked
from mountfs.backends.http import HttpClient
from mountfs.backends.wire import Request, Response
from mountfs.errors import MountfsError, NotSignedIn, ServerFault, Transient

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_REASON = re.compile(r"[a-z]+(_[a-z]+)+(:.*)?", re.DOTALL)
"""Such as ``invalid_grant``: each refusal names one (RFC 6749, 5.2). Dropbox puts its sentence behind that of
an unknown application, as in ``invalid_client: Invalid client_id``. A gateway's ``Bad Request`` is none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where tokens are had, and what a refusal is about.

    *client*: the keys of the configuration that name the application; *failure*: what the service's other
    failures become.
    """

    url: str
    route: str
    client: str
    failure: Callable[[Response, str], MountfsError]

    def ask(self, http: HttpClient, form: Mapping[str, str], what: str, *, is_read: bool = False) -> Response:
        """The reply 200 to *form*, of which *what* is presented. NotSignedIn when it, or the application, is
        refused; else Transient. *is_read*: the form may be sent twice; *http* must carry no tokens of its
        own."""
        body = urlencode(form).encode()
        response = http.exchange(Request("POST", self.url, self.route, _FORM, body, is_read=is_read))
        if response.status in (400, 401, 403) and _REASON.fullmatch(_text(_reply(response).get("error"))):
            raise NotSignedIn(self._refusal(response, what))
        if response.status != 200:
            error = self.failure(response, self.route)
            # A proxy that blocks is no word on what is presented.
            raise error if isinstance(error, Transient) else ServerFault(str(error))
        return response

    def _refusal(self, response: Response, what: str) -> str:
        """RFC 6749, 5.2: ``error`` is a word, ``error_description`` a sentence."""
        reply = _reply(response)
        error, reason = _text(reply.get("error")), _text(reply.get("error_description"))
        told = reason or error
        if error.startswith("invalid_client"):
            return f"the {self.client} is not accepted: {told}"
        if error.startswith("unauthorized_client"):
            return f"the application is not allowed to do this: {told}"
        return f"the {what} is not accepted: {told}"


def access_token(reply: Mapping[str, Any]) -> str:
    """The one that was granted. ServerFault."""
    return checked.token(reply.get("access_token"), "access_token", checked.MOST_SECRET_CHARS)


def refresh_token(reply: Mapping[str, Any]) -> str | None:
    """The one that was granted along with it, if any. ServerFault."""
    given = reply.get("refresh_token")
    return None if given is None else checked.token(given, "refresh_token", checked.MOST_SECRET_CHARS)


def _reply(response: Response) -> Mapping[str, Any]:
    try:
        return checked.obj(response.json(), "the reply")
    except ServerFault:
        return {}


def _text(value: object) -> str:
    try:
        return checked.text(value, "the reason") if value else ""
    except ServerFault:
        return ""
