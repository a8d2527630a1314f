"""Malformed requests, made by changing valid ones: paths, queries, headers, values and bytes of
bodies.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

LONG = "ab é𝔸" * 3000
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e308,
        2**31,
        2**63,
        2**64,
        10**400,
        float("nan"),
        float("-inf"),
    ),
    *(
        "",
        " ",
        "a",
        "1",
        "\0",
        "\ud800",
        "\udfff\ud800",
        "a\u0301",
        "ﷺ" * 200,
        "\u202e\ufeff",
        "'; DROP TABLE students; --",
        LONG,
    ),
    *([], {}, [[]], {"": {}}, [None], [1] * 1001, list(range(2, 2000)), {"a": {"b": [{}]}}),
]
PARTS = [
    "",
    "0",
    "-1",
    "01",
    "1e3",
    "9" * 30,
    str(2**63),
    "a" * 300,
    "%00",
    "%ff%fe",
    "%",
    "%2F",
    "..",
    "%2e%2e",
    "x;y",
    "é",
    "\\",
    "~",
]
PARTS += [
    "%F0%9D%94%B8",
    "null",
    "+",
    "'",
    '"',
    "{id}",
    "a,b",
    "*",
    "%0d%0aX:%20y",
    "%25%30%30",
    "٣",
]
HEADERS = [
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Content-Type",
    "Content-Encoding",
    "Accept",
    "Accept-Encoding",
]
HEADERS += [
    "X-Request-ID",
    "traceparent",
    "tracestate",
    "Authorization",
    "Cookie",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Origin",
]
HEADERS += [
    "Range",
    "Accept-Language",
    "Forwarded",
    "X-HTTP-Method-Override",
    "Prefer",
    "User-Agent",
]
BYTES = [
    b"",
    b"*",
    b'"1-1"',
    b'W/"1-1", "2-2"',
    b'"' * 40,
    b"\xff\xfe",
    "é".encode(),
    b"a" * 5000,
    b"text/html",
    b"application/json",
]
BYTES += [
    b"gzip",
    b"application/json; charset=utf-16",
    b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01",
    b"Bearer x",
    b"Bearer \xff",
    b"0",
]
BYTES += [
    b"bytes=0-1",
    b"<script>",
    b"a,b,c",
    b"%00",
    b"Basic Og==",
    b"chunked",
    b"1.1.1.1, 2.2.2.2",
    b"{}",
]


class MalformedRequests:
    """An endless series of requests as (method, bytes on the wire). It is the same for the same
    `seed`.
    """

    def __init__(self, document: dict[str, Any], seed: str) -> None:
        self.rng = random.Random(seed)
        self.schemas = document["components"]["schemas"]
        self.routes = [
            (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in ("get", "post", "put", "patch", "delete", "head")
        ]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        while True:
            yield self._request()

    def _request(self) -> tuple[str, bytes]:
        rng = self.rng
        method, path, operation = rng.choice(self.routes)
        path = re.sub(r"\{\w+\}", lambda _: self._part(), path)
        wanted = [p["name"] for p in operation.get("parameters", ()) if p.get("in") == "query"]
        query = "&".join(
            f"{self._name(wanted)}={self._part()}" for _ in range(rng.choice((0, 0, 0, 1, 2, 5)))
        )
        content = operation.get("requestBody", {}).get("content", {})
        body = (
            self._body(next(iter(content.values()))["schema"])
            if content
            else rng.choice((b"", b"", b"", b"{}"))
        )
        headers = {b"Content-Type": next(iter(content), "text/plain").encode()}
        for _ in range(rng.choice((0, 0, 1, 3))):
            headers[rng.choice(HEADERS).encode()] = rng.choice(BYTES)
        if rng.random() < 0.05:
            method = rng.choice(("OPTIONS", "HEAD", "PATCH", "PUT", "DELETE", "POST", "BREW"))
        if rng.random() < 0.5:
            path = "/api/v1" + path
        target = (path + ("?" + query if query else "")).encode()
        head = [
            b"%b %b HTTP/1.1" % (method.encode(), target),
            b"Host: x",
            *(b"%b: %b" % pair for pair in headers.items()),
        ]
        return method, b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])

    def _part(self) -> str:
        return str(self.rng.randint(1, 60)) if self.rng.random() < 0.6 else self.rng.choice(PARTS)

    def _name(self, wanted: list[str]) -> str:
        return (
            self.rng.choice(wanted)
            if wanted and self.rng.random() < 0.8
            else self.rng.choice(PARTS)
        )

    def _body(self, schema: dict[str, Any]) -> bytes:
        rng = self.rng
        body = json.dumps(self._value(schema)).encode()
        if rng.random() < 0.2:
            at, what = (
                rng.randint(0, len(body)),
                rng.choice(
                    (
                        b"\xff",
                        b"\0",
                        b"\xed\xa0\x80",
                        b"\xef\xbb\xbf",
                        b'"',
                        b"[" * 3000,
                        b"1e9",
                        b"",
                    )
                ),
            )
            body = body[:at] + what + body[at + rng.choice((0, 1, len(body))) :]
        return body

    def _value(self, schema: dict[str, Any]) -> Any:
        """A value that fits its schema in three of four cases."""
        rng = self.rng
        schema = self.schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if rng.random() < 0.1:
            return rng.choice(VALUES)
        kind = schema.get("type")
        kind = rng.choice(kind) if isinstance(kind, list) else kind
        if "enum" in schema:
            return rng.choice(schema["enum"])
        if kind == "object":
            fields = schema.get("properties", {})
            some = {
                name: self._value(inner) for name, inner in fields.items() if rng.random() < 0.8
            }
            return some if rng.random() < 0.9 else some | {str(rng.choice(VALUES)): 1}
        if kind == "array":
            return [self._value(schema.get("items", {})) for _ in range(rng.randint(0, 4))]
        if kind == "string":
            return rng.choice(("Name", "x@y.edu", "ß", str(rng.random())))
        return {"integer": rng.randint(1, 60), "boolean": rng.random() < 0.5}.get(kind)
