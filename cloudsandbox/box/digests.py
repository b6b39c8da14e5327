"""The headers that say what bytes are sent: Digest (RFC 3230) and Content-Range."""

import base64
import binascii
import re

from cloudsandbox.box.errors import Refusal, bad_request

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


def bad_digest() -> Refusal:
    """The bytes are not those the client named."""
    return Refusal(400, "bad_digest", "The specified content-md5 or digest did not match what we received")


def sha1_in(header: str | None) -> str:
    """The SHA-1 in a Digest header, as lowercase hex. Raises Refusal."""
    for each in (header or "").split(","):
        name, _, value = each.strip().partition("=")
        if name.lower() == "sha":
            try:
                raw = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise bad_digest() from None
            if len(raw) != 20:
                raise bad_digest()
            return raw.hex()
    raise bad_request("The header Digest must have the form sha=BASE64")


def content_range(header: str | None) -> tuple[int, int, int]:
    """Start, end (exclusive) and total of a Content-Range header. Raises Refusal."""
    match = _CONTENT_RANGE.fullmatch(header or "")
    if match is None:
        raise bad_request("The header Content-Range must have the form bytes FIRST-LAST/TOTAL")
    return int(match[1]), int(match[2]) + 1, int(match[3])
