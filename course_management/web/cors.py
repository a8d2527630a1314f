"""CORS (the Fetch standard, section 3.2): lets pages of the listed origins use the service.

Access-Control-Allow-Credentials is never sent, because the service uses no cookies: a page sends
its token in Authorization.
"""

from __future__ import annotations

from flask import Flask, Response, request

REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, "
    "X-Request-ID, traceparent"
)
RESPONSE_HEADERS = (
    "Dry-Run, ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, "
    "RateLimit-Policy, Retry-After, Total-Count, WWW-Authenticate, X-Request-ID"
)


def init_app(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of these origins, such as `https://app.example.edu`, use `app`."""
    if origins:
        app.after_request(lambda answer: _allow(answer, origins))


def _allow(answer: Response, origins: tuple[str, ...]) -> Response:
    answer.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        answer.headers["Access-Control-Allow-Origin"] = origin
        if request.method == "OPTIONS":
            answer.headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "")
            answer.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            answer.headers["Access-Control-Max-Age"] = "600"
        else:
            answer.headers["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
    return answer
