"""Problem documents for requests that the server refuses before the application sees them."""

from __future__ import annotations

import socket
import uuid
from typing import Protocol

import orjson
from werkzeug.http import HTTP_STATUS_CODES

from course_management.core.errors import Error
from course_management.telemetry import metrics
from course_management.telemetry.logs import NO_TRACE, info, log, trace
from course_management.web.problems import RETRY_AFTER, status_of, words


class Client(Protocol):
    """A socket, or a connection that sends on one."""

    def send(self, message: bytes, flags: int = ..., /) -> int:
        """Send what the kernel accepts at once, and return the number of bytes."""


def write_error(client: Client, status: int, reason: str, detail: str) -> None:
    """Answer a malformed request, or one that exceeds a limit of the server.

    Replaces `gunicorn.util.write_error`, hence the arguments. gunicorn answers 500 to a client that
    sends a header such as SCRIPT_NAME; that is a bad request.
    """
    status = 400 if status == 500 and detail else status
    code, title, remedy = words(status)
    _send(client, status, code, title, f"{title} {remedy}")


def send_error(client: Client, error: Error) -> None:
    """Answer a request that the application will not see with one of our own errors."""
    _send(client, status_of(type(error)), error.code, error.title, error.detail)


def _send(client: Client, status: int, code: str, title: str, detail: str) -> None:
    request_id = uuid.uuid4().hex
    document = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "",
    }
    body = orjson.dumps(document | {"request_id": request_id})
    trace.set(NO_TRACE)  # the thread may have served another request before
    metrics.count_request(None, None, status, None)
    metrics.refusals(code).inc()
    info(
        "request",
        request_id=request_id,
        actor=None,
        method=None,
        route=None,
        status=status,
        duration_ms=None,
    )
    retry = f"Retry-After: {RETRY_AFTER}\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {HTTP_STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: "
        "application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n{retry}\r\n"
    )
    try:
        client.send(head.encode("latin-1") + body, socket.MSG_DONTWAIT)
    except OSError:
        log.debug("the client did not wait for its refusal")
