"""Content on its way out: whole or one range of it, in slices, never more than one slice in memory."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from cloudsandbox.account import Account
from cloudsandbox.content import ContentReader
from cloudsandbox.gate import Passage
from cloudsandbox.ranges import ServedRange, served_range

SLICE_BYTES = 256 * 1024
"""About what a socket takes at once: what it leaves is copied twice more."""
TURN_BYTES = 4 * SLICE_BYTES
"""After so many the loop has a turn, in which asyncio tells TLS that a client is gone: the next write raises
then. With one for each slice those who download side by side got a slice each in turn, and took a twentieth
more of their processor's time for it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is asked for: a content file of *size_bytes*, and how a Range past its end is answered."""

    blob: str
    size_bytes: int
    etag: str
    whole_past_end: bool


async def send_content(
    account: Account, passage: Passage, sent: Sent, headers: dict[str, str]
) -> web.StreamResponse:
    """A response with the content, honouring Range and If-None-Match."""
    request = passage.request
    headers = {
        **headers,
        "ETag": sent.etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if sent.etag in [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]:
        return web.Response(status=304, headers=headers)
    served = served_range(request.headers.get("Range"), sent.size_bytes, sent.whole_past_end)
    if served is None:
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{sent.size_bytes}"})
    if served.is_partial:
        headers["Content-Range"] = served.content_range
    status = 206 if served.is_partial else 200
    if served.length_bytes == 0:
        return web.Response(status=status, headers=headers)
    try:
        opened = await account.in_io(account.files.reader, sent.blob)
    except FileNotFoundError:
        return web.Response(status=404)  # an old revision, forgotten since it was looked up
    with opened as reader:
        if served.length_bytes <= SLICE_BYTES:
            body = bytes(await _piece(account, reader, served.start_bytes, served.length_bytes))
            await account.line.download(len(body))
            return web.Response(body=body, status=status, headers=headers)
        response = web.StreamResponse(status=status, headers=headers)
        return await _stream(account, passage, reader, served, response)


async def _stream(
    account: Account,
    passage: Passage,
    reader: ContentReader,
    served: ServedRange,
    response: web.StreamResponse,
) -> web.StreamResponse:
    response.content_length = served.length_bytes
    await response.prepare(passage.request)
    cut_bytes = served.length_bytes if passage.cut_bytes is None else passage.cut_bytes
    sent_bytes = 0
    while sent_bytes < min(served.length_bytes, cut_bytes):
        count = min(SLICE_BYTES, served.length_bytes - sent_bytes, cut_bytes - sent_bytes)
        offset_bytes = served.start_bytes + sent_bytes
        piece = await _piece(account, reader, offset_bytes, count)
        await account.line.download(count)
        await response.write(piece)
        sent_bytes += count
        if sent_bytes % TURN_BYTES == 0:
            await asyncio.sleep(0)
    if sent_bytes == served.length_bytes:
        await response.write_eof()
    elif passage.request.transport is not None:
        passage.request.transport.close()
    return response


async def _piece(
    account: Account, reader: ContentReader, offset_bytes: int, length_bytes: int
) -> bytes | bytearray:
    """Exactly the bytes asked for. To hand the read to a thread and back costs more than to copy them."""
    piece = reader.read_now(offset_bytes, length_bytes)
    if piece is None:
        return await account.in_io(reader.read_at, offset_bytes, length_bytes)
    return piece
