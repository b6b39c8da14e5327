"""A service's access tokens, as its client asks for them."""

from __future__ import annotations

from mountfs.errors import NotSignedIn


class Tokens:
    """Gives ``first``, then ``second`` once refused, then nothing."""

    def __init__(self, token: str = "first") -> None:
        self.token = token

    def current(self) -> str:
        return self.token

    def refused(self, token: str) -> str:
        if token == "second":
            raise NotSignedIn("no further token")
        self.token = "second"
        return self.token
