"""What the server refuses before the application sees it, as a problem document too."""

from __future__ import annotations

import socket
import uuid

import orjson

from course_management.logs import info, log
from course_management.web.problems import words


def write_error(sock: socket.socket, status: int, reason: str, detail: str) -> None:
    """Answer a request that is no HTTP (RFC 9112), or more of it than the server takes; takes the place of gunicorn's own.

    A header by which a client tries to steer the server (SCRIPT_NAME) is refused as a 500 there; it is a bad request.
    """
    status = 400 if status == 500 and detail else status
    code, title, remedy = words(status)
    request_id = uuid.uuid4().hex
    document = {"type": f"/problems/{code}", "title": title, "status": status, "detail": f"{title} {remedy}"}
    body = orjson.dumps(document | {"instance": "", "request_id": request_id})
    info("request", request_id=request_id, actor=None, method=None, route=None, status=status, duration_ms=None)
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
    )
    sock.setblocking(False)
    try:
        sock.sendall(head.encode("latin-1") + body)
    except OSError:
        log.debug("the client did not wait for its refusal")
