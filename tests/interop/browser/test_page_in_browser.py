"""The page of a mount in Chromium: it shows what the mount tells, and its buttons do what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from daemon.control.status import Trouble
from daemon.page.answers import Answers
from daemon.page.history import History
from daemon.page.server import PageServer
from mountfs.clock import SystemClock
from tests.interop.browser.test_login_in_browser import FOUND
from tests.unit.daemon.fakes import FakeAccount
from tests.unit.daemon.hostile import HOSTILE
from tests.unit.daemon.test_protocol import STATUS

pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no Chromium on this machine")

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_the_page_shows_the_mount_and_its_buttons_work(browser: Any) -> None:
    account = FakeAccount()
    odd = Trouble(f"/<img src=x onerror=alert(1)>{HOSTILE}", "failed", "<b>no</b>", 1.0)
    status = replace(STATUS, account=replace(STATUS.account, troubles=(odd,)))
    history = History()
    history.note(status.account.transfer, SystemClock().now_s())
    answers = Answers(account, lambda: status, history, SystemClock(), token=TOKEN)
    server = PageServer("127.0.0.1", 0, answers)
    server.start()
    try:
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(server.url(TOKEN))
        page.wait_for_selector("#health.trouble")
        assert page.text_content("#title") == f"{STATUS.remote} on {STATUS.mountpoint}"
        assert "<b>no</b>" in page.text_content("#failed")
        assert page.locator("#failed img").count() == 0
        for action, button in (("retry", "#failed button"), ("pause", "#hold")):
            with page.expect_response(f"**/api/{action}"):
                page.click(button)
        assert [each for each in account.asked if each.startswith("hold")] == ["hold True"]
        assert any(each.startswith("retry /<img") for each in account.asked)
        assert wrong == []
    finally:
        server.close()
