"""One JSON object a line: constant events with ids in fields, never a name or an e-mail."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from sqlalchemy.orm import Session

log = logging.getLogger("course_management")

# The id of the request being served; "" outside one.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, logger, event, request_id, then its `extra` fields and its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "request_id": request_id.get() or None,
        }
        line.update((k, v) for k, v in vars(record).items() if k not in _STANDARD)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send this service's log to `stream` (standard error where none is named)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False


def note(session: Session, event: str, **ids: object) -> None:
    """Remember that `event` happened in the session's transaction: logged when it commits, forgotten when it does not."""
    session.info.setdefault("notes", []).append((event, ids))


def flush_notes(session: Session) -> None:
    """Log what the committed transaction noted."""
    for event, ids in session.info.pop("notes", ()):
        log.info(event, extra=ids)
