"""The metrics, with names and units (seconds) as Prometheus recommends them.

docs/monitoring.md explains each metric. With gunicorn, every worker writes its own files in
PROMETHEUS_MULTIPROC_DIR, and the worker that answers /metrics adds up the files of all workers.
Without gunicorn, the metrics are those of this process.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from course_management.core.api import METHODS
from course_management.telemetry.events import Event

PREFIX = "course_management_"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
STATEMENT_KINDS = {  # by the first six letters of a statement
    word[:6].upper(): word
    for word in ("select", "insert", "update", "delete", "execute", "begin", "commit")
}

# The metrics named `…_created`. prometheus_client has them only in its mode without files.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the function has no annotations


class Metrics:
    """Every metric.

    Create it at its first use and not at import, because a worker must open its files after the
    fork.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "http_requests_total", "Requests answered.", "method", "route", "status"
        )
        self.durations = self._histogram(
            "http_request_duration_seconds", "Time to answer.", "method", "route"
        )
        self.in_flight = self._gauge(
            "http_requests_in_flight", "Requests being served, except those of /metrics."
        )
        self.threads = self._gauge(
            "http_threads", "Threads that serve requests while none is held up."
        )
        self.refusals = self._counter("refusals_total", "Problem documents sent.", "code")
        self.statements = self._histogram(
            "db_statement_duration_seconds", "Time of statements, including waits.", "kind"
        )
        self.connections = self._gauge("db_pool_connections", "Open database connections.")
        self.pool_size = self._gauge("db_pool_size", "Database connections that may be open.")
        self.events = {
            event: self._counter(event.counter, event.help_text) for event in Event if event.counter
        }

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(PREFIX + name, text, multiprocess_mode="livesum", registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=BUCKETS, registry=self.registry)


metrics = cache(Metrics)


def count_request(
    method: str | None, route: str | None, status: int, seconds: float | None
) -> None:
    """Count a response and its duration in `seconds`; None for `seconds` counts no duration.

    All unknown methods share the label "other", and all addresses without a route share
    "unmatched", so that clients cannot create new time series.
    """
    requests, durations = _of_request(
        method if method in METHODS else "other", route or "unmatched", status
    )
    requests.inc()
    if seconds is not None:
        durations.observe(seconds)


@cache
def _of_request(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return metrics().requests.labels(method, route, status), metrics().durations.labels(
        method, route
    )


@cache
def refusals(code: str) -> Counter:
    """The counter of problem documents with this code.

    web/problems.py asks for every code at the start. Each counter then begins at 0, and
    Prometheus sees the first refusal as an increase.
    """
    return metrics().refusals.labels(code)


def time_statement(sql: str, seconds: float) -> None:
    """Record the duration of a statement in `seconds`, by its kind (STATEMENT_KINDS)."""
    _of_kind(sql[:6]).observe(seconds)


@cache
def _of_kind(letters: str) -> Histogram:
    return metrics().statements.labels(STATEMENT_KINDS.get(letters.strip().upper(), "other"))


def count_event(event: Event, count: int) -> None:
    """Add `count` to the counter of `event`, if it has one."""
    if event in metrics().events:
        metrics().events[event].inc(count)


def exposition(*more: Collector) -> bytes:
    """All metrics, and those of the collectors in `more`, in Prometheus' text format 0.0.4."""
    shared = values.ValueClass is not values.MutexValue
    # prometheus_client has no annotations here
    own = MultiProcessCollector(None) if shared else metrics().registry  # type: ignore[no-untyped-call]
    return b"".join(generate_latest(one) for one in (own, *more))
