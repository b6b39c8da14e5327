"""Box's authorization page; the codes it gives out are redeemed at the token endpoint."""

import time
from collections.abc import Mapping

from aiohttp import web

from cloudsandbox.box.dispatch import Call, Host, Reply, Route
from cloudsandbox.box.errors import Refusal
from cloudsandbox.box.service import BoxAccount
from cloudsandbox.consent import Consent, consent_page, is_redirect_allowed, redirect_with, refusal_page

PATH = "api/oauth2/authorize"
CODE_LIFETIME_S = 30.0
SCOPES = ["root_readwrite"]


async def show(call: Call) -> Reply | web.StreamResponse:
    """The page itself."""
    return _answer(call.account, dict(call.request.query), {})


async def decide(call: Call) -> Reply | web.StreamResponse:
    """What whoever looks at it has answered."""
    form = {name: str(value) for name, value in (await call.request.post()).items()}
    return _answer(call.account, form, form)


def _answer(account: BoxAccount, asked: Mapping[str, str], form: Mapping[str, str]) -> web.Response:
    wrong = _complaint(account, asked)
    if wrong is not None:
        return refusal_page(wrong)
    # Without an address Box takes the one that is registered.
    redirect_uri = asked.get("redirect_uri") or account.switches.redirect_uris[0]
    state = asked.get("state")
    if "decision" not in form:
        return consent_page("Box", asked, SCOPES)
    if form["decision"] != "allow":
        said = "The user denied access to your application"
        return redirect_with(redirect_uri, error="access_denied", error_description=said, state=state)
    try:
        account.tokens.check(f"Bearer {form.get('password', '')}")
    except Refusal:
        return consent_page("Box", asked, SCOPES, "That is not the token.")
    consent = Consent(asked["client_id"], asked.get("redirect_uri"))
    code = account.tokens.codes.issue(consent, time.time() + CODE_LIFETIME_S)
    return redirect_with(redirect_uri, code=code, state=state)


def _complaint(account: BoxAccount, asked: Mapping[str, str]) -> str | None:
    switches, redirect_uri = account.switches, asked.get("redirect_uri")
    if asked.get("client_id") != switches.client_id:
        return "Error: invalid_client. The client_id that was given is not valid."
    if asked.get("response_type") != "code":
        return "Error: unsupported_response_type"
    if redirect_uri is None and not switches.redirect_uris:
        return "Error: redirect_uri_missing"
    if redirect_uri is not None and not is_redirect_allowed(redirect_uri, switches.redirect_uris):
        return "Error: redirect_uri_mismatch. The redirect URI does not match those of the application."
    return None


ROUTES = [
    Route("oauth2/authorize", "GET", PATH, show, Host.PLAIN, needs_token=False),
    Route("oauth2/authorize", "POST", PATH, decide, Host.PLAIN, needs_token=False),
]
