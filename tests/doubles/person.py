"""Somebody with a browser: looks at a stand-in's authorization page, and presses one of its buttons."""

from __future__ import annotations

from html.parser import HTMLParser

import requests

TOKEN = "sandbox"


class _Page(HTMLParser):
    """The fields of the form, and the text of what has an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input":
            self.fields[given["name"] or ""] = given.get("value") or ""
        self._inside = given.get("id", self._inside)

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


class Person:
    """Has no cookies and follows no redirects but when told to."""

    def __init__(self, token: str = TOKEN, ca_file: str | None = None) -> None:
        """*ca_file*: the authority whose certificates are good."""
        self._token = token
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca_file or True

    def looks_at(self, url: str) -> requests.Response:
        return self._session.get(url, timeout=20)

    def decides(self, url: str, decision: str = "allow") -> requests.Response:
        """What the press of the button is answered with: a redirect that is not followed, or a page."""
        found = self.looks_at(url)
        assert found.status_code == 200, found.text
        form = {**_Page(found.text).fields, "password": self._token, "decision": decision}
        target = url.partition("?")[0]
        return self._session.post(target, data=form, timeout=20, allow_redirects=False)

    def copies_code(self, url: str) -> str:
        """The code that a page shows, where there is no address to go back to."""
        return shown(self.decides(url), "code")

    def is_sent_to(self, url: str, decision: str = "allow") -> str:
        """The address that the browser is sent back to."""
        reply = self.decides(url, decision)
        assert reply.status_code == 302, reply.text
        return reply.headers["Location"]

    def goes_all_the_way(self, url: str, decision: str = "allow") -> requests.Response:
        """As a browser does: also to the address that it is sent to."""
        return self.looks_at(self.is_sent_to(url, decision))

    def close(self) -> None:
        self._session.close()


def shown(page: requests.Response, what: str) -> str:
    """The text of the element with this id."""
    return _Page(page.text).texts[what]
