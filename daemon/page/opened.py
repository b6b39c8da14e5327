"""The page's place among the ports of this machine, which somebody else may have."""

from __future__ import annotations

import logging
import math

from daemon.page.answers import Answers
from daemon.page.server import PageServer

LOG = logging.getLogger(__name__)

AGAIN_S = 10.0
"""Between two tries to get the port."""


class OpenedPage:
    """Serves the page as soon as its port is free. A mount does not fail for it: files must not be away, nor
    stay unsent, because some program has the port for a moment. One thread calls."""

    def __init__(self, host: str, port: int, answers: Answers, token: str) -> None:
        self._host = host
        self._port = port
        self._answers = answers
        self._token = token
        self._server: PageServer | None = None
        self._due_s = -math.inf
        self.trouble = ""
        """Why no page is served, and what to do; empty while it is."""
        self.url = ""

    def look(self, now_s: float) -> None:
        """Tries to get the port, if there is no page and the time has come."""
        if self._server is not None or now_s < self._due_s:
            return
        self._due_s = now_s + AGAIN_S
        try:
            server = PageServer(self._host, self._port, self._answers)
        except OSError as error:
            why = error.strerror or str(error)
            place = f"http = {self._host}:{self._port}"
            trouble = f"{place}: {why}; end the program that listens there, or name another port"
            if trouble != self.trouble:
                LOG.error("no page is served: %s", trouble)
            self.trouble = trouble
            return
        server.start()
        if self.trouble:
            LOG.warning("the page is served now: it was: %s", self.trouble)
        self._server, self.trouble, self.url = server, "", server.url(self._token)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
