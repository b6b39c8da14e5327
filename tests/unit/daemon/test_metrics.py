"""What Prometheus is told, and that the dashboard and the alerts ask for what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from daemon.control.figures import Figures
from daemon.page.metrics import Metrics
from daemon.process.mounted import RunningAccount
from mountfs.fuse.timing import Timing
from tests.doubles.world import World
from tests.unit.daemon.test_mounted import account_of
from tests.unit.daemon.test_page import Page
from tests.unit.daemon.test_protocol import STATUS

parser = pytest.importorskip("prometheus_client.parser", reason="prometheus-client is not installed")

DOCS = Path(__file__).parents[3] / "docs"
FIGURES = Figures(
    outcomes={"files/upload": {"2xx": 5, "4xx": 9, "429": 2, "stale-token": 1}, "files/download": {"5xx": 4}},
    bounds_s=(0.1, 1.0),
    latencies={"read": ((3, 2, 1), 4.5)},
    batches={"put": {1: 2, 1000: 1, 5000: 1}},
    sent_bytes=100,
    received_bytes=7,
    committed=12,
)


def scraped(figures: Figures = FIGURES) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Sample and labels -> value, as a scraper reads them."""
    text, kind = Metrics(lambda: STATUS, lambda: figures).text()
    assert kind.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_metrics_are_those_of_the_status_and_the_counts() -> None:
    found = scraped()
    assert found[("mountfs_pending_changes", ())] == STATUS.account.pending.count
    assert found[("mountfs_oldest_pending_seconds", ())] == 3.0
    assert found[("mountfs_healthy", ())] == 0.0
    assert found[("mountfs_changes", (("state", "failed"),))] == 1
    assert found[("mountfs_changes", (("state", "open"),))] == 0
    assert found[("mountfs_api_requests_total", (("outcome", "429"), ("route", "files/upload")))] == 2
    assert found[("mountfs_call_seconds_bucket", (("call", "read"), ("le", "1.0")))] == 5
    assert found[("mountfs_call_seconds_count", (("call", "read"),))] == 6
    assert found[("mountfs_batch_entries_bucket", (("kind", "put"), ("le", "1000")))] == 3
    assert found[("mountfs_batch_entries_sum", (("kind", "put"),))] == 6002
    assert found[("mountfs_sent_bytes_total", ())] == 100
    assert found[("mountfs_cache_bytes", ())] == STATUS.account.cache.used_bytes == 9
    assert found[("mountfs_cache_reads_total", (("outcome", "hit"),))] == 7
    assert found[("mountfs_cache_read_bytes_total", (("outcome", "miss"),))] == 50


def test_retries_are_told_by_route_and_reason() -> None:
    retries = {labels: value for (name, labels), value in scraped().items() if name.endswith("retries_total")}
    assert retries == {
        (("reason", "429"), ("route", "files/upload")): 2,
        (("reason", "stale-token"), ("route", "files/upload")): 1,
        (("reason", "5xx"), ("route", "files/download")): 4,
    }


def test_a_mount_counts_batches_requests_and_calls(world: World) -> None:
    timing = Timing(world.clock.now_s)
    account: RunningAccount = account_of(world, timing=timing, traffic=lambda: (3, 4))
    for number in range(3):
        world.put(f"/f{number}", b"1")
    world.settle()
    timing.took("read", 0.01)
    figures = account.figures()
    assert figures.batches == {"put": {3: 1}}
    assert figures.committed == 3
    assert (figures.sent_bytes, figures.received_bytes) == (3, 4)
    assert sum(counts["2xx"] for counts in figures.outcomes.values()) == sum(world.backend.calls().values())
    assert set(figures.latencies) == {"read"}


def test_the_page_serves_them_and_says_what_is_missing_without_the_package() -> None:
    page = Page()
    assert page.get("/metrics").status == 501
    page.answers._metrics = Metrics(lambda: STATUS, lambda: FIGURES).text
    answer = page.get("/metrics")
    assert b"mountfs_pending_changes 2.0" in answer.body


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yml"])
def test_dashboard_and_alerts_ask_for_metrics_that_there_are(name: str) -> None:
    text = (DOCS / name).read_text()
    asked = set(re.findall(r"mountfs_[a-z_]+", text))
    assert asked
    assert asked <= {sample for sample, _ in scraped()}
    if name.endswith(".json"):
        board = json.loads(text)
        assert [panel["title"] for panel in board["panels"]]
    else:
        assert text.count("- alert:") == 3
