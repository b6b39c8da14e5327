"""The figures of a mount as Prometheus reads them; needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from daemon.control.figures import Figures
from daemon.control.health import Health, health_of
from daemon.control.status import Cache, Condition, MountStatus

MADE_AGAIN = ("429", "5xx", "offline", "stale-token")
"""Outcomes after which a request is sent again, unless who wanted it gives up."""
BATCH_BOUNDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    """Everything is read at the scrape; nothing is kept for it."""

    def __init__(self, describe: Callable[[], MountStatus], figures: Callable[[], Figures]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_MountCollector(describe, figures))

    def text(self) -> tuple[bytes, str]:
        """The metrics, and their content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _MountCollector(Collector):
    def __init__(self, describe: Callable[[], MountStatus], figures: Callable[[], Figures]) -> None:
        self._describe = describe
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing: a registration would ask for all else."""
        return []

    def collect(self) -> Iterator[Metric]:
        status, figures = self._describe(), self._figures()
        yield from _gauges(status)
        yield from _counters(figures)
        yield from _cache(status.account.cache)
        yield _latencies(figures)
        yield _batches(figures)


def _gauges(status: MountStatus) -> Iterator[Metric]:
    account = status.account
    info = GaugeMetricFamily("mountfs_mount_info", "The mount.", labels=["remote", "mountpoint", "phase"])
    info.add_metric([status.remote, status.mountpoint, status.phase], 1)
    yield info
    for name, what, value in (
        ("mountfs_healthy", "1 while all is well.", float(health_of(status) is Health.WELL)),
        ("mountfs_service_answers", "1 while the service answers without trouble.",
         float(account.far_side.is_reachable and account.far_side.condition is Condition.ANSWERS)),
        ("mountfs_uploads_paused", "1 while no file is sent.", float(bool(account.paused))),
        ("mountfs_pending_changes", "Changes that are not committed.", account.pending.count),
        ("mountfs_pending_bytes", "Their bytes.", account.pending.size_bytes),
        ("mountfs_oldest_pending_seconds", "Since when it is.", account.oldest_pending_age_s or 0.0),
        ("mountfs_upload_bytes_per_second", "Over the last seconds.", account.transfer.bytes_per_s),
        ("mountfs_conflicted_copies", "Copies that wait for a person.", len(account.copies)),
        ("mountfs_cache_bytes", "Of remote files, kept on the local disk.", account.cache.used_bytes),
        ("mountfs_cache_pinned_bytes", "Of them, pinned.", account.cache.pinned_bytes),
        ("mountfs_cache_limit_bytes", "The most of what is not pinned.", account.cache.limit_bytes),
        ("mountfs_transport_calls_this_month", "As the service counts them.", account.transport.calls),
        ("mountfs_transport_calls_limit", "0: none is set.", account.transport.limit or 0),
        ("mountfs_uptime_seconds", "Since the process began.", status.uptime_s),
    ):  # fmt: skip
        yield GaugeMetricFamily(name, what, value=value)
    states = GaugeMetricFamily("mountfs_changes", "Changes by state.", labels=["state"])
    for state in ("open", "sealed", "uploaded", "committing", "failed", "local"):
        tally = account.states.get(state)
        states.add_metric([state], tally.count if tally is not None else 0)
    yield states


def _counters(figures: Figures) -> Iterator[Metric]:
    calls = CounterMetricFamily("mountfs_api_requests", "Requests.", labels=["route", "outcome"])
    again = CounterMetricFamily(
        "mountfs_api_retries", "Requests not served, sent again unless given up.", labels=["route", "reason"]
    )
    for route, outcomes in figures.outcomes.items():
        for outcome, count in outcomes.items():
            calls.add_metric([route, outcome], count)
            if outcome in MADE_AGAIN:
                again.add_metric([route, outcome], count)
    yield from (calls, again)
    for name, what, value in (
        ("mountfs_sent_bytes", "Of bodies of requests.", figures.sent_bytes),
        ("mountfs_received_bytes", "Of bodies of replies.", figures.received_bytes),
        ("mountfs_committed_changes", "Changes that the service has acknowledged.", figures.committed),
    ):
        yield CounterMetricFamily(name, what, value=value)


def _cache(cache: Cache) -> Iterator[Metric]:
    reads = CounterMetricFamily("mountfs_cache_reads", "Reads of remote files.", labels=["outcome"])
    read = CounterMetricFamily("mountfs_cache_read_bytes", "What they were given.", labels=["outcome"])
    for outcome, count, count_bytes in (
        ("hit", cache.hits, cache.hit_bytes),
        ("miss", cache.misses, cache.missed_bytes),
    ):
        reads.add_metric([outcome], count)
        read.add_metric([outcome], count_bytes)
    yield from (reads, read)


def _latencies(figures: Figures) -> Metric:
    found = HistogramMetricFamily("mountfs_call_seconds", "Calls of the kernel.", labels=["call"])
    for call, (counts, sum_s) in figures.latencies.items():
        bounds = [*map(str, figures.bounds_s), "+Inf"]
        found.add_metric([call], _cumulated(dict(zip(bounds, counts, strict=True))), sum_s)
    return found


def _batches(figures: Figures) -> Metric:
    found = HistogramMetricFamily("mountfs_batch_entries", "Orders sent together.", labels=["kind"])
    for kind, sizes in figures.batches.items():
        counts = dict.fromkeys([*map(str, BATCH_BOUNDS), "+Inf"], 0)
        for entries, count in sizes.items():
            bound = next((each for each in BATCH_BOUNDS if entries <= each), None)
            counts["+Inf" if bound is None else str(bound)] += count
        total = sum(entries * count for entries, count in sizes.items())
        found.add_metric([kind], _cumulated(counts), total)
    return found


def _cumulated(counts: Mapping[str, int]) -> list[tuple[str, float]]:
    total = 0
    found: list[tuple[str, float]] = []
    for bound, count in counts.items():
        total += count
        found.append((bound, float(total)))
    return found
