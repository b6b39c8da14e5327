"""Takes the pictures of the documents anew: ``python -m tests.pictures [FOLDER]``, into docs by default.

A mount with 1,000 small files and a large one on their way, and with two failures: the page as Chromium shows
it, and ``mountfs status --watch``. Look at them before they are committed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from daemon.cli.overview import Overview, ask_status
from daemon.cli.watch import screen
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import REPOSITORY, Refusal, SandboxProcess
from tests.waiting import until

CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1180, 1000
COLUMNS = 120
MIB = 1 << 20
HOME = "/home/franz"


def main(folder: Path) -> None:
    program = next(filter(None, map(shutil.which, CHROMIUMS)))
    with (
        tempfile.TemporaryDirectory() as name,
        DropboxProcess(Path(name) / "far") as far_side,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        with RealMount(Path(name), far_side, http="127.0.0.1:0", bwlimit="3M") as mount:
            mount.start()
            make_busy(mount, far_side)
            take_page(page, mount, folder / "page.png")
            take_watch(page, mount, folder / "status-watch.png")
        browser.close()


def make_busy(mount: RealMount, far_side: SandboxProcess) -> None:
    far_side.write("/report.txt", "x" * 6_000_000)
    (mount.path / "notes.txt").write_text("a line\n")
    mount.wait_committed()
    until((mount.path / "report.txt").exists, "the mount has heard of it")
    (mount.path / "report.txt").read_bytes()
    far_side.refuse("bad*", Refusal.PERMISSION)
    for name in ("bad1.txt", "bad2.txt"):
        (mount.path / name).write_text("1\n")
    until(lambda: states(mount).get("failed", {}).get("count") == 2, "two have failed")
    with (mount.path / "disk.iso").open("wb") as large:
        for number in range(240):
            large.write(number.to_bytes(4, "big") * (MIB // 4))
    until(lambda: history(mount) >= 4, "there is something to plot")
    far_side.slow_commits(120.0)  # or small files may be committed as fast as a busy machine writes them
    (mount.path / "photos").mkdir()
    for number in range(1000):
        (mount.path / "photos" / f"img{number:04}.jpg").write_bytes(number.to_bytes(4, "big") * 7500)
    until(lambda: states(mount).get("uploaded", {}).get("count", 0) > 100, "small ones are, too")


def history(mount: RealMount) -> int:
    """How many points the plots have."""
    address, _, token = mount.status()["page"].partition("?token=")
    asked = Request(f"{address}api/state", headers={"Authorization": f"Bearer {token}"})
    with urlopen(asked) as reply:
        return len(json.load(reply)["history"])


def account(mount: RealMount) -> dict[str, Any]:
    found: dict[str, Any] = mount.status()["account"]
    return found


def states(mount: RealMount) -> dict[str, Any]:
    found: dict[str, Any] = account(mount)["states"]
    return found


def take_page(page: Page, mount: RealMount, target: Path) -> None:
    page.goto(mount.status()["page"])
    page.wait_for_selector("#health.trouble")
    page.evaluate(f"document.getElementById('title').textContent = 'work: on {HOME}/Dropbox'")
    page.screenshot(path=target, full_page=True)


def take_watch(page: Page, mount: RealMount, target: Path) -> None:
    status = ask_status(mount.path)
    shown = replace(
        status,
        mountpoint=f"{HOME}/Dropbox",
        state_dir=f"{HOME}/.local/state/mountfs",
        page=f"{status.page.partition('=')[0]}=…",
    )
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(screen(Overview([shown])))
    page.set_content(f"<body style='margin: 0'>{console.export_svg(title='mountfs status --watch')}")
    page.locator("svg").first.screenshot(path=target)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if sys.argv[1:] else REPOSITORY / "docs")
