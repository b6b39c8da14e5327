"""Ending a connection at once, whatever state it is in, and what asyncio makes of one that ended twice."""

import asyncio
import contextlib
from typing import Any


def hang_up(transport: asyncio.BaseTransport) -> None:
    """Ends the connection now; harmless for one that is gone.

    A transport that was closed with bytes left to send, and has sent them, has let go of its loop and of its
    protocol: `abort` raises AttributeError then.
    """
    with contextlib.suppress(
        AttributeError
    ):  # a TLS transport that was closed twice cannot name its protocol
        if transport.get_protocol() is None:
            return
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The loop's exception handler: logs all but the second end of a connection.

    When the last bytes of a transport are sent, `_write_ready` lets its protocol send more. With TLS, that
    send may find that the client is gone and schedule the end of the connection. `_write_ready` then ends it
    itself, and the scheduled call finds no protocol.
    """
    error = context.get("exception")
    if isinstance(error, AttributeError) and "_call_connection_lost" in context.get("message", ""):
        return
    loop.default_exception_handler(context)
