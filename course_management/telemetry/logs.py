"""One JSON object a line: constant events with ids in fields, never a name or an e-mail."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

import orjson
from sqlalchemy.orm import Session

from course_management.telemetry import metrics

log = logging.getLogger("course_management")

# The id of the request being served; "" outside one.
request_id: ContextVar[str] = ContextVar("request_id", default="")
# Who sent it: "key:" and the name of its key, or "oidc:" and the subject of its token; "" where
# nobody had to say so.
actor: ContextVar[str] = ContextVar("actor", default="")

# Where the request stands in a trace of its caller's: `trace_id` and `span_id`, or nothing.
NO_TRACE: Mapping[str, str] = MappingProxyType({})
trace: ContextVar[Mapping[str, str]] = ContextVar("trace", default=NO_TRACE)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LINE = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
_lock = threading.Lock()


class JsonHandler(logging.Handler):
    """A record as JSON: time, level, logger, event, request_id, actor, the trace, then its
    `extra` fields and its traceback.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.missed = 0  # lines that could not be written since the last that could

    def emit(self, record: logging.LogRecord) -> None:
        fields = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        self.write(record.levelname.lower(), record.name, record.getMessage(), fields)

    def write(self, level: str, logger: str, event: str, fields: Mapping[str, Any]) -> None:
        """Write one line, where it can be: no request fails because the disk of the log is full,
        nor what it has committed.
        """
        line = {
            "time": datetime.now(UTC),
            "level": level,
            "logger": logger,
            "event": event,
            "request_id": request_id.get() or None,
            "actor": actor.get() or None,
            **trace.get(),
            **fields,
        }
        text = orjson.dumps(line, default=str, option=_LINE).decode()
        with _lock:
            try:
                self.stream.write(text)
                self.stream.flush()
            except OSError:
                self.missed += 1
                return
            missed, self.missed = self.missed, 0
        if missed:
            self.write("warning", log.name, "log lines late or lost", {"lines": missed})


def discreet(record: logging.LogRecord) -> bool:
    """A filter for gunicorn, which would repeat what a client sent, names and e-mails with it;
    the refusal has its own line.
    """
    if str(record.msg).startswith("Error handling request"):
        record.msg, record.args = "Error handling request", ()
    return not str(record.msg).startswith("Invalid request from")


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send this service's log to `stream` (standard error where none is named)."""
    log.handlers[:] = [JsonHandler(stream or sys.stderr)]
    log.setLevel(level)
    log.propagate = False


def info(event: str, **fields: object) -> None:
    """Log an event with its fields; a third of the cost of logging's own way, which looks for
    the caller's file and line.
    """
    if log.isEnabledFor(logging.INFO):
        for handler in log.handlers:
            if isinstance(handler, JsonHandler):
                handler.write("info", log.name, event, fields)


def note(session: Session, event: str, **ids: object) -> None:
    """Remember that `event` happened in the session's transaction: logged when it commits,
    forgotten when it does not.
    """
    session.info.setdefault("notes", []).append((event, ids))


def flush_notes(session: Session) -> None:
    """Log and count what the committed transaction noted."""
    for event, ids in session.info.pop("notes", ()):
        info(event, **ids)
        metrics.count_move(event, ids.get("count", 1))
