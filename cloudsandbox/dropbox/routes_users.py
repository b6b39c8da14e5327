"""Routes about the account and its tokens."""

from typing import Any

from aiohttp import BasicAuth, web

from cloudsandbox.dropbox.dispatch import Call, Route, json_response
from cloudsandbox.dropbox.schema import void
from cloudsandbox.dropbox.service import DropboxAccount

ACCOUNT_ID = "dbid:AAsandboxsandboxsandboxsandboxsandbox"[:40].ljust(40, "0")
READ = "account_info.read"


async def get_current_account(call: Call) -> Any:
    """Who the token belongs to."""
    switches = call.account.switches
    return {
        "account_id": ACCOUNT_ID,
        "name": {
            "given_name": "Sandy",
            "surname": "Box",
            "familiar_name": "Sandy",
            "display_name": "Sandy Box",
            "abbreviated_name": "SB",
        },
        "email": switches.email,
        "email_verified": True,
        "disabled": False,
        "locale": "en",
        "referral_link": "https://db.tt/sandbox",
        "is_paired": False,
        "account_type": {".tag": "basic"},
        "root_info": {
            ".tag": "user",
            "root_namespace_id": switches.root_namespace_id,
            "home_namespace_id": switches.root_namespace_id,
        },
    }


async def get_space_usage(call: Call) -> Any:
    """How much is used, and how much there is."""
    allocation = {".tag": "individual", "allocated": call.account.switches.quota_bytes}
    return {"used": call.account.tree.used_bytes, "allocation": allocation}


async def revoke_token(call: Call) -> Any:
    """Kill the token of this very call."""
    await call.account.run(call.account.tokens.revoke, call.token)


async def token_form(request: web.Request) -> dict[str, str]:
    """What a request to the OAuth endpoint says, the application's key and secret included."""
    form = await request.post()
    return {**_named_in_header(request), **{name: str(value) for name, value in form.items()}}


async def refresh(account: DropboxAccount, field: dict[str, str]) -> web.Response:
    """An access token for a refresh token (RFC 6749 section 6)."""
    switches = account.switches
    if field.get("grant_type") != "refresh_token":
        return refused("unsupported_grant_type", "expected authorization_code or refresh_token")
    if field.get("client_id") != switches.app_key:
        return refused("invalid_client", "Invalid client_id")
    if "client_secret" in field and field["client_secret"] != switches.app_secret:
        return refused("invalid_client", "Invalid client_id or client_secret")
    refresh_token = field.get("refresh_token", "")
    if not account.tokens.is_refresh_token(refresh_token):
        return refused("invalid_grant", "refresh token is invalid or revoked")
    granted = account.tokens.scopes_of(refresh_token)
    scopes = frozenset(field["scope"].split()) if field.get("scope") else granted
    if not scopes <= granted:
        return refused("invalid_scope", "the app does not have this scope")
    issued = await account.run(account.tokens.issue, refresh_token, scopes, float(switches.token_lifetime_s))
    return json_response(
        {"access_token": issued.token, "token_type": "bearer", "expires_in": switches.token_lifetime_s}
    )


def _named_in_header(request: web.Request) -> dict[str, str]:
    """The app's key and secret where they travel as HTTP Basic instead of in the form."""
    try:
        given = BasicAuth.decode(request.headers.get("Authorization", ""))
    except ValueError:
        return {}
    return {"client_id": given.login, "client_secret": given.password}


def refused(error: str, description: str) -> web.Response:
    """The OAuth endpoint's no."""
    return json_response({"error": error, "error_description": description}, 400)


ROUTES = [
    Route("users/get_current_account", void, get_current_account, READ),
    Route("users/get_space_usage", void, get_space_usage, READ),
    Route("auth/token/revoke", void, revoke_token),
]
