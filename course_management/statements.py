"""Listens to the database: how long statements take, which were slow, how many connections are open."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from course_management import metrics
from course_management.logs import log, request_id

MOST = 1000  # characters of a statement in the log


def init_engine(engine: Engine, slow_ms: int) -> None:
    """Time every statement of `engine`; log those of a request that take `slow_ms` milliseconds or more, failed ones too."""
    for name in ("do_execute", "do_executemany"):
        event.listen(engine, name, partial(_timed, getattr(engine.dialect, name), slow_ms))
    event.listen(engine, "connect", lambda *_: metrics.counted().connections.inc())
    event.listen(engine, "close", lambda *_: metrics.counted().connections.dec())


def _timed(execute: Callable[..., None], slow_ms: int, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    began = time.perf_counter()
    try:
        execute(cursor, statement, parameters, context)
    finally:
        seconds = time.perf_counter() - began
        written: str = context.statement  # not yet an EXECUTE, and with placeholders: the values are people's
        metrics.time_statement(written, seconds)
        if seconds * 1000 >= slow_ms and request_id.get():
            text = " ".join(written.split())[:MOST]
            log.warning("slow statement", extra={"statement": text, "duration_ms": round(seconds * 1000, 3)})
    return True  # it is done, nobody else needs to
