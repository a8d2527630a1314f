"""Responses: rows and models as JSON, lists with a link to the next page, pages of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, cast
from urllib.parse import quote, urlencode
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from flask import Response
from marshmallow import Schema

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
def _names(schema: type[Schema]) -> tuple[tuple[str, bool], ...]:
    """The fields of a schema, each with whether it is left out where it is None."""
    fields = schema().fields.items()
    return tuple((name, bool(field.metadata.get("sometimes"))) for name, field in fields)


def render(schema: type[Schema], thing: Any) -> dict[str, Any]:
    """The fields that `schema` declares, read from `thing` (a mapping, a row, a model or a result).

    A field whose metadata say `sometimes` is left out where it is None.
    """
    if isinstance(thing, Mapping):
        return {name: thing[name] for name, _ in _names(schema) if name in thing}
    return {
        name: value
        for name, sometimes in _names(schema)
        if (value := getattr(thing, name)) is not None or not sometimes
    }


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


class _Whole(Response):
    """An answer whose body and headers are as they shall be sent: werkzeug goes through them
    twice more (7.7 us; 0.9).
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, list(self.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else cast(list[bytes], self.response)


def json_document(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> Response:
    """`value` as a JSON answer."""
    return _Whole(orjson.dumps(value, option=_OPTIONS), status, content_type=content_type)


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
