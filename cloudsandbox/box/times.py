"""Times on the wire: RFC 3339 with an offset, whole seconds, none before 1970."""

import re
from datetime import UTC, datetime, timedelta, timezone

from cloudsandbox.box.errors import bad_parameter

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def rendered(epoch_s: int, utc_offset_hours: int) -> str:
    """A time as replies have it."""
    zone = timezone(timedelta(hours=utc_offset_hours))
    return datetime.fromtimestamp(epoch_s, zone).isoformat(timespec="seconds")


def parsed(name: str, text: object) -> int:
    """Seconds of the epoch from the field *name*. Raises Refusal: 400."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise bad_parameter(name, f"Invalid value {text!r}. Expected an RFC 3339 date and time")
    offset = "+00:00" if match[3] in "zZ" else match[3]
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}")
        epoch_s = int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise bad_parameter(name, f"Invalid value {text!r}") from error
    if epoch_s < 0:
        raise bad_parameter(name, "Dates before 1970 are not supported")
    return epoch_s
