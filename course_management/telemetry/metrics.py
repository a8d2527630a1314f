"""What is counted, in Prometheus' names and units (seconds). docs/monitoring.md explains each.

Under gunicorn every worker counts in files of its own, which server/hooks.py gives it, and whoever
is asked adds them all up. Anywhere else the figures are those of this process.
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

PREFIX = "course_management_"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
KINDS = {
    word[:6].upper(): word
    for word in ("select", "insert", "update", "delete", "execute", "begin", "commit")
}

disable_created_metrics()  # type: ignore[no-untyped-call]  # they exist in one mode only


class Metrics:
    """Every figure. Made at the first use and not before: a worker has its files only once it is
    forked.
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
            "http_requests_in_flight", "Requests being served, but for those of /metrics."
        )
        self.threads = self._gauge(
            "http_threads", "Threads that serve requests while none is held up."
        )
        self.refusals = self._counter("refusals_total", "Problem documents sent.", "code")
        self.statements = self._histogram(
            "db_statement_duration_seconds", "Time of statements, waiting included.", "kind"
        )
        self.connections = self._gauge("db_pool_connections", "Database connections open.")
        self.pool_size = self._gauge("db_pool_size", "Database connections that may be open.")
        self.moves = {
            "student enrolled": self._counter(
                "enrollments_total", "Seats given to those who asked."
            ),
            "student promoted": self._counter(
                "promotions_total", "Seats given to the first in line."
            ),
            "student waitlisted": self._counter("waitlist_joins_total", "Places in line given."),
            "student dropped": self._counter("drops_total", "Seats and places in line given up."),
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
    """Count an answer. Methods and addresses that there are not share one label value, however
    many are tried.
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
    """How often a problem was answered; named before it happens, it begins at 0 and its first
    time is seen as a rise.
    """
    return metrics().refusals.labels(code)


def time_statement(words: str, seconds: float) -> None:
    """Count a statement, of the kind that its first six letters tell."""
    _of_kind(words[:6]).observe(seconds)


@cache
def _of_kind(letters: str) -> Histogram:
    return metrics().statements.labels(KINDS.get(letters.strip().upper(), "other"))


def count_move(event: str, count: int) -> None:
    """Count what a committed transaction noted."""
    if event in metrics().moves:
        metrics().moves[event].inc(count)


def exposition(*more: Collector) -> bytes:
    """All figures, and those of `more`, in Prometheus' text format 0.0.4."""
    shared = values.ValueClass is not values.MutexValue
    own = MultiProcessCollector(None) if shared else metrics().registry  # type: ignore[no-untyped-call]
    return b"".join(generate_latest(one) for one in (own, *more))
