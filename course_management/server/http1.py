"""Read HTTP/1.1 requests and write answers (RFC 9112) in fewer steps than gunicorn does.

gunicorn reads a head line by line and checks the headers of an answer one by one, in Python. Here
one regular expression reads the usual request: it accepts only heads that every HTTP server reads
the same way. gunicorn's parser reads or refuses all others. An answer is one message of known
length. docs/decisions/0010-worker.md has the measurements.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from gunicorn.http import message, wsgi
from gunicorn.http.errors import InvalidHeader
from gunicorn.util import unquote_to_wsgi_str

from course_management.core.api import METHODS

# gunicorn searches the whole head for its end whenever more bytes of it arrive.
MAX_HEAD_BYTES = 2**16

_HEAD = re.compile(
    rf"({'|'.join(METHODS)}) " + r"((/[!-\"$->@-~]*)(?:\?([!-\"$-~]*))?) HTTP/1\.1\r\n"
    r"((?:[0-9A-Za-z-]+: ?(?:[!-~](?:[ -~]*[!-~])?)?\r\n)+)\r\n"
)
_FIELD = re.compile(r"([^:]+): ?(.*)\r\n")
_READ_BY_GUNICORN = frozenset(("EXPECT", "TRANSFER-ENCODING"))
_WITHOUT_BODY = ("204", "304")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request(message.Request):  # type: ignore[misc]  # gunicorn has no types
    """A request as gunicorn represents it.

    Overrides `_parse_python` and `should_close` on purpose. It adds no method or attribute, so
    that none can collide with one of a later gunicorn.
    """

    max_buffer_headers: int

    def _parse_python(self, unreader: Any, buf: bytearray) -> bytes:
        """Read the head and return the bytes that follow it.

        Raises the errors of `gunicorn.http.errors`; among them InvalidHeader for an HTTP/1.1
        request without Host (RFC 9112 section 3.2).
        """
        self.max_buffer_headers = min(self.max_buffer_headers, MAX_HEAD_BYTES)
        end = buf.find(b"\r\n\r\n") + 4
        if end <= min(self.limit_request_line, self.limit_request_field_size) and _read_usual_head(
            self, buf[:end].decode("latin-1")
        ):
            return bytes(buf[end:])
        rest: bytes = super()._parse_python(unreader, buf)
        if self.version >= (1, 1) and not any(name == "HOST" for name, _ in self.headers):
            raise InvalidHeader("HOST", req=self)
        return rest

    def should_close(self) -> bool:
        """Return whether the connection ends after this request (RFC 9112 section 9.3).

        It also ends if the body was not read to its end.
        """
        options = {
            word.strip(" \t").lower()
            for name, value in self.headers
            if name == "CONNECTION"
            for word in value.split(",")
        }
        if self.must_close or self.method == "CONNECT" or "close" in options:
            return True
        return self.version < (1, 1) and "keep-alive" not in options


def expects_continue(request: Request) -> bool:
    """Return whether the client sends the body only after a 100 (RFC 9110 section 10.1.1)."""
    return bool(request._expected_100_continue)


def _read_usual_head(request: Request, head: str) -> bool:
    """Read `head` into `request` if it has the usual form, and return whether it has."""
    found = _HEAD.fullmatch(head)
    if found is None:
        return False
    method, uri, path, query, lines = found.groups()
    fields = {name.upper(): value for name, value in _FIELD.findall(lines)}
    repeated = len(fields) < lines.count("\n")
    if (
        repeated
        or "HOST" not in fields
        or len(fields) > request.limit_request_fields
        or not _READ_BY_GUNICORN.isdisjoint(fields)
    ):
        return False
    request.method, request.uri, request.path = method, uri, path
    request.query, request.fragment = query or "", ""
    request.version, request.headers = (1, 1), list(fields.items())
    if not request.cfg.secure_scheme_headers.keys().isdisjoint(fields):
        _read_scheme(request, fields)
    return True


def _read_scheme(request: Request, fields: dict[str, str]) -> None:
    """Set the scheme to https if a trusted proxy says that the client used it."""
    known, state, seen = request._peer_trusted_for_forwarded()[0], [False], set[str]()
    for name in known.keys() & fields:
        request._apply_header_policy(name, fields[name], state, seen, known, ())


def connection_environ(cfg: Any, client: Any, server: Any) -> dict[str, Any]:
    """Return the part of the WSGI environment (PEP 3333) that all requests of a connection share.

    `client` and `server` are socket addresses.
    """
    address, port = client[:2] if isinstance(client, tuple) else (os.fsdecode(client), "")
    name, number = server[:2] if isinstance(server, tuple) else (server, "")
    base: dict[str, Any] = wsgi.base_environ(cfg)
    return base | {
        "wsgi.multithread": True,
        "SCRIPT_NAME": "",  # the routes begin at the root
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(port),
        "SERVER_NAME": name,
        "SERVER_PORT": str(number),
    }


def environ(base: dict[str, Any], request: Any) -> dict[str, Any]:
    """Return the WSGI environment of `request`; `base` comes from `connection_environ`."""
    environ = base | {
        "REQUEST_METHOD": request.method,
        "RAW_URI": request.uri,
        "PATH_INFO": unquote_to_wsgi_str(request.path) if "%" in request.path else request.path,
        "QUERY_STRING": request.query,
        "SERVER_PROTOCOL": f"HTTP/{request.version[0]}.{request.version[1]}",
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": request.body,
    }
    for name, value in request.headers:
        key = _environ_key(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


@lru_cache(256)
def _environ_key(name: str) -> str:
    """Return the key of a header in a WSGI environment."""
    key = name.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def answer(
    request: Any,
    status: str,
    headers: list[tuple[str, str]],
    parts: Iterable[bytes],
    *,
    close: bool,
) -> bytes:
    """Return the message that answers `request`: head and body.

    `parts` is the iterable that the application returned; `close` says that the connection ends
    after this answer. Raises ValueError if a header contains a line break or a NUL.
    """
    without_body = request.method == "HEAD" or status[:3] in _WITHOUT_BODY
    body = [] if without_body else _read_parts(parts)
    if not without_body and not any(name == "Content-Length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(sum(map(len, body))))]
    lines = [
        f"HTTP/1.1 {status}",
        f"Date: {_date(int(time.time()))}",
        "Connection: close" if close else "Connection: keep-alive",
        *[f"{name}: {value}" for name, value in headers if name != "Date"],
        "\r\n",
    ]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) or head.count("\r") != len(lines) or "\0" in head:
        raise ValueError("a line break in a header")
    return b"".join([head.encode("latin-1"), *body])


def _read_parts(parts: Iterable[bytes]) -> list[bytes]:
    if isinstance(parts, wsgi.FileWrapper):
        # Its iterator reads 8 KiB at a time, and after each read the thread may wait for the
        # interpreter's lock.
        return [parts.filelike.read()]
    return list(parts)


@lru_cache(1)
def _date(seconds: int) -> str:
    """Return a time of `time.time` as HTTP writes it (RFC 9110 section 5.6.7)."""
    return formatdate(seconds, usegmt=True)
