"""Lists as CSV (RFC 4180), if the client prefers that to JSON (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from marshmallow import Schema
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_accept_header

from course_management.web.request_context import current

JSON, CSV = "application/json", "text/csv"
CONTENT_TYPE = "text/csv; charset=utf-8; header=present"
# The key of the schema in the WSGI environment of a request that gets CSV.
SCHEMA_KEY = "course_management.csv_schema"
# A spreadsheet would run such a text as a formula.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def negotiate(schema: type[Schema] | None) -> None:
    """Remember that the current request gets its list as CSV, if it prefers that to JSON.

    `schema` is that of an item. Raises NotAcceptable if the client accepts neither.
    """
    environ = current().environ
    if _prefers_csv(environ.get("HTTP_ACCEPT", "")):
        environ[SCHEMA_KEY] = schema


@lru_cache(512)
def _prefers_csv(accept: str) -> bool:
    """Whether CSV fits this Accept header better than JSON does.

    The parameters of media types are ignored, and so is a header without any media type. Between
    equal qualities, the type that the header names more exactly fits better, then JSON. Raises
    NotAcceptable if neither fits.
    """
    ranges = list(parse_accept_header(accept))
    if not ranges:
        return False
    (json_quality, json_rank), (csv_quality, csv_rank) = (_fit(ranges, t) for t in (JSON, CSV))
    if not json_quality and not csv_quality:
        raise NotAcceptable
    return (csv_quality, csv_rank) > (json_quality, json_rank)


def _fit(ranges: Iterable[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """The quality of a media type, and how exactly the media range that decides it names it."""
    names = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    found = [(-1, 0.0)]
    for media_range, quality in ranges:
        name = media_range.partition(";")[0].strip().lower()
        if name in names:
            found.append((names.index(name), quality))
    rank, quality = max(found)
    return quality, rank


def render(columns: Sequence[str], items: Sequence[dict[str, Any]], options: int) -> bytes:
    """A header line and a line for each item, in UTF-8.

    The values are those of JSON; `options` are those of orjson. A null, and a field that an item
    does not have, are empty. Lists and objects are JSON texts. A text that a spreadsheet would run
    as a formula has an apostrophe in front.
    """
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(columns)
    for item in orjson.loads(orjson.dumps(items, option=options)):
        lines.writerow([_cell(item.get(name)) for name in columns])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    return orjson.dumps(value).decode()
