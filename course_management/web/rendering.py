"""Responses: rows and models as JSON, lists with a link to the next page, pages of HTML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from flask import Flask, Response, current_app
from marshmallow import Schema
from werkzeug.http import parse_list_header

from course_management.db.keyset import Page
from course_management.web import etags
from course_management.web.parsing import query_pairs
from course_management.web.request_context import current

API_PREFIX = "/api/v1"

# what a path may have beside letters, digits and -._~ (RFC 3986 section 3.3), encoded ones included
_PATH = "/%:@!$&'()*+,;="
_OPTIONS = orjson.OPT_UTC_Z


@lru_cache(512)
def _without_cursor(text: bytes) -> str:
    return urlencode([pair for pair in query_pairs(text) if pair[0] != "cursor"])


@cache
def _names(schema: type[Schema]) -> tuple[str, ...]:
    return tuple(schema().fields)


def render(schema: type[Schema], thing: Any) -> dict[str, Any]:
    """The fields that `schema` declares, read from `thing` (a mapping, a row or a model)."""
    if isinstance(thing, Mapping):
        return {name: thing[name] for name in _names(schema) if name in thing}
    return {name: getattr(thing, name) for name in _names(schema)}


def json_response(
    schema: type[Schema], thing: Any, status: int = 200, location: str | None = None
) -> Response:
    """One thing as JSON, with its ETag where it has one; 304 where the client has it already."""
    tag = thing.get("etag") if isinstance(thing, Mapping) else getattr(thing, "etag", None)
    if tag is not None and current().method in ("GET", "HEAD") and etags.unchanged(tag):
        return Response(status=304, headers={"ETag": f'"{tag}"'})
    answer = json_document(render(schema, thing), status)
    if tag is not None:
        answer.headers["ETag"] = f'"{tag}"'
    if location is not None:
        answer.headers["Location"] = API_PREFIX + location
    return answer


def list_response(found: Page) -> Response:
    """A page of a list as a JSON array; the address of the next one in `Link` (RFC 8288), its
    length in `Total-Count`.
    """
    answer = json_document(found.items)
    if found.next_cursor:
        request = current()
        query = "&".join(
            filter(None, (_without_cursor(request.query_string), f"cursor={found.next_cursor}"))
        )
        address = f"{API_PREFIX}{quote(request.path.removeprefix(API_PREFIX), safe=_PATH)}?{query}"
        answer.headers["Link"] = f'<{address}>; rel="next"'
    if found.total is not None:
        answer.headers["Total-Count"] = str(found.total)
        answer.headers["Preference-Applied"] = "count=exact"
    return answer


def prefers_count() -> bool:
    """Whether the request prefers `count=exact`: a name ignores case, and the first of a name
    counts (RFC 7240, section 2).
    """
    for preference in parse_list_header(current().environ.get("HTTP_PREFER", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "count":
            return value.strip(' "').lower() == "exact"
    return False


def json_document(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> Response:
    """Return `value` as a JSON response."""
    # web/lean_flask.py has a faster class.
    kind: type[Response] = getattr(current_app, "json_response_class", Response)
    return kind(orjson.dumps(value, option=_OPTIONS), status, content_type=content_type)


def html_response(text: str, policy: str) -> Response:
    """A page for people: `policy` is what it may load (Content Security Policy Level 3), and
    nothing may frame it.
    """
    answer = Response(text, mimetype="text/html")
    closed = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    answer.headers["Content-Security-Policy"] = f"{closed}; {policy}"
    return answer


def no_content() -> Response:
    """204."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def init_app(app: Flask) -> None:
    """Have `app` respond to OPTIONS without a Content-Type: the response has no body."""
    default = app.make_default_options_response

    def options() -> Response:
        response = default()
        del response.headers["Content-Type"]
        return response

    app.make_default_options_response = options  # type: ignore[method-assign]
