"""The life of a request: its id, and its line in the log."""

from __future__ import annotations

import random
import re
import time
from functools import cache, partial

from flask import Flask, Response, g, request

from course_management.logs import actor, info, request_id

_SANE = re.compile("[A-Za-z0-9._:/+=-]{1,128}")


def init_app(app: Flask, *, proxy: bool) -> None:
    """Give every request of `app` an id, and log it when it is answered; behind a `proxy`, which says who the client is."""
    app.before_request(_begin)
    app.after_request(partial(_end, "HTTP_X_FORWARDED_FOR" if proxy else "REMOTE_ADDR"))


def route() -> str | None:
    """The address the request matched, as OpenAPI writes it: `/courses/{course}`; None where nothing matched."""
    return template(request.url_rule.rule) if request.url_rule else None


@cache
def template(rule: str) -> str:
    """A werkzeug rule as an OpenAPI path, without the mount."""
    return re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule).removeprefix("/api/v1")


def _begin() -> None:
    sent = request.headers.get("X-Request-ID", "")
    request_id.set(sent if _SANE.fullmatch(sent) else f"{random.getrandbits(128):032x}")
    actor.set("")
    g.began = time.perf_counter()


def _end(client: str, answer: Response) -> Response:
    answer.headers["X-Request-ID"] = request_id.get()
    answer.headers["X-Content-Type-Options"] = "nosniff"
    info(
        "request",
        method=request.method,
        route=route(),
        status=answer.status_code,
        duration_ms=round((time.perf_counter() - g.began) * 1000, 3),
        client=request.environ.get(client, "").rpartition(",")[2].strip() or None,  # the last is the proxy's own word
    )
    return answer
