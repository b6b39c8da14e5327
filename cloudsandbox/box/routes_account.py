"""Routes about the user, the tokens and the events."""

import asyncio
import secrets
from typing import Any

from cloudsandbox.box.dispatch import Call, Host, Reply, Route, Takes
from cloudsandbox.box.errors import Refusal, bad_parameter, denied
from cloudsandbox.box.events import MAX_LIMIT, NOW, TREE_STREAMS
from cloudsandbox.box.tokens import GrantRefused

ADMIN_STREAMS = ("admin_logs", "admin_logs_streaming")
REALTIME_PATH = "realtime/subscribe"


async def get_user(call: Call) -> Reply:
    """Who the token belongs to, or acts as."""
    account, switches = call.account, call.account.switches
    user: dict[str, Any] = {
        **account.views.user(),
        "id": call.request.headers.get("as-user", switches.user_id),
        "created_at": account.views.time(0),
        "modified_at": account.views.time(0),
        "language": "en",
        "timezone": "America/Los_Angeles",
        "space_amount": switches.quota_bytes,
        "space_used": account.items.used_bytes,
        "max_upload_size": switches.max_upload_bytes,
        "status": "active",
        "job_title": "",
        "phone": "",
        "address": "",
        "avatar_url": f"{call.base_url}/avatar",
        "notification_email": None,
    }
    wanted = call.request.query.get("fields")
    if wanted is not None:
        names = {"type", "id", *(each.strip() for each in wanted.split(","))}
        user = {name: value for name, value in user.items() if name in names}
    return Reply(user)


async def grant_token(call: Call) -> Reply:
    """The token endpoint."""
    try:
        return Reply(await call.account.run(call.account.tokens.grant, call.argument))
    except GrantRefused as refused:
        return Reply({"error": refused.error, "error_description": refused.description}, 400)


async def revoke_token(call: Call) -> Reply:
    """Kill a token."""
    try:
        await call.account.run(call.account.tokens.revoke, call.argument)
    except GrantRefused as refused:
        return Reply({"error": refused.error, "error_description": refused.description}, 400)
    return Reply(None)


async def get_events(call: Call) -> Reply:
    """One page of what happened."""
    _check_stream(call)
    limit = call.whole("limit", 100)
    if not 0 <= limit <= MAX_LIMIT:
        raise Refusal(400, "invalid_limit", f"limit must be at most {MAX_LIMIT}")
    position = call.request.query.get("stream_position", "0")
    return Reply(await call.account.run(call.account.events.page, position, max(1, limit)))


def _check_stream(call: Call) -> None:
    stream = call.request.query.get("stream_type", "all")
    if stream in ADMIN_STREAMS:
        raise denied()
    if stream not in TREE_STREAMS:
        raise bad_parameter("stream_type", f"Invalid value '{stream}'")


async def get_realtime_server(call: Call) -> Reply:
    """Where to wait for events."""
    switches = call.account.switches
    url = f"{call.base_url}/{REALTIME_PATH}?channel={secrets.token_hex(16)}&stream_type=all"
    server = {
        "type": "realtime_server",
        "url": url,
        "ttl": "10",
        "max_retries": str(switches.realtime_max_retries),
        "retry_timeout": int(switches.realtime_timeout_s),
    }
    return Reply({"chunk_size": 1, "entries": [server]})


async def wait_for_events(call: Call) -> Reply:
    """Answer when something happened after the position, or ask to come again."""
    account, events = call.account, call.account.events
    if not call.request.query.get("channel"):
        raise bad_parameter("channel", "'channel' is required", "missing_parameter")
    text = call.request.query.get("stream_position", NOW)
    known = await account.run(events.latest if text == NOW else lambda: events.checked(text))
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + account.switches.realtime_timeout_s
    while True:
        changed = account.next_change()
        if await account.run(events.has_news, known):
            return Reply({"message": "new_change"})
        try:
            await asyncio.wait_for(changed.wait(), max(0.0, deadline_s - clock()))
        except TimeoutError:
            return Reply({"message": "reconnect"})


def _token_routes(prefix: str) -> list[Route]:
    return [
        Route(
            f"oauth2/{name}", "POST", f"{prefix}/{name}", handler, Host.PLAIN, Takes.FORM, needs_token=False
        )
        for name, handler in (("token", grant_token), ("revoke", revoke_token))
    ]


ROUTES = [
    Route("users/me", "GET", "users/me", get_user),
    *_token_routes("oauth2"),
    *_token_routes("api/oauth2"),  # on app.box.com, the address of older clients
    Route("events/get", "GET", "events", get_events),
    Route("events/options", "OPTIONS", "events", get_realtime_server),
    Route("realtime", "GET", REALTIME_PATH, wait_for_events, Host.PLAIN, needs_token=False),
]
