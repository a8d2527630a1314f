"""Turns errors into problem documents (RFC 9457). Only this module knows their HTTP statuses."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy.exc as sa_exc
from flask import Blueprint, Flask, Response, abort, render_template, request
from markupsafe import Markup, escape
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from course_management.core import errors
from course_management.db import integrity
from course_management.telemetry import metrics
from course_management.telemetry.logs import log, request_id
from course_management.web.access import PUBLIC, needs
from course_management.web.rendering import html_response, json_document

RETRY_AFTER = "2"  # seconds

STATUS: dict[type[errors.Error], int] = {
    errors.Malformed: 400,
    errors.NotAuthenticated: 401,
    errors.TokenInvalid: 401,
    errors.ScopeMissing: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.PlanOutdated: 412,
    errors.Misdirected: 421,
    errors.Invalid: 422,
    errors.KeyReused: 422,
    errors.Unavailable: 503,
}

# The values of WWW-Authenticate (RFC 6750, section 3).
CHALLENGES: dict[type[errors.Error], str] = {
    errors.NotAuthenticated: 'Bearer realm="course-management"',
    errors.TokenInvalid: 'Bearer realm="course-management", error="invalid_token"',
    errors.ScopeMissing: 'Bearer realm="course-management", error="insufficient_scope", '
    'scope="{scope}"',
}

_SEND_AGAIN = (
    "Wait for the seconds that Retry-After names and send the request again; with an "
    "Idempotency-Key that is safe."
)

# Errors of HTTP itself: status -> code, title, remedy. deploy/nginx.conf has the same texts for the
# requests that nginx refuses.
HTTP_PROBLEMS: dict[int, tuple[str, str, str]] = {
    400: (
        "bad-request",
        "The request cannot be read.",
        "Send the request as RFC 9112 describes it.",
    ),
    404: (
        "not-found",
        "There is nothing at this address.",
        "Compare the address with those that /docs lists.",
    ),
    405: (
        "method-not-allowed",
        "This address does not take this method.",
        "Use one of the methods that Allow names.",
    ),
    406: (
        "not-acceptable",
        "A list is JSON or CSV, and the request accepts neither.",
        "Send `Accept: application/json` or `Accept: text/csv`, or leave Accept out.",
    ),
    413: (
        "content-too-large",
        "The body is larger than 1 MiB.",
        "Send less at once: split the list over several requests.",
    ),
    415: (
        "unsupported-media-type",
        "The body is of a type this address does not take.",
        "Send JSON, and say so in Content-Type.",
    ),
    414: (
        "request-uri-too-long",
        "The address is longer than 8 KiB.",
        "Use the address in Link unchanged, and send long lists in a body.",
    ),
    429: (
        "too-many-requests",
        "You send too many requests.",
        "Wait for the seconds that Retry-After names, then go on more slowly: many ids fit into "
        "one request.",
    ),
    431: (
        "request-header-fields-too-large",
        "The headers are too long.",
        "Send fewer and shorter headers: at most 8 KiB each, and 64 KiB together.",
    ),
    500: (
        "internal-error",
        "The service made a mistake.",
        "Tell the operator the request_id: the log has the details.",
    ),
    501: (
        "not-implemented",
        "The request uses a part of HTTP that this service does not support.",
        "Send the body as it is, or chunked, without another Transfer-Encoding.",
    ),
    502: ("bad-gateway", "The service did not answer.", _SEND_AGAIN),
    504: ("gateway-timeout", "The service did not answer in time.", _SEND_AGAIN),
    505: (
        "http-version-not-supported",
        "This service does not support this version of HTTP.",
        "Send the request as HTTP/1.1.",
    ),
}


def status_of(kind: type[errors.Error]) -> int:
    """The status of an error class: that of its nearest base in STATUS."""
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def problem(code: str, title: str, status: int, detail: str, **fields: Any) -> Response:
    """A response with a problem document (RFC 9457).

    `detail` explains this case to a person; `fields` are added to the document. `type` is the
    address of a page that explains the code and its remedy.
    """
    metrics.refusals(code).inc()
    document = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.path,
    }
    answer = json_document(
        document | {"request_id": request_id.get()} | fields, status, "application/problem+json"
    )
    if status == 503:
        answer.headers["Retry-After"] = RETRY_AFTER
    return answer


def from_error(error: errors.Error) -> Response:
    """The response to one of this service's own errors."""
    answer = problem(error.code, error.title, status_of(type(error)), error.detail, **error.fields)
    if type(error) in CHALLENGES:
        answer.headers["WWW-Authenticate"] = CHALLENGES[type(error)].format(**error.fields)
    return answer


def _from_http(error: HTTPException) -> Any:
    status = error.code or 500
    if status < 400:
        return error
    code, title, remedy = words(status)
    own_words = error.description if status == 415 else None
    answer = problem(code, title, status, own_words or f"{title} {remedy}")
    for name, value in (
        error.get_response().headers if error.response is None else error.response.headers
    ):
        if name in ("Allow", "Retry-After", "Accept", "Accept-Patch"):
            answer.headers[name] = value
    return answer


def words(status: int) -> tuple[str, str, str]:
    """The code, title and remedy of an HTTP status, for errors of HTTP itself."""
    if status in HTTP_PROBLEMS:
        return HTTP_PROBLEMS[status]
    name = HTTP_STATUS_CODES.get(status, "error")
    return name.lower().replace(" ", "-"), f"{name}.", "Fix the request and send it again."


def _from_database(error: Exception) -> Response:
    explained = integrity.explain(error)
    if explained is None:
        return _unforeseen(error)
    if isinstance(explained, errors.Unavailable):
        log.warning("database unavailable", extra={"reason": integrity.reason(error)})
    return from_error(explained)


def _unforeseen(error: Exception) -> Response:
    log.error("unforeseen error", exc_info=error)
    code, title, remedy = HTTP_PROBLEMS[500]
    return problem(code, title, 500, remedy)


def init_app(app: Flask) -> None:
    """Respond to every error in `app` with a problem document."""
    app.register_error_handler(errors.Error, from_error)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(sa_exc.SQLAlchemyError, _from_database)
    app.register_error_handler(
        StaleDataError,
        lambda error: from_error(errors.Stale("Another request has changed this meanwhile.")),
    )
    app.register_error_handler(Exception, _unforeseen)
    for code in catalogue():
        metrics.refusals(code)


def catalogue() -> dict[str, dict[str, Any]]:
    """Every code with its status, title, explanation, remedy and error class, sorted by code."""
    found = {
        code: {
            "status": status,
            "title": title,
            "about": "",
            "remedy": remedy,
            "kind": errors.Error,
        }
        for status, (code, title, remedy) in HTTP_PROBLEMS.items()
    }
    kinds = [errors.Error]
    for kind in kinds:
        kinds += kind.__subclasses__()
        if hasattr(kind, "code"):
            about = (kind.__doc__ or "").strip()
            described = {"title": kind.title, "about": about, "remedy": kind.remedy}
            found[kind.code] = {"status": status_of(kind), **described, "kind": kind}
    return dict(sorted(found.items()))


bp = Blueprint("problems", __name__, template_folder="templates")


@bp.app_template_filter("code")
def code_spans(text: str) -> Markup:
    """Text with its `words in backticks` as HTML code."""
    # safe: the text is escaped before the tags are added
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # nosec B704


@bp.get("/problems")
@needs(PUBLIC)
def index() -> Response:
    """Every problem code on one page."""
    return _page(catalogue(), "Problems")


@bp.get("/problems/<code>")
@needs(PUBLIC)
def explain(code: str) -> Response:
    """The meaning of a problem code, and its remedy."""
    found = catalogue()
    # errors of HTTP that HTTP_PROBLEMS does not describe
    for status in HTTP_STATUS_CODES:
        if status >= 400 and words(status)[0] == code:
            found.setdefault(
                code,
                dict(
                    zip(("title", "remedy"), words(status)[1:], strict=True),
                    status=status,
                    about="",
                ),
            )
    if code not in found:
        abort(404)
    return _page({code: found[code]}, code)


def _page(problems: dict[str, Any], heading: str) -> Response:
    return html_response(
        render_template("problems.html", problems=problems, heading=heading),
        "style-src 'unsafe-inline'",
    )
