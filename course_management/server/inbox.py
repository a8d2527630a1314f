"""The bytes that a client has sent and that are not yet read, and the bodies read from them."""

from __future__ import annotations

import re

from gunicorn.http.body import CHUNK_EXT_RE
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    LimitRequestHeaders,
)
from werkzeug.exceptions import RequestEntityTooLarge

from course_management.server import http1
from course_management.web.parsing import MAX_BODY_BYTES

# The sizes and extensions of chunks may take this many bytes, plus a quarter of the body.
MAX_FRAMING_BYTES = 2**15

_CRLF = b"\r\n"


class Inbox:
    """The bytes received and not yet read.

    gunicorn's parser reads from it as from its own `Unreader`: it calls `read` and `unread`. The
    class does not inherit from `Unreader`, so that no method of a later gunicorn collides with it.
    """

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""

    def add(self, data: bytes) -> None:
        """Append `data`."""
        if not self.data:
            self.data = data
        else:
            if isinstance(self.data, bytes):
                self.data = bytearray(self.data)
            self.data += data

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        """Remove and return the first `size` bytes, or all of them. `read_ahead` is ignored."""
        if size is not None:
            return self.take(size)
        taken, self.data = self.data, b""
        return bytes(taken)

    def take(self, size: int) -> bytes:
        """Remove and return the first `size` bytes, or fewer if fewer have arrived."""
        taken, self.data = bytes(self.data[:size]), self.data[size:]
        return taken

    def unread(self, data: bytes) -> None:
        """Put `data` back in front."""
        self.data = data + self.data if self.data else data


class OversizedBody:
    """A body that is over MAX_BODY_BYTES, or declares such a length, and is not read."""

    def read(self, size: int = -1) -> bytes:
        """Raise RequestEntityTooLarge."""
        raise RequestEntityTooLarge


class FixedLengthBody:
    """A body whose length in bytes is known from Content-Length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def read(self, inbox: Inbox) -> bytes | None:
        """Return the body, or None if it is incomplete. Raises RequestEntityTooLarge."""
        if self.length > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        return inbox.take(self.length) if len(inbox.data) >= self.length else None


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1), decoded as it arrives.

    The trailers (RFC 9112 section 7.1.2) are stored in `request.trailers`.
    """

    def __init__(self, request: http1.Request) -> None:
        self.request, self.body, self.framing = request, bytearray(), 0

    def read(self, inbox: Inbox) -> bytes | None:
        """Return the body, or None if it is incomplete.

        Raises RequestEntityTooLarge, and InvalidChunkSize, InvalidChunkExtension,
        ChunkMissingTerminator or LimitRequestHeaders for a malformed body.
        """
        data, at = inbox.data, 0
        while (line_end := data.find(_CRLF, at)) >= 0:
            size = _chunk_size(bytes(data[at:line_end]))
            begin = line_end + 2
            if size == 0:
                if (rest := self._read_trailers(data, begin)) is None:
                    break
                inbox.data = data[rest:]
                return bytes(self.body)
            self._check_limits(size, begin - at + 2)
            end = begin + size
            if data[end : end + 2] != _CRLF[: max(0, len(data) - end)]:
                raise ChunkMissingTerminator(bytes(data[end : end + 2]))
            if len(data) < end + 2:
                break
            self.framing += begin - at + 2
            self.body += data[begin:end]
            at = end + 2
        else:
            if len(data) - at > self.request.limit_request_field_size:
                raise InvalidChunkSize(b"a line without an end")
        inbox.data = data[at:]
        return None

    def _check_limits(self, size: int, framing: int) -> None:
        """Raise if a chunk of `size` bytes, framed by `framing` bytes, exceeds a limit."""
        if len(self.body) + size > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        if self.framing + framing > MAX_FRAMING_BYTES + (len(self.body) + size) // 4:
            raise InvalidChunkSize(b"too many small chunks")

    def _read_trailers(self, data: bytes | bytearray, begin: int) -> int | None:
        """Return the position of the next request, or None if the trailers are incomplete."""
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


def _chunk_size(line: bytes) -> int:
    """Return the size in bytes that the first line of a chunk declares, read as gunicorn does."""
    digits, semicolon, extension = line.partition(b";")
    if semicolon:
        digits = digits.rstrip(b" \t")
    if re.fullmatch(b"[0-9A-Fa-f]+", digits) is None:
        raise InvalidChunkSize(digits)
    if semicolon and not CHUNK_EXT_RE.fullmatch(b";" + extension):
        raise InvalidChunkExtension("invalid chunk extension")
    return int(digits, 16)
