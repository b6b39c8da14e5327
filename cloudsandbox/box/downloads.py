"""Downloads: a redirect to a signed URL that needs no token and is good for a while."""

import secrets
import time
from urllib.parse import quote

from aiohttp import web

from cloudsandbox.box.dispatch import Call, Host, Reply, Route
from cloudsandbox.box.errors import bad_request, not_found
from cloudsandbox.box.names import number_of
from cloudsandbox.box.records import FILE, VERSION_COLUMNS, Version, version_of
from cloudsandbox.ranges import PastEnd
from cloudsandbox.sending import Sent, send_content

PREFIX = "dl"


async def download(call: Call) -> Reply | web.StreamResponse:
    """Where the content is, or that it is not ready."""
    account, switches = call.account, call.account.switches
    number, wanted = call.number("file_id"), call.request.query.get("version")

    def work() -> tuple[str, Version]:
        item = account.items.get(number, FILE)
        if wanted is not None:
            return item.name, account.items.version(item, number_of(wanted))
        if item.version is None:
            raise not_found()
        return item.name, item.version

    name, version = await account.run(work)
    answered = account.unready.get(version.id, 0)
    if answered < switches.unready_downloads:
        account.unready[version.id] = answered + 1
        return Reply(None, 202, {"Retry-After": f"{switches.download_retry_after_s:g}"})
    if switches.direct_downloads:
        return await _send(call, version)
    token = account.links.sign(version.id, time.time() + switches.download_lifetime_s)
    location = f"{_download_base(call)}/{PREFIX}/{token}/{quote(name, safe='')}"
    return Reply(None, 302, {"Location": location})


def _download_base(call: Call) -> str:
    host = call.account.switches.download_host
    if not host:
        return call.base_url
    port = call.request.url.port
    return f"{call.request.scheme}://{host}:{port}"


async def serve(call: Call) -> web.StreamResponse:
    """The content behind a signed URL, or one range of it."""
    account = call.account
    number = account.links.read(call.params["token"], time.time())
    if account.switches.refuse_forwarded_token and "Authorization" in call.request.headers:
        raise bad_request("The access token does not belong here")

    def work() -> Version:
        query = f"SELECT {VERSION_COLUMNS} FROM version v WHERE v.id = ?"
        row = account.state.connection.execute(query, (number,)).fetchone()
        if row is None:
            raise not_found()
        return version_of(row)

    return await _send(call, await account.run(work))


async def _send(call: Call, version: Version) -> web.StreamResponse:
    whole_past_end = call.account.switches.range_past_end == PastEnd.WHOLE
    content = version.content
    sent = Sent(content.blob, content.size_bytes, f'"{content.sha1}"', whole_past_end)
    headers = {"box-request-id": secrets.token_hex(12)}
    return await send_content(call.account, call.passage, sent, headers)


ROUTES = [
    Route("files/content", "GET", "files/{file_id}/content", download),
    Route("download", "GET", PREFIX + "/{token}/{name}", serve, Host.PLAIN, needs_token=False),
]
