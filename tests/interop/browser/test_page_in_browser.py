"""The page of a mount in Chromium: it shows what the mount tells, and its buttons do what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from daemon.control.account import Backlog
from daemon.control.status import Copy, Trouble
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


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """On a phone, of a mount with two changes that failed and with a conflicted copy, all of long names."""
    failed = [
        Trouble(f"/{'a' * 200}{n}", "failed", "get permission, then run mountfs retry", 1.0) for n in "12"
    ]
    copies = (Copy(f"/{'b' * 200}", "conflicted copy", 4.0, "compare them, and keep one"),)
    status = replace(STATUS, account=replace(STATUS.account, troubles=tuple(failed), copies=copies))
    answers = Answers(
        FakeAccount(left=Backlog(10_000)), lambda: status, History(), SystemClock(), token=TOKEN
    )
    server = PageServer("127.0.0.1", 0, answers)
    server.start()
    page = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme="dark")
    try:
        page.goto(server.url(TOKEN))
        page.wait_for_selector("#failed button")
        yield page
    finally:
        page.close()
        server.close()


def test_the_page_can_be_read_on_a_phone(page: Any) -> None:
    """Columns of fixed widths left none for the reason, which then stood there a letter a line."""
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    told = page.locator(".stacked td:first-child, .stacked td.wrap, #title")
    assert told.count() == 100 + 2 * 2 + 2 + 1
    assert min(told.nth(n).bounding_box()["width"] for n in (0, 1, 2, 3, 4, 5, 6, 7, 106)) > 250


def test_the_page_leaves_the_focus_where_it_is(page: Any) -> None:
    """It asks every 2 s, and put the buttons in anew: Tab began at the top, a click between was lost."""
    second = page.locator("#failed button").nth(1)
    second.focus()
    page.evaluate("look()")
    assert second.evaluate("button => button === document.activeElement")


def test_a_button_tells_that_the_mount_is_gone(page: Any) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.route("**/api/*", lambda route: route.abort())
    page.click("#hold")
    page.wait_for_selector("#health.down")
    assert "the mount does not answer" in page.text_content("#trouble")
    assert wrong == []
