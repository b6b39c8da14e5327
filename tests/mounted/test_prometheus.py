"""A real Prometheus, set up as docs/OPERATIONS.md says, scrapes a mount, and our alerts fire."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.mounted.realmount import MakeMount, RealMount
from tests.mounted.sandboxprocess import REPOSITORY, Refusal, SandboxProcess
from tests.ports import OwnPort
from tests.waiting import DEADLINE_S, until

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
DOCS = REPOSITORY / "docs"

pytestmark = [
    pytest.mark.only_on("dropbox", because="the metrics are the mount's, whatever the service"),
    pytest.mark.skipif(PROMETHEUS is None or PROMTOOL is None, reason="needs Debian's package prometheus"),
]
pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")


SERIES = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="mountfs"}', values: "1x30 0x90"}
      - {series: 'mountfs_changes{state="failed"}', values: "2x120"}
      - {series: 'mountfs_oldest_pending_seconds', values: "0+60x120"}
      - {series: 'mountfs_sent_bytes_total', values: "0+5x70 350x50"}
    alert_rule_test:
      - {eval_time: 9m, alertname: MountfsFailed}
      - {eval_time: 34m, alertname: MountfsDown}
      - {eval_time: 90m, alertname: MountfsStuck}
"""
"""A mount that has refused changes from the start, is down from minute 31 on, and sends nothing from 71
on: none of these is told yet."""


def test_no_alert_fires_before_its_time(tmp_path: Path) -> None:
    """Also what promtool says of the rules as they are in docs."""
    shutil.copy(DOCS / "alerts.yml", tmp_path)
    (tmp_path / "tests.yml").write_text(SERIES)
    for order in (["check", "rules", "alerts.yml"], ["test", "rules", "tests.yml"]):
        done = subprocess.run([str(PROMTOOL), *order], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    late = SERIES.replace("9m", "11m").replace("34m", "37m").replace("90m", "102m")
    (tmp_path / "tests.yml").write_text(late)
    order = [str(PROMTOOL), "test", "rules", "tests.yml"]
    done = subprocess.run(order, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert all(name in done.stdout + done.stderr for name in ("MountfsFailed", "MountfsDown", "MountfsStuck"))


class Prometheus:
    """Scrapes and evaluates every second, on loopback."""

    def __init__(self, folder: Path, mount: RealMount, target: str) -> None:
        self._own = OwnPort()
        self._port = self._own.number
        found = re.search(r"^scrape_configs:\n(?: .*\n)+", (DOCS / "OPERATIONS.md").read_text(), re.MULTILINE)
        assert found is not None
        scrape = found[0].replace("/var/lib/mountfs", str(mount.state_dir)).replace("127.0.0.1:8123", target)
        rules = re.sub(r"for: \d+m", "for: 0s", (DOCS / "alerts.yml").read_text())
        (folder / "alerts.yml").write_text(rules)
        config = folder / "prometheus.yml"
        often = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yml]\n"
        config.write_text(f"{often}{scrape}")
        check = subprocess.run([str(PROMTOOL), "check", "config", config], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout + check.stderr
        order = [str(PROMETHEUS), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
        order += [f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=error"]
        self._process = subprocess.Popen(order, cwd=folder)

    def ask(self, what: str) -> Any:
        """What its API says; None before it listens."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}/api/v1/{what}", timeout=DEADLINE_S
            ) as reply:
                return json.load(reply)["data"]
        except OSError:
            assert self._process.poll() is None, "Prometheus has ended"
            return None

    def value(self, query: str) -> float | None:
        data = self.ask(f"query?query={quote(query)}")
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def firing(self) -> set[str]:
        data = self.ask("alerts")
        return (
            {each["labels"]["alertname"] for each in data["alerts"] if each["state"] == "firing"}
            if data
            else set()
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_S)


@pytest.fixture
def mount(make_mount: MakeMount) -> RealMount:
    mount = make_mount(http="127.0.0.1:0")
    mount.start()
    return mount


@pytest.fixture
def prometheus(tmp_path: Path, mount: RealMount) -> Iterator[Prometheus]:
    folder = tmp_path / "prometheus"
    folder.mkdir()
    prometheus = Prometheus(folder, mount, urlsplit(mount.status()["page"]).netloc)
    yield prometheus
    prometheus.close()


def test_prometheus_scrapes_a_mount_and_the_alerts_fire(
    prometheus: Prometheus, mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.write("/there", "remote")
    (mount.path / "sent").write_text("1")
    mount.wait_committed()
    until((mount.path / "there").exists, "the mount has heard of it")
    assert (mount.path / "there").read_text() == "remote"
    until(lambda: prometheus.value("up") == 1, "it is scraped")
    until(lambda: prometheus.value("mountfs_committed_changes_total") == 1, "the commit is counted")
    until(lambda: prometheus.value('mountfs_cache_reads_total{outcome="miss"}') == 1, "the read is counted")
    assert "MountfsFailed" not in prometheus.firing()

    far_side.refuse("bad", Refusal.PERMISSION)
    (mount.path / "bad").write_text("1")
    until(lambda: "MountfsFailed" in prometheus.firing(), "a refusal is told")
    far_side.pause()
    (mount.path / "pending").write_text("1")
    mount.kill9()
    until(lambda: "MountfsDown" in prometheus.firing(), "a mount that is down is told")
