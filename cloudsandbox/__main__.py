"""`python -m cloudsandbox dropbox|box`: a stand-in as a process of its own."""

import argparse
import asyncio
import contextlib
import json
import math
import os
import signal
import sys
import threading
from pathlib import Path

from cloudsandbox.bearer import TokenError
from cloudsandbox.box import BoxSandbox, BoxSwitches
from cloudsandbox.box.switches import LIFELIKE as BOX_LIFELIKE
from cloudsandbox.datalock import DataError, held
from cloudsandbox.dropbox import DropboxSandbox, DropboxSwitches
from cloudsandbox.dropbox.switches import LIFELIKE as DROPBOX_LIFELIKE
from cloudsandbox.faults import FaultError, parse_rules
from cloudsandbox.server import SandboxServer
from cloudsandbox.switches import SwitchError, read_json, read_mapping, updated
from cloudsandbox.tls import Authority


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _directory(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a directory")
    return Path(text)


def _milliseconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError("a latency is a number, zero or more")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cloudsandbox", description=__doc__)
    parser.add_argument("service", choices=["box", "dropbox"])
    parser.add_argument(
        "--token", help="what opens the account and /sandbox/; without it a random one, which is printed"
    )
    parser.add_argument("--port", type=_port, default=0, help="0: any free port")
    parser.add_argument(
        "--data", type=_directory, help="directory of the state; without it the state is temporary"
    )
    parser.add_argument(
        "--tls", action="store_true", help="speak https, by an authority whose certificate is then printed"
    )
    parser.add_argument(
        "--lifelike", action="store_true", help="rates and durations about as the service has them"
    )
    parser.add_argument("--latency-ms", type=_milliseconds, help="wait before every answer")
    parser.add_argument("--faults", type=Path, help="JSON file with fault rules")
    parser.add_argument("--switches", type=Path, help="TOML or JSON file with switches")
    parser.add_argument("--parent-pipe", action="store_true", help="end when standard input ends")
    return parser.parse_args(argv)


def sandbox_from(arguments: argparse.Namespace) -> BoxSandbox | DropboxSandbox:
    """The sandbox that the command line describes.

    Raises SwitchError, FaultError, TokenError or OSError.
    """
    rules = []
    if arguments.faults is not None:
        rules = parse_rules(read_json(arguments.faults))
    is_box = arguments.service == "box"
    lifelike = BOX_LIFELIKE if is_box else DROPBOX_LIFELIKE
    values = dict(lifelike) if arguments.lifelike else {}
    if arguments.switches is not None:
        values |= read_mapping(arguments.switches)
    if arguments.latency_ms is not None:
        values["latency_ms"] = arguments.latency_ms
    data, token, port = arguments.data, arguments.token, arguments.port
    authority = Authority() if arguments.tls else None
    if is_box:
        box = updated(BoxSwitches(), values)
        return BoxSandbox(data, token=token, port=port, authority=authority, switches=box, faults=rules)
    dropbox = updated(DropboxSwitches(), values)
    return DropboxSandbox(data, token=token, port=port, authority=authority, switches=dropbox, faults=rules)


async def _serve(server: SandboxServer, told: dict[str, str], watches_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.request_stop)
    if watches_parent:
        threading.Thread(target=_watch_parent, args=(loop, server), name="parent-pipe", daemon=True).start()
    await server.serve(lambda url: print(json.dumps({"url": url, **told}), flush=True))


def _watch_parent(loop: asyncio.AbstractEventLoop, server: SandboxServer) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(server.request_stop)


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal or the parent's end; 2 for a senseless argument, 1 when it cannot listen."""
    arguments = _arguments(argv)
    os.umask(0o077)  # what the account holds is its owner's
    try:
        sandbox = sandbox_from(arguments)
    except (SwitchError, FaultError, TokenError, OSError) as error:
        return _complain(error, 2)
    data = arguments.data
    try:
        with contextlib.nullcontext() if data is None else held(data, arguments.service):
            _run(sandbox, watches_parent=arguments.parent_pipe)
    except (DataError, OSError) as error:
        return _complain(error, 1)
    return 0


def _run(sandbox: BoxSandbox | DropboxSandbox, *, watches_parent: bool) -> None:
    try:
        server = sandbox.build()
        told = {"token": sandbox.token}
        if sandbox.ca_file is not None:
            told["ca"] = str(sandbox.ca_file.absolute())
        asyncio.run(_serve(server, told, watches_parent))
    finally:
        sandbox.stop()


def _complain(error: Exception, code: int) -> int:
    words = str(error)
    if isinstance(error, OSError) and error.strerror:
        words = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(f"cloudsandbox: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
