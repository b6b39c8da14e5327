"""The answer of an authorization page: in the address that the browser is sent to, or pasted by its user."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlsplit

from daemon.failure import Failure

LONGEST_CODE = 4096


class Stray(Failure):
    """What arrived is no answer to this sign-in."""


def code_in(query: str, state: str) -> str:
    """The code in the query of the address that the browser was sent to. Stray; Failure when the page's user,
    or the service, said no."""
    told = {name: values[0] for name, values in parse_qs(query).items()}
    if not secrets.compare_digest(told.get("state", "").encode(), state.encode()):
        raise Stray("this is the answer to another question (its state is not ours); try again")
    if "error" in told:
        reason = told.get("error_description") or told["error"]
        raise Failure(f"the service did not let mountfs use the account: {reason}")
    return _checked(told.get("code", ""))


def code_pasted(text: str, state: str) -> str:
    """The code in what somebody pasted: itself, or the whole address the browser was sent to. Failure."""
    given = text.strip()
    if "://" in given or given.startswith(("localhost", "127.0.0.1")):
        return code_in(urlsplit(given if "://" in given else f"http://{given}").query, state)
    return _checked(given)


def _checked(code: str) -> str:
    if not code:
        raise Failure("there is no code in it; paste the code, or the whole address that the browser shows")
    if not code.isascii() or not code.isprintable() or " " in code or len(code) > LONGEST_CODE:
        raise Failure("that is no code: it holds spaces or characters that none has; paste it again")
    return code
