"""Dropbox's wire: hosts, call styles, headers and JSON; no knowledge of what a call means."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mountfs.backends import checked
from mountfs.backends.dropbox.errors import CHECK, LOOKUP, error_in, from_response, tags_of
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.http import HttpClient
from mountfs.backends.pageplaces import PagePlaces
from mountfs.backends.wire import Request, Response, StreamedBody, Window
from mountfs.errors import MountfsError, ServerFault
from mountfs.ports import Take

Json = dict[str, Any]

_PREFIX = {
    "files/upload_session/append_v2": (LOOKUP,),
    "files/upload_session/finish_batch/check": (CHECK,),
    "files/delete_batch/check": (CHECK,),
    "files/move_batch/check_v2": (CHECK,),
    "files/create_folder_batch/check": (CHECK,),
}
"""Tags that a route leaves out above those of its errors."""


class DropboxApi:
    """Calls by route, such as ``files/list_folder``; raises what ``errors`` makes of a refusal."""

    def __init__(self, http: HttpClient, settings: DropboxSettings) -> None:
        self.http = http
        self.page_places = PagePlaces()
        self._settings = settings
        self._lock = threading.Lock()
        self._root_namespace: str | None = None

    def rpc(self, route: str, arg: Any, *, is_read: bool = False, read_timeout_s: float | None = None) -> Any:
        """JSON both ways."""
        return self._json(self._request("api", route, arg, is_read=is_read, read_timeout_s=read_timeout_s))

    def upload(self, route: str, arg: Json, body: bytes) -> Any:
        """Bytes there, JSON back."""
        return self._json(self._request("content", route, arg, body=body))

    def try_upload(self, route: str, arg: Json, body: bytes | StreamedBody) -> Response:
        """As ``upload``, but the reply of any status is the caller's to judge."""
        return self._exchange(self._request("content", route, arg, body=body))

    def download(self, route: str, arg: Json, window: Window, take: Take | None = None) -> Response:
        """A range of bytes: 206 or 200 with at most those of the *window*, or 416 where there are none."""
        request = self._request(
            "content",
            route,
            arg,
            is_read=True,
            window=window,
            extra={
                "Range": f"bytes={window.offset}-{window.offset + window.length - 1}",
                "Accept-Encoding": "identity",
            },
        )
        response = self._exchange(replace(request, take=take))
        if response.status not in (200, 206, 416):
            raise self._failure(response, route)
        return response

    def longpoll(self, cursor: str, timeout_s: int, patience_s: float) -> Json:
        """``list_folder/longpoll``: without a token, on connections of its own. ``TimedOut``."""
        route = "files/list_folder/longpoll"
        request = Request(
            "POST",
            f"{self._settings.notify_url}/2/{route}",
            route,
            {"Content-Type": "application/json"},
            encoded({"cursor": cursor, "timeout": timeout_s}),
            is_read=True,
            is_signed=False,
            is_longpoll=True,
            read_timeout_s=patience_s,
        )
        return self._object_of(request)

    def object(
        self, route: str, arg: Any, *, is_read: bool = False, read_timeout_s: float | None = None
    ) -> Json:
        """``rpc`` whose reply must be an object."""
        return self._object_of(
            self._request("api", route, arg, is_read=is_read, read_timeout_s=read_timeout_s)
        )

    def page(self, route: str, arg: Json) -> Response:
        """The reply to a call that lists something, as it came; for ``taken_apart``."""
        return self._succeeded(self._request("api", route, arg, is_read=True))

    @contextmanager
    def taken_apart(self, reply: Response, route: str, *, is_ahead: bool = False) -> Iterator[Json]:
        """What a page says. It takes several times its bytes: nothing of it may outlive the block."""
        with self.page_places.taken(len(reply.body), is_ahead=is_ahead):
            yield self._object(reply.json(), route)

    def account(self) -> Json:
        """Who we are; the only call that needs no namespace."""
        route = "users/get_current_account"
        request = self._request("api", route, None, is_read=True, in_namespace=False)
        account = self._object_of(request)
        root = account.get("root_info")
        if isinstance(root, Mapping):
            with checked.reply_of(request.url, route):
                namespace = checked.token(root.get("root_namespace_id"), "root_namespace_id")
            with self._lock:
                self._root_namespace = namespace
        return account

    def _request(
        self,
        host: str,
        route: str,
        arg: Any,
        *,
        body: bytes | StreamedBody | None = None,
        is_read: bool = False,
        window: Window | None = None,
        read_timeout_s: float | None = None,
        in_namespace: bool = True,
        extra: Mapping[str, str] | None = None,
    ) -> Request:
        headers = dict(extra or {})
        if host == "api":
            body = encoded(arg)
            headers["Content-Type"] = "application/json"
        else:
            headers["Dropbox-API-Arg"] = json.dumps(arg)
            if body is not None:
                headers["Content-Type"] = "application/octet-stream"
        if in_namespace:
            headers |= self._namespace()
        if self._settings.select_user:
            headers["Dropbox-API-Select-User"] = self._settings.select_user
        if self._settings.select_admin:
            headers["Dropbox-API-Select-Admin"] = self._settings.select_admin
        base = self._settings.api_url if host == "api" else self._settings.content_url
        return Request(
            "POST",
            f"{base}/2/{route}",
            route,
            headers,
            body or b"",
            is_read=is_read,
            window=window,
            read_timeout_s=read_timeout_s,
        )

    def _namespace(self) -> dict[str, str]:
        """The ``Dropbox-API-Path-Root`` header; the home namespace needs none."""
        chosen = self._settings.path_root
        if chosen == "home":
            return {}
        if chosen != "root":
            return {"Dropbox-API-Path-Root": json.dumps({".tag": "namespace_id", "namespace_id": chosen})}
        root = self.root_namespace()
        return {"Dropbox-API-Path-Root": json.dumps({".tag": "root", "root": root})}

    def root_namespace(self) -> str:
        """The id of the user's root, asked for once."""
        with self._lock:
            root = self._root_namespace
        return root if root is not None else self._learn_root()

    def _learn_root(self) -> str:
        self.account()
        with self._lock:
            if self._root_namespace is None:
                raise ServerFault("the account has no root namespace")
            return self._root_namespace

    def _json(self, request: Request) -> Any:
        response = self._succeeded(request)
        with checked.reply_of(request.url, request.route):
            return response.json()

    def _object_of(self, request: Request) -> Json:
        response = self._succeeded(request)
        with checked.reply_of(request.url, request.route):
            reply = response.json()
            if not isinstance(reply, dict):
                raise ServerFault("the reply is not an object")
        return reply

    def _succeeded(self, request: Request) -> Response:
        response = self._exchange(request)
        if not 200 <= response.status < 300:
            raise self._failure(response, request.route)
        return response

    def _exchange(self, request: Request) -> Response:
        """The reply; once more when the root namespace we named is not the user's root any more."""
        response = self.http.exchange(request)
        if response.status == 422 and self._settings.path_root == "root":
            tags, _ = tags_of(error_in(response))
            if tags[:1] == ("invalid_root",) and "Dropbox-API-Path-Root" in request.headers:
                self._learn_root()
                headers = {**request.headers, **self._namespace()}
                response = self.http.exchange(replace(request, headers=headers))
        return response

    def _failure(self, response: Response, route: str) -> MountfsError:
        return from_response(response, route, *_PREFIX.get(route, ()))

    @staticmethod
    def _object(reply: Any, route: str) -> Json:
        if not isinstance(reply, dict):
            raise ServerFault(f"{route}: the reply is not an object")
        return reply


def encoded(arg: Any) -> bytes:
    """A JSON argument as a request's body; ``null`` stands for none."""
    return json.dumps(arg).encode()
