"""CORS: which pages of other origins a browser lets use the service (the Fetch standard, section
3.2). None, unless listed.

Without Access-Control-Allow-Credentials: who asks is in Authorization, which a page must set
itself, and never in a cookie.
"""

from __future__ import annotations

from flask import Flask, Response, request

SENT = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, "
    "X-Request-ID, traceparent"
)
SHOWN = (
    "ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, "
    "RateLimit-Policy, Retry-After, Total-Count,"
    " WWW-Authenticate, X-Request-ID"
)


def init_app(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of these origins use `app`."""
    if origins:
        app.after_request(lambda answer: _allow(answer, origins))


def _allow(answer: Response, origins: tuple[str, ...]) -> Response:
    answer.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        answer.headers["Access-Control-Allow-Origin"] = origin
        if request.method == "OPTIONS":
            answer.headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "")
            answer.headers["Access-Control-Allow-Headers"] = SENT
            answer.headers["Access-Control-Max-Age"] = "600"
        else:
            answer.headers["Access-Control-Expose-Headers"] = SHOWN
    return answer
