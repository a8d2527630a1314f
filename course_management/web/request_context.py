"""Sets the id and the trace of each request, and logs and counts its response."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import cache, partial
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request, Response, request

from course_management.core.api import API_PREFIX
from course_management.db.base import now
from course_management.telemetry import metrics
from course_management.telemetry.logs import NO_TRACE, actor, info, log, request_id, trace

METRICS = "/metrics"
# The key of the request's body, as bytes, in the WSGI environment (set by parsing.py).
BODY_KEY = "course_management.body"

_began: ContextVar[float] = ContextVar("began")  # seconds of `time.perf_counter`

_VALID_REQUEST_ID = re.compile("[A-Za-z0-9._:/+=-]{1,128}")
# traceparent (W3C Trace Context, section 3.2). Only later versions may have more after the flags.
_TRACEPARENT = re.compile(
    "(?:(00)|(?!00|ff)[0-9a-f]{2})-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})(?P<span_id>[0-9a-f]{16})-[0-9a-f]{2}(?(1)|(?:-.*)?)"
)


def init_app(app: Flask, slow_ms: int, *, proxy: bool) -> None:
    """Give every request to `app` an id; log and count its response.

    A request that takes `slow_ms` milliseconds or more is also logged as a warning. With `proxy`,
    the address of the client is taken from X-Forwarded-For, which the proxy sets.
    """
    app.before_request(_begin)
    app.after_request(partial(_end, slow_ms, "HTTP_X_FORWARDED_FOR" if proxy else "REMOTE_ADDR"))
    # the way Flask documents
    app.wsgi_app = _in_flight(app.wsgi_app)  # type: ignore[method-assign, assignment]


def _in_flight(app: WSGIApplication) -> WSGIApplication:
    """WSGI middleware: counts the requests being served, except those of /metrics."""
    in_flight = metrics.metrics().in_flight

    def count(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == METRICS:
            return app(environ, start_response)
        in_flight.inc()
        try:
            return app(environ, start_response)
        finally:
            in_flight.dec()

    return count


# Returns the current request. `flask.request` is a proxy that looks up the request for each access
# to an attribute. That takes two microseconds, a dozen times per request.
current: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]


@cache
def template(rule: str) -> str:
    """The OpenAPI path of a werkzeug rule, without the API prefix: `/courses/{course}`."""
    return re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule).removeprefix(API_PREFIX)


def _begin() -> None:
    request = current()
    sent = request.environ.get("HTTP_X_REQUEST_ID", "")
    request_id.set(sent if _VALID_REQUEST_ID.fullmatch(sent) else f"{random.getrandbits(128):032x}")
    actor.set("")
    traceparent = request.environ.get("HTTP_TRACEPARENT")
    parent = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    trace.set(
        {"trace_id": parent["trace_id"], "span_id": parent["span_id"]} if parent else NO_TRACE
    )
    _began.set(time.perf_counter())


def began_at() -> datetime:
    """The time at which the head of the current request was read."""
    return now() - timedelta(seconds=time.perf_counter() - _began.get())


def _end(slow_ms: int, client: str, answer: Response) -> Response:
    request = current()
    answer.headers.add("X-Request-ID", request_id.get())
    answer.headers.add("X-Content-Type-Options", "nosniff")
    # None if no route matched.
    address = template(request.url_rule.rule) if request.url_rule else None
    method, status, seconds = request.method, answer.status_code, time.perf_counter() - _began.get()
    metrics.count_request(method, address, status, seconds)
    fields = {
        "method": method,
        "route": address,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        # The proxy appends the address that it sees; clients can send any addresses before it.
        "client": request.environ.get(client, "").rpartition(",")[2].strip() or None,
    }
    info("request", **fields)
    if seconds * 1000 >= slow_ms:
        log.warning("slow request", extra=fields)
    return answer
