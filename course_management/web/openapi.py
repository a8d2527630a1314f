"""Makes the OpenAPI 3.1 document from the routes and their schemas, and serves Swagger UI."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    render_template,
    request,
    send_from_directory,
)
from marshmallow import Schema
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from course_management.core.api import API_PREFIX
from course_management.core.version import __version__
from course_management.web import csv_lists, etags, openapi_parameters, openapi_problems
from course_management.web.access import PUBLIC, REQUIRED, needs
from course_management.web.endpoint import Endpoint
from course_management.web.fields import StrictSchema
from course_management.web.openapi_fields import bounds
from course_management.web.rendering import html_response, json_document
from course_management.web.request_context import template

bp = Blueprint("docs", __name__, template_folder="templates")

ABOUT = """Students, courses and enrollments.

Every error is a problem document (RFC 9457); its `type` is the address of a page that explains it.
Every write accepts an `Idempotency-Key`. Single resources have an `ETag`. The `Link` header of a
list has the address of its next page."""
AUTHORIZE = (
    "\n\nPress Authorize and enter an API key or a token. A padlock marks the operations that "
    "need one."
)

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`cm_…`) or a token of the school's sign-in. Each operation names "
    "the scope it needs; `admin` includes all scopes, and `:write` includes `:read`. To "
    "change the attribute by which sign-ins recognise a student, you also need `identities:write`. "
    "To change the groups of a student, you also need `records:write`.",
}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "required": True,
        "description": "The id of the request in the service's log.",
    },
    "ETag": {
        "required": True,
        "description": "The version of the resource, for If-Match and If-None-Match.",
    },
    "Location": {"description": "The address of the new resource; absent from a rehearsal."},
    "Dry-Run": {"description": "`true`: the request was a rehearsal (`dry_run`)."},
    "Plan": {"description": "The digest of the outcome, for `plan`; only of a rehearsal."},
    "Link": {"description": 'The next page: `<address>; rel="next"`; absent on the last page.'},
    "Total-Count": {
        "description": "The number of items in the whole list; only for `Prefer: count=exact`."
    },
    "Preference-Applied": {"description": "The preference that was followed (RFC 7240)."},
    "Idempotent-Replayed": {
        "description": "`true`: the response to an earlier request with the same Idempotency-Key."
    },
    "WWW-Authenticate": {"required": True, "description": "How to authenticate (RFC 6750)."},
    "RateLimit-Policy": {
        "description": "The limits on requests; sent by the proxy in front of the service."
    },
    "RateLimit": {
        "description": "The requests that remain; sent by the proxy in front of the service."
    },
}
# A rehearsal has no ETag, so the ETag of a write is not required.
_ETAG_OF_WRITE = {
    "schema": {"type": "string"},
    "description": "The new version of the resource; absent from a rehearsal.",
}
_RETRY_AFTER = {
    "required": True,
    "schema": {"type": "integer", "format": "int32", "minimum": 0},
    "description": "Seconds to wait before the next try.",
}


def build(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of `app`."""
    marshmallow = MarshmallowPlugin(schema_name_resolver=_schema_name)
    asks = app.config["AUTH"] == REQUIRED
    info = {"description": ABOUT + AUTHORIZE * asks}
    spec = APISpec(
        "Course Management",
        __version__,
        "3.1.0",
        [marshmallow],
        info=info,
        servers=[{"url": API_PREFIX}],
    )
    converter = marshmallow.converter
    assert converter is not None  # made by APISpec
    # Client generators make fields with a default mandatory in requests. So apispec does not add
    # defaults; where they help, the metadata of a field has them.
    converter.attribute_functions = [
        f for f in converter.attribute_functions if f != converter.field2default
    ]
    # apispec has no annotations here
    converter.add_attribute_function(bounds)  # type: ignore[no-untyped-call]
    openapi_problems.declare(spec)
    for name, header in _HEADERS.items():
        spec.components.header(name, {"schema": {"type": "string"}, **header})
    spec.components.header("Retry-After", _RETRY_AFTER)
    if asks:
        spec.components.security_scheme("bearer", _BEARER)
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.rule):
        endpoint = getattr(app.view_functions[rule.endpoint], "endpoint", None)
        if isinstance(endpoint, Endpoint) and rule.rule.startswith(API_PREFIX):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                operation = _operation(
                    rule, method, endpoint, app.view_functions[rule.endpoint].__doc__ or ""
                )
                operation["responses"] = _responses(spec, method, endpoint)
                operation["security"] = (
                    [{"bearer": [endpoint.scope]}] if asks and endpoint.scope != PUBLIC else []
                )
                spec.path(template(rule.rule), operations={method.lower(): operation})
    return spec.to_dict()


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    if isinstance(schema, Schema) and schema.partial:
        return f"{kind.__name__}Change"
    # A model `CourseIds` with a field `course_ids` breaks generated Python clients, because both
    # names are the same in lower case. So the schemas of such bodies end with `Request`.
    is_body = issubclass(kind, StrictSchema) and not kind.__name__.endswith(("In", "Change"))
    return f"{kind.__name__}Request" if is_body else str(kind.__name__)


def _operation(rule: Rule, method: str, endpoint: Endpoint, about: str) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, **openapi_parameters.PATH[name]}
        for name in sorted(rule.arguments)
    ]
    if endpoint.query:
        parameters.append({"in": "query", "schema": endpoint.query})
    if endpoint.is_list and endpoint.counts:
        parameters.append(openapi_parameters.PREFER)
    if endpoint.writes:
        parameters.append(openapi_parameters.KEY)
    if endpoint.compares_tags(method):
        parameters.append(
            openapi_parameters.IF_NONE_MATCH if method == "GET" else openapi_parameters.IF_MATCH
        )
    blueprint, _, name = rule.endpoint.partition(".")
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": [blueprint],
        "summary": about.strip().rstrip("."),
        "parameters": parameters,
    }
    if endpoint.scope != PUBLIC:
        own = ", or a token of the student themselves" if endpoint.allow_self else ""
        operation["description"] = (
            f"Needs the scope `{endpoint.scope}`{own}, if the service runs with `AUTH=required`."
        )
    if endpoint.body:
        types = ["application/json"] + ["application/merge-patch+json"] * (method == "PATCH")
        operation["requestBody"] = {
            "required": not endpoint.body.optional,
            "content": {t: {"schema": endpoint.body} for t in types},
        }
    return operation


def _responses(spec: APISpec, method: str, endpoint: Endpoint) -> dict[str, Any]:
    refused = openapi_problems.codes_by_status(method, endpoint)
    responses: dict[str, Any] = {
        str(status): openapi_problems.response(spec, status, codes)
        for status, codes in refused.items()
    }
    schema: Any = (
        {"type": "array", "items": endpoint.answer} if endpoint.is_list else endpoint.answer
    )
    for status in endpoint.status:
        text, headers = HTTP_STATUS_CODES[status], _headers(method, endpoint, status)
        content = {csv_lists.JSON: {"schema": schema}} if schema else {}
        if endpoint.is_list:
            # Not as a media type of its own: typed clients would get a list or a text.
            text += f". As {csv_lists.CSV} if the request prefers that"
        # One status can mean two things: a failed health check, or a refused request. Their media
        # types differ.
        if status in refused:
            text += f", {openapi_problems.describe(refused[status])}"
            headers += openapi_problems.headers(status)
            content |= openapi_problems.content(refused[status])
        declared: dict[str, Any] = {name: name for name in headers}
        if endpoint.writes and "ETag" in declared:
            declared["ETag"] = _ETAG_OF_WRITE
        responses[str(status)] = {"description": text, "headers": declared}
        if content:
            responses[str(status)]["content"] = content
    if endpoint.etag and method == "GET":
        responses["304"] = {"description": "Not Modified", "headers": {"ETag": "ETag"}}
    return responses


def _headers(method: str, endpoint: Endpoint, status: int) -> list[str]:
    names = ["X-Request-ID", "RateLimit-Policy"]
    if endpoint.etag and endpoint.answer:
        names.append("ETag")
    if status == 201 and endpoint.etag:
        names.append("Location")
    if endpoint.is_list:
        names.append("Link")
    if endpoint.is_list and endpoint.counts:
        names += ["Total-Count", "Preference-Applied"]
    if endpoint.writes:
        names += ["Idempotent-Replayed", "Dry-Run"]
    if endpoint.plans:
        names.append("Plan")
    return names


@cache
def _document(app: Flask) -> tuple[dict[str, Any], str]:
    """The document and its entity tag."""
    document = build(app)
    return document, hashlib.sha256(orjson.dumps(document)).hexdigest()[:32]


@bp.get("/openapi.json")
@needs(PUBLIC)
def openapi() -> Response:
    """The OpenAPI 3.1 document; 304 if the client has it already."""
    # the app itself instead of Flask's proxy
    document, tag = _document(current_app._get_current_object())  # type: ignore[attr-defined]
    answer = Response(status=304) if etags.unchanged(tag) else json_document(document)
    answer.headers["ETag"] = f'"{tag}"'
    return answer


@bp.get("/docs")
@needs(PUBLIC)
def docs() -> Response:
    """Swagger UI."""
    page = render_template("docs.html", base=request.path.removesuffix("/docs"))
    return html_response(
        page, "script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'"
    )


@bp.get("/docs/<name>")
@needs(PUBLIC)
def asset(name: str) -> Response:
    """A file of Swagger UI. The files are a part of this project, so /docs needs no network."""
    return send_from_directory(Path(__file__).parent / "swagger-ui", name, max_age=86400)
