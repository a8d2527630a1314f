"""A client's connection. It stores the bytes received and not yet read, and the part of an answer
that is not yet sent. No method here waits for the client.

A thread takes a request when all of it has arrived, head and body. Until then the connection
stores the bytes. The worker ends a connection that stays in one stage for too long; receiving more
bytes does not extend that time.
"""

from __future__ import annotations

import io
import re
import select
import socket
import time
from collections.abc import Iterable
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData
from werkzeug.exceptions import RequestEntityTooLarge

from course_management.server import http1
from course_management.server.inbox import ChunkedBody, FixedLengthBody, Inbox, OversizedBody

# The stages of a connection, in the order of a request. Only an idle connection may be closed
# without an answer.
#   IDLE    no byte of the next request has arrived
#   HEAD    a part of the head has arrived
#   BODY    the head and a part of the body have arrived
#   ANSWER  a part of the answer is not yet sent, or the next request has arrived with this one
#           and waits for its turn
#   DRAIN   the last answer is sent and the connection is half-closed, so that the client can read
#           that answer (RFC 9112 section 9.6)
IDLE, HEAD, BODY, ANSWER, DRAIN = "idle", "head", "body", "answer", "drain"
# The longest time a connection may spend in each stage. IDLE is the setting KEEPALIVE.
STAGE_SECONDS = {HEAD: 10, BODY: 20, ANSWER: 20, DRAIN: 2}

# Bytes that all connections of a worker may hold together: incomplete requests and unsent answers.
MAX_HELD_BYTES = 2**26
# A connection that holds fewer bytes than this does not count.
SMALL_BYTES = 2**16

# Bytes to read at once: at the start of a request, and from a body.
_READ_HEAD, _READ_BODY = 2**13, 2**17
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_IN, _OUT = (getattr(select, name, 0) for name in ("EPOLLIN", "EPOLLOUT"))  # macOS has no epoll


class Connection:
    """A connection, its `stage`, the time at which that stage began (`since`, in seconds of
    `time.monotonic`), and the epoll `event` after which the connection can go on.

    `client` and `server` are socket addresses. `sock` becomes non-blocking.
    """

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        sock.setblocking(False)
        self.cfg, self.sock, self.client, self.fd = cfg, sock, client, sock.fileno()
        self.environ = http1.connection_environ(cfg, client, server)
        self.inbox = Inbox()
        self.request: http1.Request | None = None  # its body is incomplete
        self.body: FixedLengthBody | ChunkedBody | None = None
        self.unsent = memoryview(b"")  # the rest of an answer
        self.closing = False  # no request follows the one that is being answered
        self.is_head = False  # the method of the latest request is HEAD
        self.enter(IDLE)

    def enter(self, stage: str) -> None:
        """Begin a stage and its time."""
        self.stage, self.since = stage, time.monotonic()
        self.event = _OUT if stage == ANSWER else _IN

    @property
    def held_bytes(self) -> int:
        """The bytes of memory that the connection holds."""
        if self.stage == IDLE:
            return 0
        body = self.body.body if isinstance(self.body, ChunkedBody) else b""
        return len(self.inbox.data) + len(body) + len(self.unsent)

    def next_request(self) -> http1.Request | None:
        """Return the next request if all of it has arrived, else None.

        Reads from the socket at most once, and not at all after an answer: a request that arrived
        together with the one before it is in the inbox.

        Raises OSError if the connection is broken, NoMoreData if the client has closed it, and the
        errors of `gunicorn.http.errors` for a malformed request.
        """
        if self.stage == ANSWER:
            self.enter(IDLE)
            return self._read_head(0) if self.inbox.data else None
        searched = len(self.inbox.data)
        try:
            data = self.sock.recv(_READ_HEAD if self.request is None else _READ_BODY)
        except BlockingIOError:
            return None
        if not data:
            raise NoMoreData
        self.inbox.add(data)
        return self._read_head(searched) if self.request is None else self._read_body()

    def _read_head(self, searched: int) -> http1.Request | None:
        """Return the next request if its head and its body have arrived. The first `searched`
        bytes are known not to contain the end of a head.
        """
        data = self.inbox.data
        self.is_head = data.startswith((b"HEAD ", b"\r\nHEAD "))
        if data.find(b"\r\n\r\n", max(0, searched - 3)) < 0 and not self._is_malformed(searched):
            if self.stage != HEAD:
                self.enter(HEAD)
            return None
        request = http1.Request(self.cfg, self.inbox, self.client)
        reader = request.body.reader
        if isinstance(reader, LengthReader):
            if reader.length == 0:
                return request
            self.body = FixedLengthBody(reader.length)
        else:
            self.body = ChunkedBody(request)
        self.request = request
        self.enter(BODY)
        complete = self._read_body()
        if complete is None and http1.expects_continue(request):
            self.sock.send(http1.CONTINUE)
        return complete

    def _is_malformed(self, searched: int) -> bool:
        """Return whether the incomplete head is malformed already. gunicorn's parser then finds the
        reason.
        """
        data, line = self.inbox.data, self.cfg.limit_request_line
        if len(data) > self.cfg.limit_request_fields * (self.cfg.limit_request_field_size + 2):
            raise LimitRequestHeaders("max buffer headers")
        too_long = len(data) > line + 4 and data.find(b"\r\n", 2, line + 4) < 0
        return too_long or _BARE_LINE_FEED.search(data, searched) is not None

    def _read_body(self) -> http1.Request | None:
        """Return the request whose head arrived before, if its body has arrived too."""
        request, body = self.request, self.body
        assert request
        assert body
        try:
            payload = body.read(self.inbox)
        except RequestEntityTooLarge:  # the rest of the body is not read
            request.must_close, request.body = True, OversizedBody()
        else:
            if payload is None:
                return None
            request.body = io.BytesIO(payload)
        self.request = self.body = None
        return request

    def send(self, message: bytes, flags: int = 0) -> int:
        """Send a refusal as far as the kernel accepts it, and return the number of bytes sent.

        A refusal of a HEAD request is sent without its body (RFC 9110 section 9.3.2).
        """
        if self.is_head:
            message = message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        return self.sock.send(message, flags)

    def answer(self, message: bytes) -> None:
        """Send an answer and keep the part that the kernel does not accept. Raises OSError."""
        try:
            sent = self.sock.send(message)
        except BlockingIOError:
            sent = 0
        if sent < len(message):
            self.unsent = memoryview(message)[sent:]
        self.enter(ANSWER if self.unsent or self.inbox.data else IDLE)

    def flush(self) -> bool:
        """Send more of the unsent part, and return whether nothing is left. Raises OSError."""
        if not self.unsent:
            return True
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            return False
        self.unsent = memoryview(b"")  # lets go of the message
        return True


def over_budget(connections: Iterable[Connection], max_bytes: int) -> list[Connection]:
    """Return the connections to close so that the others hold at most `max_bytes` together.

    The connections that have been in their stage for the longest time are closed first.
    """
    newest_first = sorted(
        (conn for conn in connections if conn.held_bytes > SMALL_BYTES),
        key=lambda conn: conn.since,
        reverse=True,
    )
    total, found = 0, []
    for conn in newest_first:
        total += conn.held_bytes
        if total > max_bytes:
            found.append(conn)
    return found
