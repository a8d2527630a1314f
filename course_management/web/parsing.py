"""Parses the JSON body and the query of a request and validates them with a schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, cast
from urllib.parse import parse_qsl

import orjson
from flask import Request, Response
from marshmallow import Schema, ValidationError, fields
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.http import parse_list_header

from course_management.core.errors import Invalid, Malformed
from course_management.web.fields import StrictSchema
from course_management.web.request_context import BODY_KEY, current

MAX_BODY_BYTES = 2**20

# How often a body may contain each of these characters. Requests need far fewer. Parsing a body
# with more would take long.
MAX_JSON_DELIMITERS = {b"[": 10_000, b"{": 10_000, b":": 60_000}

_PATCH_TYPES = ("application/json", "application/merge-patch+json")


def body(schema: StrictSchema) -> dict[str, Any]:
    """The request's JSON body, validated by `schema`.

    Raises UnsupportedMediaType, RequestEntityTooLarge, Malformed, and Invalid with every fault.
    """
    request = current()
    if schema.optional and not _has_body(request):
        return _load(schema, {})
    types = _PATCH_TYPES if request.method == "PATCH" else _PATCH_TYPES[:1]
    if request.environ.get("CONTENT_TYPE") not in types and request.mimetype not in types:
        answer = Response(
            headers={"Accept-Patch" if request.method == "PATCH" else "Accept": ", ".join(types)}
        )
        raise UnsupportedMediaType(
            f"Send the body as {' or '.join(types)} (Content-Type).", response=answer
        )
    if request.environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    sent = _read(request)
    for delimiter, most in MAX_JSON_DELIMITERS.items():
        if sent.count(delimiter) > most:
            raise Malformed(
                f"The body contains {delimiter.decode()} more than {most} times. No request needs "
                "that many."
            )
    try:
        data = orjson.loads(sent)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    # No schema has so many fields. Only unknown fields are cut off: the others are added again.
    if isinstance(data, dict) and len(data) > Invalid.MAX_FAULTS:
        data = dict(islice(data.items(), Invalid.MAX_FAULTS)) | {
            name: data[name] for name in schema.fields if name in data
        }
    return _load(schema, data)


def _load(schema: StrictSchema, data: Any) -> dict[str, Any]:
    """The data, validated by the schema. Raises Invalid with every fault."""
    try:
        return cast(dict[str, Any], schema.load(data))
    except ValidationError as error:
        raise Invalid(
            [{"pointer": path, "detail": text} for path, text in _flat(error.messages)]
        ) from None


def _has_body(request: Request) -> bool:
    """Whether the request has a body (RFC 9112, section 6)."""
    return bool(request.content_length) or "HTTP_TRANSFER_ENCODING" in request.environ


def _read(request: Request) -> bytes:
    """The whole body, chunked or not.

    Raises RequestEntityTooLarge for more than MAX_BODY_BYTES, Malformed if the body is shorter than
    its Content-Length, and BadRequest if the server cannot read it.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    try:
        data: bytes = request.stream.read(MAX_BODY_BYTES + 1)
    except HTTPException:
        raise
    # The server could not read the body: for example a broken chunk, or a closed connection.
    except Exception as error:
        raise BadRequest from error
    if len(data) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(data) < (request.content_length or 0):
        raise Malformed("The body is shorter than its Content-Length.")
    request.environ[BODY_KEY] = data
    return data


def query(schema: Schema | None) -> dict[str, Any]:
    """The query parameters, validated by `schema`; with None, no parameters are allowed.

    Raises Invalid for unknown and malformed parameters, and for repeated ones, unless their field
    is a list. Ignoring a misspelt filter would return the whole list.
    """
    return dict(_query(schema, current().query_string))


@lru_cache(512)
def _query(schema: Schema | None, text: bytes) -> dict[str, Any]:
    """The result of `query`, cached: most requests have one of a few queries. This saves a tenth of
    the time of a list.
    """
    given = MultiDict(query_pairs(text)).to_dict(flat=False)
    known = schema.fields if schema else {}
    lists = {name for name in given if isinstance(known.get(name), fields.List)}
    faults = [
        (name, "Send this parameter only once.")
        for name, values in given.items()
        if len(values) > 1 and name not in lists
    ]
    for name in given:
        if name not in known:
            choices = ", ".join(known) or "none"
            faults.append((name, f"This route has no such parameter. Its parameters: {choices}."))
    try:
        sent = {k: v if k in lists else v[0] for k, v in given.items() if k in known}
        loaded = schema.load(sent) if schema else {}
    except ValidationError as error:
        # Of a repeated parameter, the path also has the position.
        found = [(path.split("/")[1], detail) for path, detail in _flat(error.messages)]
        faults += dict.fromkeys(found)
    if faults:
        raise Invalid([{"parameter": name, "detail": detail} for name, detail in faults])
    return cast(dict[str, Any], loaded)


def query_pairs(text: bytes) -> list[tuple[str, str]]:
    """The names and values of a query string, decoded as werkzeug's `request.args` does."""
    return parse_qsl(text.decode(), keep_blank_values=True, errors="werkzeug.url_quote")


def prefers_count() -> bool:
    """Whether the request prefers `count=exact` (RFC 7240).

    Names ignore case. If a preference is sent twice, the first one counts (section 2).
    """
    sent = current().environ.get("HTTP_PREFER")
    for preference in parse_list_header(sent) if sent else ():
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "count":
            return value.strip(' "').lower() == "exact"
    return False


def _flat(messages: Any, path: str = "") -> list[tuple[str, str]]:
    """marshmallow's nested messages as pairs of a JSON pointer (RFC 6901) and a message."""
    if isinstance(messages, Mapping):
        return [
            fault
            for name, inner in messages.items()
            for fault in _flat(
                inner, path if name == "_schema" else f"{path}/{_escaped(str(name))}"
            )
        ]
    return [(path, text) for text in messages]


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")
