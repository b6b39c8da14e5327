"""`python -m cloudsandbox.readback dropbox|box URL`: what an account holds, as a client of its own sees it.

Prints one JSON object: for each file's path the hash that the service states (`stated`) and the hash of the
bytes that it delivers (`delivered`). The token is in the environment, as TOKEN_VARIABLE says: a command line
can be read by every user of the machine. Over TLS the authority to trust is in SSL_CERT_FILE, as for any
program that uses OpenSSL.
"""

import argparse
import json
import os
import sys

from cloudsandbox.box.reader import BoxReader
from cloudsandbox.dropbox.reader import DropboxReader
from cloudsandbox.fetching import ReadBackError, Reader

TOKEN_VARIABLE = "CLOUDSANDBOX_TOKEN"


def main(argv: list[str] | None = None) -> int:
    """0 when all was read; 1 with a line that says what the service would not give."""
    parser = argparse.ArgumentParser(prog="cloudsandbox.readback", description=__doc__)
    parser.add_argument("service", choices=["box", "dropbox"])
    parser.add_argument("url", help="base address of the stand-in")
    arguments = parser.parse_args(argv)
    token = os.environ.get(TOKEN_VARIABLE, "")
    reader: Reader
    if arguments.service == "box":
        reader = BoxReader(arguments.url, token)
    else:
        reader = DropboxReader(arguments.url, token)
    try:
        stated = reader.listed_hashes()
        delivered = reader.downloaded_hashes(stated)
    except ReadBackError as error:
        print(f"cloudsandbox: reading back: {error}", file=sys.stderr)
        return 1
    json.dump({path: {"stated": stated[path], "delivered": delivered[path]} for path in stated}, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
