"""HTTP/1.1 (RFC 9112) between gunicorn and the application, in fewer steps than gunicorn's own.

gunicorn reads a head line by line and checks an answer header by header, in Python. Here one
expression reads the usual request: it knows only what every reader reads alike, and leaves the rest
to gunicorn, which reads or refuses it. An answer is one message of known length. That takes 290 us
to 235 for a request that asks for nothing (docs/decisions/0010-worker.md).
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
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidChunkSize, InvalidHeader
from gunicorn.util import unquote_to_wsgi_str

from course_management.core.api import METHODS

HEAD = 2**16  # bytes of a head, which gunicorn looks through anew whenever more of it comes
# of a body, which each take gunicorn two microseconds: a mebibyte of them would take seconds
CHUNKS = 4_096

_HEAD = re.compile(
    rf"({'|'.join(METHODS)}) " + r"((/[!-\"$->@-~]*)(?:\?([!-\"$-~]*))?) HTTP/1\.1\r\n"
    r"((?:[0-9A-Za-z-]+: ?(?:[!-~](?:[ -~]*[!-~])?)?\r\n)+)\r\n"
)
_FIELD = re.compile(r"([^:]+): ?(.*)\r\n")
_LEFT = frozenset(("EXPECT", "TRANSFER-ENCODING"))  # to gunicorn
_BODILESS = ("204", "304")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Chunks(ChunkedReader):  # type: ignore[misc]  # gunicorn has no types
    """A body in chunks (RFC 9112 section 7.1), in no more than CHUNKS of them."""

    count = 0

    def parse_chunk_size(self, unreader: Any, data: bytes | None = None) -> Any:
        """What gunicorn returns; raises InvalidChunkSize for one chunk too many."""
        self.count += 1
        if self.count > CHUNKS:
            raise InvalidChunkSize(b"one chunk too many")
        return super().parse_chunk_size(unreader, data)


class Request(message.Request):  # type: ignore[misc]  # gunicorn has no types
    """A request as gunicorn has it."""

    max_buffer_headers: int

    @property
    def awaits_continue(self) -> bool:
        """Whether the client sends its body when it hears that somebody wants it (RFC 9110
        section 10.1.1).
        """
        return bool(self._expected_100_continue)

    def set_body_reader(self) -> None:
        """Read the body as gunicorn does, but for the bound on its chunks."""
        super().set_body_reader()
        if isinstance(self.body.reader, ChunkedReader):
            self.body.reader = _Chunks(self, self.unreader)

    def _parse_python(self, unreader: Any, buf: bytearray) -> bytes:
        """Read the head; returns what follows it. Raises what gunicorn raises."""
        self.max_buffer_headers = min(self.max_buffer_headers, HEAD)
        end = buf.find(b"\r\n\r\n") + 4
        if end <= min(self.limit_request_line, self.limit_request_field_size) and self._take(
            buf[:end].decode("latin-1")
        ):
            return bytes(buf[end:])
        rest: bytes = super()._parse_python(unreader, buf)
        # RFC 9112 section 3.2
        if self.version >= (1, 1) and not any(name == "HOST" for name, _ in self.headers):
            raise InvalidHeader("HOST", req=self)
        return rest

    def should_close(self) -> bool:
        """Whether no other request follows (RFC 9112 section 9.3); where this one ends may not
        be known.
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

    def _take(self, head: str) -> bool:
        """Read a head that is as most are; whether it is."""
        found = _HEAD.fullmatch(head)
        if found is None:
            return False
        method, uri, path, query, lines = found.groups()
        fields = {name.upper(): value for name, value in _FIELD.findall(lines)}
        repeated = len(fields) < lines.count("\n")
        if (
            repeated
            or "HOST" not in fields
            or len(fields) > self.limit_request_fields
            or not _LEFT.isdisjoint(fields)
        ):
            return False
        self.method, self.uri, self.path, self.query, self.fragment = (
            method,
            uri,
            path,
            query or "",
            "",
        )
        self.version, self.headers = (1, 1), list(fields.items())
        if not self.cfg.secure_scheme_headers.keys().isdisjoint(fields):
            self._take_scheme(fields)
        return True

    def _take_scheme(self, fields: dict[str, str]) -> None:
        """Believe a trusted proxy that the client came by https."""
        known, state, seen = self._peer_trusted_for_forwarded()[0], [False], set[str]()
        for name in known.keys() & fields:
            self._apply_header_policy(name, fields[name], state, seen, known, ())


def environ_of(cfg: Any, client: Any, server: Any) -> dict[str, Any]:
    """What is the same in the WSGI environments (PEP 3333) of all requests of a connection."""
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
    """The WSGI environment of a request on the connection with this `base`."""
    given = base | {
        "REQUEST_METHOD": request.method,
        "RAW_URI": request.uri,
        "PATH_INFO": unquote_to_wsgi_str(request.path) if "%" in request.path else request.path,
        "QUERY_STRING": request.query,
        "SERVER_PROTOCOL": f"HTTP/{request.version[0]}.{request.version[1]}",
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": request.body,
    }
    for name, value in request.headers:
        key = _key(name)
        given[key] = f"{given[key]},{value}" if key in given else value
    return given


@lru_cache(256)
def _key(name: str) -> str:
    """What a header is called in an environment."""
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
    """The message that answers `request`: head and body. Raises ValueError where a header would
    be more than one line.
    """
    code, body = status[:3], b"".join(parts)
    if request.method == "HEAD" or code in _BODILESS:
        body = b""
    elif not any(name == "Content-Length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(len(body)))]
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
    return head.encode("latin-1") + body


@lru_cache(1)
def _date(seconds: int) -> str:
    """As HTTP writes it (RFC 9110 section 5.6.7)."""
    return formatdate(seconds, usegmt=True)
