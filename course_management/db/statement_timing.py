"""Measures the database: the duration of statements, slow statements, and the number of open
connections.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from course_management.telemetry import metrics
from course_management.telemetry.logs import log, request_id

MAX_LOGGED_CHARACTERS = 1000  # characters of a statement in the log


def init_engine(engine: Engine, slow_ms: int) -> None:
    """Time every statement of `engine`. Log the statements of requests that take `slow_ms`
    milliseconds or more, including statements that fail.
    """
    # SQLAlchemy's events would cost as much again as the timing itself.
    for name in ("do_execute", "do_executemany"):
        setattr(
            engine.dialect, name, _timed(getattr(engine.dialect, name), partial(_took, slow_ms))
        )
    event.listen(engine, "connect", lambda *_: metrics.metrics().connections.inc())
    event.listen(engine, "close", lambda *_: metrics.metrics().connections.dec())


def _timed(execute: Callable[..., None], took: Callable[[str, float], None]) -> Callable[..., None]:
    def timed(cursor: Any, text: str, values: Any, context: Any = None) -> None:
        began = time.perf_counter()
        try:
            execute(cursor, text, values, context)
        finally:
            took(text, time.perf_counter() - began)

    return timed


def _took(slow_ms: int, text: str, seconds: float) -> None:
    """Count a statement, and log it if it was slow. Its text has placeholders instead of values,
    which are personal data.
    """
    metrics.time_statement(text, seconds)
    if seconds * 1000 >= slow_ms and request_id.get():
        fields = {
            "statement": " ".join(text.split())[:MAX_LOGGED_CHARACTERS],
            "duration_ms": round(seconds * 1000, 3),
        }
        log.warning("slow statement", extra=fields)
