"""A client's connection: what it has sent so far, and what it has not yet taken. Nothing here waits
for a client.

A request is handed on once it is there whole, head and body: no thread ever waits for the rest of
one. The worker keeps the time: each stage of a connection has an end, which no single byte puts
off.
"""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Iterable
from typing import Any

from gunicorn.http.body import CHUNK_EXT_RE, LengthReader
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    LimitRequestHeaders,
    NoMoreData,
)
from gunicorn.http.unreader import Unreader
from werkzeug.exceptions import RequestEntityTooLarge

from course_management.server import http1
from course_management.web.parsing import MAX_BODY_BYTES

# What a connection is waited for, in the order of its life; only what is idle may be closed without
# a word.
IDLE, HEAD, BODY, ANSWER, DRAIN = "idle", "head", "body", "answer", "drain"
# Seconds that each may take. DRAIN: closed by half, so that the last answer is not cut off (RFC
# 9112 section 9.6).
TIMES = {HEAD: 10, BODY: 20, ANSWER: 20, DRAIN: 2}
# bytes that all connections of a worker may hold together, of requests to come and of answers not
# taken
HELD = 2**26
LITTLE = 2**16  # bytes that a connection may hold without being counted
FRAMING = 2**16  # bytes of chunk sizes, beside a quarter of what they frame

_READ, _MORE = 2**13, 2**17  # bytes read at once: of what begins, and of a body
_BARE = re.compile(rb"(?<!\r)\n")
_CRLF = b"\r\n"


class Inbox(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """What a client has sent and nobody has read. gunicorn reads from it as from a socket that
    has ended.
    """

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""

    def add(self, data: bytes) -> None:
        """Put `data` behind what is there."""
        if not self.data:
            self.data = data
        else:
            if isinstance(self.data, bytes):
                self.data = bytearray(self.data)
            self.data += data

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        """So many bytes, or all."""
        if size is not None:
            return self.take(size)
        taken, self.data = self.data, b""
        return bytes(taken)

    def take(self, size: int) -> bytes:
        """The first `size` bytes, or what there is of them."""
        taken, self.data = bytes(self.data[:size]), self.data[size:]
        return taken

    def unread(self, data: bytes) -> None:
        """Put `data` back."""
        self.data = data + self.data if self.data else data


class TooLarge:
    """A body that is not read: it is, or says that it is, over MOST bytes."""

    def read(self, size: int = -1) -> bytes:
        """Raises RequestEntityTooLarge."""
        raise RequestEntityTooLarge


class Whole:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def read(self, inbox: Inbox) -> bytes | None:
        """The body, where it is there. Raises RequestEntityTooLarge."""
        if self.length > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        return inbox.take(self.length) if len(inbox.data) >= self.length else None


class Chunked:
    """A chunked body (RFC 9112 section 7.1), taken out of its frames as it comes."""

    def __init__(self, request: http1.Request) -> None:
        self.request, self.body, self.framing = request, bytearray(), 0

    def read(self, inbox: Inbox) -> bytes | None:
        """The body, where it is there. Raises RequestEntityTooLarge, and what gunicorn raises
        for a frame that is none.
        """
        data, at = inbox.data, 0
        while (line := data.find(_CRLF, at)) >= 0:
            size = _size(bytes(data[at:line]))
            begin, end = line + 2, line + 2 + size
            if size == 0:
                if (rest := self._trailers(data, begin)) is None:
                    break
                inbox.data = data[rest:]
                return bytes(self.body)
            self.framing += begin - at + 2
            if len(self.body) + size > MAX_BODY_BYTES:
                raise RequestEntityTooLarge
            if self.framing > FRAMING + (len(self.body) + size) // 4:
                raise InvalidChunkSize(b"too many small chunks")
            if data[end : end + 2] != _CRLF[: max(0, len(data) - end)]:
                raise ChunkMissingTerminator(bytes(data[end : end + 2]))
            if len(data) < end + 2:
                self.framing -= begin - at + 2
                break
            self.body += data[begin:end]
            at = end + 2
        else:
            if len(data) - at > self.request.limit_request_field_size:
                raise InvalidChunkSize(b"a line without an end")
        inbox.data = data[at:]
        return None

    def _trailers(self, data: bytes | bytearray, begin: int) -> int | None:
        """Where the next request begins, behind the trailers (RFC 9112 section 7.1.2), or None
        where they go on.
        """
        if data[begin : begin + 2] == _CRLF:
            return begin + 2
        end = data.find(b"\r\n\r\n", begin)
        if end < 0:
            if len(data) - begin > self.request.max_buffer_headers:
                raise LimitRequestHeaders("limit request trailer section size")
            return None
        self.request.trailers = self.request.parse_headers(
            bytes(data[begin:end]), from_trailer=True
        )
        return end + 4


def _size(line: bytes) -> int:
    """The size that begins a chunk; as gunicorn reads it."""
    digits, semicolon, extension = line.partition(b";")
    if semicolon:
        digits = digits.rstrip(b" \t")
    if re.fullmatch(b"[0-9A-Fa-f]+", digits) is None:
        raise InvalidChunkSize(digits)
    if semicolon and not CHUNK_EXT_RE.fullmatch(b";" + extension):
        raise InvalidChunkExtension("invalid chunk extension")
    return int(digits, 16)


class Connection:
    """A connection and how far it has come: its `stage`, `since` when (seconds of
    `time.monotonic`).
    """

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        sock.setblocking(False)
        self.cfg, self.sock, self.client, self.fd = cfg, sock, client, sock.fileno()
        self.environ = http1.environ_of(cfg, client, server)
        self.inbox = Inbox()
        self.request: http1.Request | None = None  # whose body is not yet there
        self.body: Whole | Chunked | None = None
        self.rest = memoryview(b"")  # of an answer
        self.closing = False
        self.by_head = False  # what it asks last, it asks by the method HEAD
        self.enter(IDLE)

    def enter(self, stage: str) -> None:
        """Begin a stage, and its time."""
        self.stage, self.since = stage, time.monotonic()

    @property
    def held(self) -> int:
        """The bytes in memory for its client."""
        if self.stage == IDLE:
            return 0
        body = self.body.body if isinstance(self.body, Chunked) else b""
        return len(self.inbox.data) + len(body) + len(self.rest)

    def receive(self) -> http1.Request | None:
        """Read what has come; the next request, where it is there whole.

        Raises OSError where the connection is broken, NoMoreData where it ends, and what gunicorn
        raises for what is no request.
        """
        searched = len(self.inbox.data)
        try:
            data = self.sock.recv(_READ if self.request is None else _MORE)
        except BlockingIOError:
            return None
        if not data:
            raise NoMoreData
        self.inbox.add(data)
        return self._head(searched) if self.request is None else self._rest()

    def pipelined(self) -> http1.Request | None:
        """The next request, where it came with the one before. Raises what `receive` raises."""
        return self._head(0) if self.inbox.data else None

    def _head(self, searched: int) -> http1.Request | None:
        """The request whose head is there, with its body; the first `searched` bytes are known
        to have no end of one.
        """
        data = self.inbox.data
        self.by_head = data.startswith((b"HEAD ", b"\r\nHEAD "))
        if data.find(b"\r\n\r\n", max(0, searched - 3)) < 0 and not self._is_spoilt(searched):
            if self.stage != HEAD:
                self.enter(HEAD)
            return None
        request = http1.Request(self.cfg, self.inbox, self.client)
        reader = request.body.reader
        if isinstance(reader, LengthReader) and reader.length == 0:
            return request
        self.request = request
        self.body = Whole(reader.length) if isinstance(reader, LengthReader) else Chunked(request)
        self.enter(BODY)
        whole = self._rest()
        if whole is None and request.awaits_continue:
            self.sock.send(http1.CONTINUE)
        return whole

    def _is_spoilt(self, searched: int) -> bool:
        """Whether what begins will be refused, however it goes on: gunicorn then says why."""
        data, line = self.inbox.data, self.cfg.limit_request_line
        if len(data) > self.cfg.limit_request_fields * (self.cfg.limit_request_field_size + 2):
            raise LimitRequestHeaders("max buffer headers")
        too_long = len(data) > line + 4 and data.find(_CRLF, 2, line + 4) < 0
        return too_long or _BARE.search(data, searched) is not None

    def _rest(self) -> http1.Request | None:
        """The request whose head was there before, where its body is there too."""
        request, body = self.request, self.body
        assert request
        assert body
        try:
            payload = body.read(self.inbox)
        except RequestEntityTooLarge:  # where the next request begins, nobody will know
            request.must_close, request.body = True, TooLarge()
        else:
            if payload is None:
                return None
            request.body = io.BytesIO(payload)
        self.request = self.body = None
        return request

    def send(self, message: bytes, flags: int = 0) -> int:
        """Send a refusal, as far as it goes out at once; one of HEAD has no body (RFC 9110
        section 9.3.2).
        """
        return self.sock.send(
            message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if self.by_head else message, flags
        )

    def answer(self, message: bytes) -> None:
        """Send an answer; what is not taken at once is kept in `rest`. Raises OSError."""
        try:
            sent = self.sock.send(message)
        except BlockingIOError:
            sent = 0
        if sent < len(message):
            self.rest = memoryview(message)[sent:]
            self.enter(ANSWER)

    def flush(self) -> bool:
        """Send more of the `rest`; whether that was all of it. Raises OSError."""
        try:
            while self.rest:
                self.rest = self.rest[self.sock.send(self.rest) :]
        except BlockingIOError:
            return False
        self.rest = memoryview(b"")
        return True


def beyond(connections: Iterable[Connection], most: int) -> list[Connection]:
    """Those that have held most memory longest, until what the others hold is no more than
    `most` bytes.
    """
    holders = sorted(
        (conn for conn in connections if conn.held > LITTLE),
        key=lambda conn: conn.since,
        reverse=True,
    )
    total, found = 0, []
    for conn in holders:
        total += conn.held
        if total > most:
            found.append(conn)
    return found
