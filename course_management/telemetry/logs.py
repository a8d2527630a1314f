"""The log: one JSON object per line. Events are constant texts; ids are fields beside them.

The log never contains a name or an e-mail address.
"""

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
from course_management.telemetry.events import Event

log = logging.getLogger("course_management")

# The id of the current request; "" outside a request.
request_id: ContextVar[str] = ContextVar("request_id", default="")
# The name of the request's principal: "key:" and the name of an API key, or "oidc:" and the
# subject of a token; "" if the request needs no authentication.
actor: ContextVar[str] = ContextVar("actor", default="")

# `trace_id` and `span_id` of the client's trace (request_context.py); empty if it sent none.
NO_TRACE: Mapping[str, str] = MappingProxyType({})
trace: ContextVar[Mapping[str, str]] = ContextVar("trace", default=NO_TRACE)

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "taskName")
}
_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
_lock = threading.Lock()


class JsonHandler(logging.Handler):
    """Writes each record as one JSON object.

    The object contains time, level, logger, event, request_id, actor and the trace, then the
    `extra` fields of the record and its traceback.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.missed = 0  # lines that failed since the last line that was written

    def emit(self, record: logging.LogRecord) -> None:
        fields = {k: v for k, v in vars(record).items() if k not in _STANDARD_ATTRIBUTES}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        self.write(record.levelname.lower(), record.name, record.getMessage(), fields)

    def write(self, level: str, logger: str, event: str, fields: Mapping[str, Any]) -> None:
        """Write one line. If that fails, for example because the disk is full, count the line in
        `missed` and raise nothing.

        A full disk must not make requests fail whose changes are committed already.
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
        text = orjson.dumps(line, default=str, option=_JSON_OPTIONS).decode()
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


def without_request_text(record: logging.LogRecord) -> bool:
    """A logging filter for gunicorn: returns whether to log `record`.

    gunicorn's messages about requests that it refuses repeat parts of the request, which can
    contain names and e-mail addresses. The filter removes these parts, or refuses the whole
    message. The service logs such a refusal itself.
    """
    if str(record.msg).startswith("Error handling request"):
        record.msg, record.args = "Error handling request", ()
    return not str(record.msg).startswith("Invalid request from")


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the log of this service to `stream` (default: standard error).

    `level` is the name of a logging level, such as "INFO".
    """
    log.handlers[:] = [JsonHandler(stream or sys.stderr)]
    log.setLevel(level)
    log.propagate = False


def info(event: str, **fields: object) -> None:
    """Log an event with its fields.

    This takes a third of the time of `Logger.info`, which finds the file and line of its call.
    """
    if log.isEnabledFor(logging.INFO):
        for handler in log.handlers:
            if isinstance(handler, JsonHandler):
                handler.write("info", log.name, event, fields)


def note(session: Session, event: Event, **ids: object) -> None:
    """Log and count `event` when the transaction of `session` commits, and only then.

    `count`, one of the `ids`, is the number of students that the event concerns (default: 1).
    """
    session.info.setdefault("notes", []).append((event, ids))


def flush_notes(session: Session) -> None:
    """Log and count the noted events of a transaction that has just committed."""
    for event, ids in session.info.pop("notes", ()):
        info(event, **ids)
        metrics.count_event(event, ids.get("count", 1))
