"""``mountfs login`` with Chromium, which also opens connections that it never uses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from tests.ports import OwnPort

CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FOUND = next(filter(None, map(shutil.which, CHROMIUMS)), None)
PAGE = re.compile(r"^http://127\.0\.0\.1:\d+/\S+$")

pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as play:
        options = {"executable_path": FOUND, "args": ["--no-sandbox"]}  # which root cannot have
        browser = play.chromium.launch(**options)
        yield browser
        browser.close()


@pytest.fixture
def port() -> Iterator[str]:
    own = OwnPort()
    yield str(own.number)
    own.close()


def order(service: str, url: str, folder: Path, port: str) -> list[str]:
    named = dict.fromkeys(("api_url", "content_url", "notify_url"), url)
    named["authorize_url"] = f"{url}/oauth2/authorize"
    more = ["--app-key", "sandbox-app"]
    if service == "box":
        named = {"api_url": f"{url}/2.0", "upload_url": f"{url}/api/2.0", "token_url": f"{url}/oauth2/token"}
        named["authorize_url"] = f"{url}/api/oauth2/authorize"
        (folder / "secret").write_text("sandbox-secret")
        more = ["--client-id", "sandbox-client", "--secret-file", str(folder / "secret")]
    sets = [part for key, value in named.items() for part in ("--set", f"{key}={value}")]
    return ["login", "work", "--service", service, "--port", port, *more, *sets]


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("service", ["dropbox", "box"])
def test_a_browser_signs_in(chromium: Any, service: str, decision: str, tmp_path: Path, port: str) -> None:
    config = tmp_path / "config" / "mountfs.toml"
    with DropboxSandbox(token="sandbox") if service == "dropbox" else BoxSandbox(token="sandbox") as sandbox:
        mountfs = [sys.executable, "-m", "daemon.cli", "--config", str(config)]
        environ = {**os.environ, "HOME": str(tmp_path), "BROWSER": "true %s"}
        arguments = [*mountfs, *order(service, sandbox.base_url, tmp_path, port)]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environ) as login:
            assert login.stderr is not None
            url = next(line.strip() for line in login.stderr if PAGE.fullmatch(line.strip()))
            page = chromium.new_page()
            page.goto(url)
            page.fill("input[name=password]", "sandbox")
            page.click(f"button[value={decision}]")
            told = page.text_content("#told")
            page.close()
            rest = login.stderr.read()
    if decision == "allow":
        assert told == "This is all mountfs needs. You can close this page and go back to the terminal."
        assert (login.returncode, config.exists()) == (0, True), rest
    else:
        assert "the service did not let mountfs use the account" in told
        assert (login.returncode, config.exists()) == (1, False), rest
