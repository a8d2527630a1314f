"""The request's JSON body and query, read through a schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, cast
from urllib.parse import parse_qsl

import orjson
from flask import Request, Response
from marshmallow import Schema, ValidationError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.http import parse_list_header

from course_management.core.errors import Invalid, Malformed
from course_management.web.request_context import BODY, current

MAX_BODY_BYTES = 2**20  # bytes of a body
# How often these signs may stand in a body, many times what any request needs: with more of them,
# reading it takes long.
SIGNS = {b"[": 10_000, b"{": 10_000, b":": 60_000}

_PATCH_TYPES = ("application/json", "application/merge-patch+json")


def body(schema: Schema) -> dict[str, Any]:
    """The request's JSON body as `schema` loads it.

    Raises UnsupportedMediaType, RequestEntityTooLarge, Malformed, or Invalid with every fault at
    once.
    """
    request = current()
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
    for sign, most in SIGNS.items():
        if sent.count(sign) > most:
            raise Malformed(
                f"The body has the sign {sign.decode()} more than {most} times: no request here "
                "needs it as often."
            )
    try:
        data = orjson.loads(sent)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    # no form has as many fields: what follows is as unknown
    if isinstance(data, dict) and len(data) > Invalid.MOST:
        data = dict(islice(data.items(), Invalid.MOST)) | {
            name: data[name] for name in schema.fields if name in data
        }
    try:
        return cast(dict[str, Any], schema.load(data))
    except ValidationError as error:
        raise Invalid(
            [{"pointer": path, "detail": text} for path, text in _flat(error.messages)]
        ) from None


def _read(request: Request) -> bytes:
    """The whole body, in chunks or not. Raises RequestEntityTooLarge over MOST bytes, Malformed
    where it breaks off.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    try:
        # werkzeug's own stream bounds what it reads, and ends where the body does; gunicorn's ends
        # there too, at half the cost.
        stream = (
            request.environ["wsgi.input"]
            if "wsgi.input_terminated" in request.environ
            else request.stream
        )
        data: bytes = stream.read(MAX_BODY_BYTES + 1)
    except HTTPException:
        raise
    # whatever the server could not read of it: a broken chunk, a connection that ended
    except Exception as error:
        raise BadRequest from error
    if len(data) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(data) < (request.content_length or 0):
        raise Malformed("The body is shorter than its Content-Length.")
    request.environ[BODY] = data
    return data


def query(schema: Schema | None) -> dict[str, Any]:
    """The query parameters as `schema` loads them; without a schema, none are allowed.

    Raises Invalid for an unknown, repeated or unfit parameter: a typo never returns everything.
    """
    return dict(_query(schema, current().query_string))


@lru_cache(512)
def _query(schema: Schema | None, text: bytes) -> dict[str, Any]:
    """Most requests ask with the same few queries: they are parsed once, which saves a tenth of
    a request for a list.
    """
    given = MultiDict(query_pairs(text)).to_dict(flat=False)
    faults = [
        (name, "Give this parameter once.") for name, values in given.items() if len(values) > 1
    ]
    known = schema.fields if schema else {}
    for name in given:
        if name not in known:
            choices = ", ".join(known) or "none"
            faults.append((name, f"This address has no such parameter; it has: {choices}."))
    try:
        loaded = schema.load({k: v[0] for k, v in given.items() if k in known}) if schema else {}
    except ValidationError as error:
        faults += [(path.lstrip("/"), detail) for path, detail in _flat(error.messages)]
    if faults:
        raise Invalid([{"parameter": name, "detail": detail} for name, detail in faults])
    return cast(dict[str, Any], loaded)


def query_pairs(text: bytes) -> list[tuple[str, str]]:
    """As werkzeug's `request.args` has them."""
    return parse_qsl(text.decode(), keep_blank_values=True, errors="werkzeug.url_quote")


def prefers_count() -> bool:
    """Whether the request prefers `count=exact`: a name ignores case, and the first of a name
    counts (RFC 7240, section 2).
    """
    for preference in parse_list_header(current().environ.get("HTTP_PREFER", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "count":
            return value.strip(' "').lower() == "exact"
    return False


def _flat(messages: Any, path: str = "") -> list[tuple[str, str]]:
    """marshmallow's nested messages as pairs of JSON pointer (RFC 6901) and sentence."""
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
