"""GET /metrics: the metrics of all workers, and figures read from the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from flask import Response, current_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from course_management.db import transaction
from course_management.db.base import now
from course_management.db.integrity import reason
from course_management.enrollments.models import WAITLISTED, StudentCourse, WaitlistRecheck
from course_management.ops.audit import AuditRun
from course_management.ops.health import readiness
from course_management.telemetry.logs import log
from course_management.telemetry.metrics import PREFIX, exposition

# The figures of the database are read at most once in this time, however often clients ask.
FIGURES_MAX_AGE_SECONDS = 1.0

# Counts the entries of the index of waitlisted rows, so the cost depends on the length of the
# waitlists only. An index on `courses.waitlisted` would make every update of a course slower.
_WAITING = (
    sa.select(sa.func.count())
    .select_from(StudentCourse)
    .where(StudentCourse.state == sa.literal_column(f"'{WAITLISTED}'"))
)
# The index of `due_at` has it first.
_OLDEST_RECHECK = sa.select(sa.func.min(WaitlistRecheck.due_at))
_LAST_AUDIT = (
    sa.select(AuditRun.at, AuditRun.violations, AuditRun.duration_ms)
    .order_by(AuditRun.id.desc())
    .limit(1)
)


class Figures(NamedTuple):
    """Figures read from the database. `waiting`, `recheck_delay` (seconds) and `audit` are None if
    they could not be read, and `audit` is None before the first audit.
    """

    up: bool
    ready: bool
    waiting: int | None = None
    recheck_delay: float | None = None
    audit: sa.Row[datetime, int, int] | None = None


def metrics() -> Response:
    """All metrics in Prometheus' text format, even if the database is not reachable."""
    return Response(
        exposition(_FiguresCollector(_figures())), content_type=CONTENT_TYPE_PLAIN_0_0_4
    )


def _figures() -> Figures:
    known: tuple[float, Figures] | None = current_app.extensions.get("figures")
    if known is None or time.monotonic() - known[0] > FIGURES_MAX_AGE_SECONDS:
        known = current_app.extensions["figures"] = (time.monotonic(), _read())
    return known[1]


def _read() -> Figures:
    checks = readiness()
    figures = Figures(
        up=checks["database"]["ok"], ready=all(check["ok"] for check in checks.values())
    )
    if figures.ready:
        try:
            return transaction.read(
                lambda connection: figures._replace(
                    waiting=connection.scalar(_WAITING),
                    recheck_delay=_delay(connection.scalar(_OLDEST_RECHECK)),
                    audit=connection.execute(_LAST_AUDIT).first(),
                )
            )
        except SQLAlchemyError as error:
            log.warning("figures not read", extra={"reason": reason(error)})
    return figures


def _delay(due_at: datetime | None) -> float:
    """The seconds since the oldest recheck was due; 0 if none is."""
    return max(0.0, (now() - due_at).total_seconds()) if due_at else 0.0


class _FiguresCollector(Collector):
    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        up, ready, waiting, recheck_delay, audit = self.figures
        yield _gauge("database_up", "Whether the database is reachable.", up)
        yield _gauge("ready", "Whether the service can serve, as in /health/ready.", ready)
        if waiting is not None and recheck_delay is not None:
            text = "Time since the oldest recheck of waitlist places was due; 0 if none is."
            yield _gauge("recheck_delay_seconds", text, recheck_delay)
            yield _gauge("waitlisted", "Students on a waitlist, over all courses.", waiting)
            last = audit.at.timestamp() if audit else 0
            yield _gauge("audit_timestamp_seconds", "When the last audit ended; 0 if never.", last)
        if audit:
            yield _gauge(
                "audit_violations", "Violations that the last audit found.", audit.violations
            )
            yield _gauge(
                "audit_duration_seconds", "Time the last audit took.", audit.duration_ms / 1000
            )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=value)
