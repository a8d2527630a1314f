"""Responses: rows and models as JSON, lists with a link to the next page, and HTML pages."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from flask import Flask, Response, current_app
from marshmallow import Schema

from course_management.core.api import API_PREFIX
from course_management.db.keyset import Page
from course_management.web import csv_lists, etags
from course_management.web.parsing import query_pairs
from course_management.web.request_context import current

# The characters that a path may contain besides letters, digits and -._~ (RFC 3986, section 3.3).
_PATH = "/%:@!$&'()*+,;="
_OPTIONS = orjson.OPT_UTC_Z


@lru_cache(512)
def _without_cursor(text: bytes) -> str:
    return urlencode([pair for pair in query_pairs(text) if pair[0] != "cursor"])


@cache
def _names(schema: type[Schema]) -> tuple[tuple[str, bool], ...]:
    """The fields of a schema. The second part of a pair says whether the field is left out if it
    is None.
    """
    fields = schema().fields.items()
    return tuple((name, bool(field.metadata.get("sometimes"))) for name, field in fields)


def render(schema: type[Schema], thing: Any) -> dict[str, Any]:
    """The fields that `schema` declares, read from `thing` (a dict, a row, a model or a result).

    A field with `sometimes` in its metadata is left out if it is None.
    """
    if isinstance(thing, dict):
        return {name: thing[name] for name, _ in _names(schema) if name in thing}
    return {
        name: value
        for name, sometimes in _names(schema)
        if (value := getattr(thing, name)) is not None or not sometimes
    }


def json_response(
    schema: type[Schema], thing: Any, status: int = 200, location: str | None = None
) -> Response:
    """One resource as JSON, with its ETag if it has one; 304 if the client has this version.

    `thing` is a dict, a row, a model or a result. `location` is the address of a new resource,
    without the API prefix.
    """
    tag = thing.get("etag") if isinstance(thing, dict) else getattr(thing, "etag", None)
    if tag is not None and current().method in ("GET", "HEAD") and etags.unchanged(tag):
        return Response(status=304, headers={"ETag": f'"{tag}"'})
    answer = json_document(render(schema, thing), status)
    if tag is not None:
        answer.headers["ETag"] = f'"{tag}"'
    if location is not None:
        answer.headers["Location"] = API_PREFIX + location
    return answer


def list_response(found: Page) -> Response:
    """A page of a list as a JSON array, or as CSV if the request prefers that (csv_lists.py).

    `Link` has the address of the next page (RFC 8288), except on the last page. `Total-Count` has
    the length of the whole list, if it was counted.
    """
    request = current()
    schema = request.environ.get(csv_lists.SCHEMA_KEY)
    if schema is None:
        answer = json_document(found.items)
    else:
        columns = [name for name, _ in _names(schema)]
        text = csv_lists.render(columns, found.items, _OPTIONS)
        answer = _document(text, 200, csv_lists.CONTENT_TYPE)
    answer.headers.add("Vary", "Accept, Prefer")
    if found.next_cursor:
        query = "&".join(
            filter(None, (_without_cursor(request.query_string), f"cursor={found.next_cursor}"))
        )
        address = f"{API_PREFIX}{quote(request.path.removeprefix(API_PREFIX), safe=_PATH)}?{query}"
        answer.headers["Link"] = f'<{address}>; rel="next"'
    if found.total is not None:
        answer.headers["Total-Count"] = str(found.total)
        answer.headers["Preference-Applied"] = "count=exact"
    return answer


def json_document(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> Response:
    """Return `value` as a JSON response."""
    return _document(orjson.dumps(value, option=_OPTIONS), status, content_type)


def _document(body: bytes, status: int, content_type: str) -> Response:
    # web/lean_flask.py has a faster class.
    kind: type[Response] = getattr(current_app, "json_response_class", Response)
    return kind(body, status, content_type=content_type)


def html_response(text: str, policy: str) -> Response:
    """An HTML page that no other page may show in a frame.

    `policy` lists the sources from which it may load, such as `img-src 'self'` (Content Security
    Policy Level 3).
    """
    answer = Response(text, mimetype="text/html")
    closed = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    answer.headers["Content-Security-Policy"] = f"{closed}; {policy}"
    return answer


def no_content() -> Response:
    """An empty response with status 204."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def init_app(app: Flask) -> None:
    """Make `app` respond to OPTIONS without a Content-Type, because the response has no body."""
    default = app.make_default_options_response

    def options() -> Response:
        response = default()
        del response.headers["Content-Type"]
        return response

    # Flask calls it as an attribute of the app
    app.make_default_options_response = options  # type: ignore[method-assign]
