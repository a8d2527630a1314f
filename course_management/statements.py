"""Listens to the database: how long statements take, which were slow, how many connections are in use."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext

from course_management import metrics
from course_management.logs import log, request_id

MOST = 1000  # characters of a statement in the log


def init_engine(engine: Engine, slow_ms: int) -> None:
    """Time every statement of `engine`; log those of a request that take `slow_ms` milliseconds or more, failed ones too."""

    def took(context: Any) -> None:
        seconds = time.perf_counter() - context.began
        statement: str = context.statement  # with placeholders: the values are people's
        metrics.time_statement(statement, seconds)
        if seconds * 1000 >= slow_ms and request_id.get():
            text = " ".join(statement.split())[:MOST]
            log.warning("slow statement", extra={"statement": text, "duration_ms": round(seconds * 1000, 3)})

    def end(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        took(context)

    def fail(failure: ExceptionContext) -> None:
        if hasattr(failure.execution_context, "began"):
            took(failure.execution_context)

    # First of all listeners, so that preparing a statement counts as part of it.
    event.listen(engine, "before_cursor_execute", _begin, insert=True)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)
    event.listen(engine, "checkout", lambda *_: metrics.counted().pool_used.inc())
    event.listen(engine, "checkin", lambda *_: metrics.counted().pool_used.dec())


def _begin(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    context.began = time.perf_counter()
