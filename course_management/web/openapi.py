"""OpenAPI 3.1 from the routes and their schemas, and Swagger UI to read it with."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, current_app, render_template, request, send_from_directory
from marshmallow import Schema
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from course_management import errors
from course_management.extensions import MAX_ID
from course_management.web.access import PUBLIC, REQUIRED, needs
from course_management.web.endpoint import Endpoint
from course_management.web.fields import Id, Level, Text
from course_management.web.problems import status_of
from course_management.web.requests import template
from course_management.web.responses import API, as_json, page_of

bp = Blueprint("docs", __name__, template_folder="templates")

ABOUT = """Students, courses and enrollments.

Every refusal is a problem document (RFC 9457); its `type` leads to a page that explains it. Every POST takes an
`Idempotency-Key`; single resources have an `ETag`; lists are paged by the `Link` header.

Where the service asks who you are, press Authorize and give an API key or a token."""

_PARAMETERS: dict[str, dict[str, Any]] = {
    "course": {
        "schema": {"type": "string", "minLength": 1, "examples": ["1"]},
        "description": "The course's id, or its percent-encoded name, ignoring case.",
    },
    "course_id": {"schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID}},
    "student_id": {"schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID}},
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`cm_…`) or a token of the school's sign-in. Each operation names the scope it needs; `admin` has "
    "all of them, and `:write` includes `:read`. Setting what sign-ins recognise a student by takes `identities:write` too.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-+.-~-]+$"},
    "description": "The same request under the same key takes effect once, and gets the same answer for 24 hours.",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An ETag: the request is refused (412) where it is no longer the current one.",
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An ETag: the answer is 304 where it still is the current one.",
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "The address of a page that explains the problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, for a person."},
        "instance": {"type": "string"},
        "request_id": {"type": "string", "description": "Names the request in the service's log."},
        "missing": {"type": "array", "items": {"type": "integer"}, "description": "The ids of the body that do not exist."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "parameter", "header", "detail")},
            },
        },
    },
}


def _bounds(self: Any, field: Any, **_: Any) -> dict[str, Any]:
    """What JSON Schema can say of our own fields beside what their validators say."""
    if isinstance(field, Level) and current_app.config["COURSE_LEVELS"]:
        return {"enum": list(current_app.config["COURSE_LEVELS"])}
    if isinstance(field, Text):
        return {"type": ["string", "null"] if field.allow_none else "string"}
    return {"format": "int64"} if isinstance(field, Id) else {}


def build(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of `app`."""
    marshmallow = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec("Course Management", "1.0.0", "3.1.0", [marshmallow], info={"description": ABOUT}, servers=[{"url": API}])
    assert marshmallow.converter is not None  # made by APISpec
    marshmallow.converter.add_attribute_function(_bounds)  # type: ignore[no-untyped-call]  # apispec gives no types here
    spec.components.schema("Problem", _PROBLEM)
    spec.components.security_scheme("bearer", _BEARER)
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.rule):
        endpoint = getattr(app.view_functions[rule.endpoint], "endpoint", None)
        if isinstance(endpoint, Endpoint) and rule.rule.startswith(API):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                operation = _operation(rule, method, endpoint, app.view_functions[rule.endpoint].__doc__ or "")
                operation["security"] = _security(endpoint, required=app.config["AUTH"] == REQUIRED)
                spec.path(template(rule.rule), operations={method.lower(): operation})
    return spec.to_dict()


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    partial = isinstance(schema, Schema) and schema.partial
    return kind.__name__ + ("Change" if partial else "")


def _operation(rule: Rule, method: str, endpoint: Endpoint, about: str) -> dict[str, Any]:
    parameters = [{"name": name, "in": "path", "required": True, **_PARAMETERS[name]} for name in sorted(rule.arguments)]
    if endpoint.query:
        parameters.append({"in": "query", "schema": endpoint.query})
    if method == "POST":
        parameters.append(_KEY)
    elif endpoint.etag:
        parameters.append(_IF_NONE_MATCH if method == "GET" else _IF_MATCH)
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{rule.endpoint.rpartition('.')[2].removeprefix('put_')}",
        "tags": [rule.endpoint.split(".")[0]],
        "summary": about.strip().rstrip("."),
        "parameters": parameters,
        "responses": _responses(method, endpoint),
    }
    if endpoint.body:
        types = ["application/json"] + ["application/merge-patch+json"] * (method == "PATCH")
        operation["requestBody"] = {"required": True, "content": {t: {"schema": endpoint.body} for t in types}}
    return operation


def _security(endpoint: Endpoint, *, required: bool) -> list[dict[str, Any]]:
    if endpoint.scope == PUBLIC:
        return []
    return [{"bearer": [endpoint.scope]}, *[{}] * (not required)]


def _responses(method: str, endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in endpoint.status:
        responses[str(status)] = {"description": HTTP_STATUS_CODES[status], "headers": _headers(endpoint, status)}
        if endpoint.answer:
            schema: Any = endpoint.answer
            if endpoint.many:
                schema = {"type": "array", "items": schema}
            responses[str(status)]["content"] = {"application/json": {"schema": schema}}
    if endpoint.etag and method == "GET":
        responses["304"] = {"description": "Not Modified", "headers": {"ETag": {"schema": {"type": "string"}}}}
    for status, codes in sorted(_refusals(method, endpoint).items()):
        if status in endpoint.status:
            continue
        problem = {"application/problem+json": {"schema": "Problem"}}
        responses[str(status)] = {"description": ", ".join(f"`{code}`" for code in codes), "content": problem}
    return responses


def _headers(endpoint: Endpoint, status: int) -> dict[str, Any]:
    names = ["X-Request-ID"]
    if endpoint.etag and endpoint.answer:
        names.append("ETag")
    if status == 201 and endpoint.etag:
        names.append("Location")
    headers: dict[str, Any] = {name: {"required": True, "schema": {"type": "string"}} for name in names}
    if endpoint.many:
        headers["Link"] = {"schema": {"type": "string"}, "description": 'The next page: `<address>; rel="next"`.'}
    return headers


def _refusals(method: str, endpoint: Endpoint) -> dict[int, list[str]]:
    kinds: list[type[errors.Error]] = [*endpoint.errors, errors.Invalid, errors.Unavailable]
    if endpoint.scope != PUBLIC:
        kinds += [errors.NotAuthenticated, errors.TokenInvalid, errors.ScopeMissing]
    found: dict[int, list[str]] = {500: ["internal-error"]}
    if endpoint.writes and (method == "POST" or not endpoint.etag):
        kinds.append(errors.Stale)
    if endpoint.body:
        found |= {400: ["malformed-json"], 413: ["content-too-large"], 415: ["unsupported-media-type"]}
    if method == "POST":
        kinds.append(errors.KeyReused)
    for kind in kinds:
        found.setdefault(status_of(kind), []).append(kind.code)
    return found


@cache
def _document(app: Flask) -> dict[str, Any]:
    return build(app)


@bp.get("/openapi.json")
@needs(PUBLIC)
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return as_json(_document(current_app._get_current_object()))  # type: ignore[attr-defined]  # the app behind the proxy


@bp.get("/docs")
@needs(PUBLIC)
def docs() -> Response:
    """Swagger UI."""
    page = render_template("docs.html", base=request.path.removesuffix("/docs"))
    return page_of(page, "script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'")


@bp.get("/docs/<name>")
@needs(PUBLIC)
def asset(name: str) -> Response:
    """A file of Swagger UI, which stands beside this module so that no network is needed."""
    return send_from_directory(Path(__file__).parent / "swagger-ui", name, max_age=86400)
