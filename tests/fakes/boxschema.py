"""Holds recorded exchanges against the published description of the Box API.

The facts are in `boxschema.json`, with where they come from and what was amended.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from cloudsandbox.exchanges import Exchange

PREFIXES = {
    "api": r"/2\.0",
    "upload": r"/api/2\.0",
    "session": r"(?:/[\w-]+)?/api/2\.0",
    "token": "(?:/api)?",
    "plain": "",
}
REFUSED = frozenset({400, 404, 405, 411, 413, 415, 416})
"""A request answered with one of these may well be none of the description's."""

UNREAD = frozenset({401, 429})
"""A request answered with one of these may have been refused before its body was looked at."""

_DATE_TIME = re.compile(
    r"\d{4}-(0\d|1[0-2])-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or _DATE_TIME.fullmatch(value) is not None


@cache
def _facts() -> Any:
    return json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))


@cache
def _routes() -> list[tuple[re.Pattern[str], Any]]:
    # A literal path goes before one with a parameter: `files/content` is no file id.
    ordered = sorted(_facts()["routes"], key=lambda route: route["path"].count("{"))
    return [
        (re.compile(PREFIXES[route["host"]] + re.sub(r"{\w+}", "[^/]+", route["path"]) + "/?"), route)
        for route in ordered
    ]


@dataclass(frozen=True, slots=True)
class _Checked:
    """One exchange with the name it has in complaints."""

    exchange: Exchange

    def wrong(self, where: str, value: Any, schema: Any) -> Iterator[str]:
        for error in _validator(json.dumps(schema)).iter_errors(value):
            place = "".join(f"[{each!r}]" for each in error.absolute_path)
            reasons = [each.message for each in error.context or []] or [error.message]
            yield self.complaint(f"{where}{place}: {'; '.join(reasons)}")

    def complaint(self, text: str) -> str:
        return f"{self.exchange.method} {self.exchange.path} -> {self.exchange.status}: {text}"


@cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "schemas": _facts()["schemas"]}
    return Draft202012Validator(whole, format_checker=_FORMATS)


def violations(exchanges: Iterable[Exchange], *, refused_may_be_wrong: bool = False) -> list[str]:
    """Every way in which requests and replies differ from the description, one line each.

    With *refused_may_be_wrong* requests that the service refused as senseless are not looked at: for tests
    that send such on purpose.
    """
    return [line for each in exchanges for line in _violations(_Checked(each), refused_may_be_wrong)]


def _violations(checked: _Checked, refused_may_be_wrong: bool) -> Iterator[str]:
    exchange = checked.exchange
    forgiven = refused_may_be_wrong and exchange.status in REFUSED
    route = next(
        (
            route
            for regex, route in _routes()
            if route["method"] == exchange.method and regex.fullmatch(exchange.path)
        ),
        None,
    )
    if route is None:
        if not forgiven:
            yield checked.complaint("no such route")
        return
    if not forgiven:
        yield from _request_violations(checked, route)
    yield from _reply_violations(checked, route)


def _request_violations(checked: _Checked, route: Any) -> Iterator[str]:
    exchange = checked.exchange
    known = route.get("query", {})
    for name, text in exchange.query.items():
        if name not in known:
            yield checked.complaint(f"unknown query parameter {name}")
        else:
            yield from checked.wrong(f"query {name}", _typed(text, known[name]), known[name])
    for name, schema in route.get("headers", {}).items():
        if name not in exchange.request_headers:
            yield checked.complaint(f"lacks the header {name}")
        else:
            yield from checked.wrong(f"header {name}", exchange.request_headers[name], schema)
    wanted = route.get("request")
    if wanted is None:
        if exchange.request_body not in (None, {}):
            yield checked.complaint(f"has a body: {exchange.request_body!r}")
        return
    # The service takes JSON without its type.
    given_type = exchange.request_headers.get("content-type", "application/json").partition(";")[0].strip()
    if given_type != wanted["type"]:
        yield checked.complaint(f"content-type {given_type!r}, expected {wanted['type']}")
    elif exchange.request_body is None and exchange.status in UNREAD:
        return
    elif "schema" in wanted:
        yield from checked.wrong("request", exchange.request_body, wanted["schema"])


def _typed(text: str, schema: Any) -> Any:
    """A query parameter as the type that the description gives it; the text itself when it is none."""
    match schema.get("type"):
        case "integer" if re.fullmatch(r"-?\d+", text):
            return int(text)
        case "boolean" if text.lower() in ("true", "false"):  # the official SDK writes True
            return text.lower() == "true"
        case "array":
            return text.split(",")
    return text


def _reply_violations(checked: _Checked, route: Any) -> Iterator[str]:
    exchange, replies = checked.exchange, route["replies"]
    reply = replies.get(str(exchange.status), replies.get("default"))
    if exchange.status == 401 and exchange.reply_body is None:
        if "www-authenticate" not in exchange.reply_headers:
            yield checked.complaint("lacks the header www-authenticate")
        return
    is_listed = str(exchange.status) in replies or (exchange.status or 0) >= 400
    if reply is None or not is_listed:
        yield checked.complaint("the description has no such status")
        return
    for name in reply.get("headers", []):
        if name not in exchange.reply_headers:
            yield checked.complaint(f"the reply lacks the header {name}")
    if "schema" in reply:
        if exchange.reply_headers.get("content-type", "").partition(";")[0] != "application/json":
            yield checked.complaint("the reply is no JSON")
        yield from checked.wrong("reply", exchange.reply_body, reply["schema"])
    elif not reply.get("bytes") and exchange.reply_body is not None:
        yield checked.complaint("the reply has a body")


def assert_conforms(exchanges: Iterable[Exchange], *, refused_may_be_wrong: bool = False) -> None:
    """Fail with every violation in these exchanges."""
    found = violations(exchanges, refused_may_be_wrong=refused_may_be_wrong)
    assert not found, "\n".join(found[:20])
