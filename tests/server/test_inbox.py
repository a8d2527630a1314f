"""Chunked bodies are decoded as gunicorn decodes them, in pieces of any size."""

from __future__ import annotations

import random
import socket

import pytest
from gunicorn.config import Config
from gunicorn.http import message
from gunicorn.http.unreader import IterUnreader

from course_management.server.connection import Connection

HEADS = b"POST /courses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PIECES = [
    *(
        b"5\r\nabcde\r\n",
        b"05\r\nabcde\r\n",
        b"A;a=b\r\n0123456789\r\n",
        b'1 ; a="b;\r\nc"\r\nx\r\n',
        b"1;a\r\nx\r\n",
        b"3\r\n\r\n\r\r\n",
    ),
    *(
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"0;a\r\n\r\n",
        b"0\r\nHost: y\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
    ),
    *(
        b"5\r\nabc\r\n",
        b"5\nabcde\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"\r\n",
        b"1;\x01\r\na\r\n",
        b" 1\r\na\r\n",
        b"1\r\nab\r\n",
        b"z",
    ),
]


@pytest.fixture
def pair():
    """A connection and the socket of its client."""
    ours, client = socket.socketpair()
    with ours, client:
        yield Connection(Config(), ours, "", ""), client


def expected(wire):
    """The result of gunicorn's parser for a chunked body: the body and the bytes that follow, or
    the refusal.
    """
    unreader = IterUnreader([wire])
    request = message.Request(Config(), unreader, "")
    try:
        return request.body.read(), unreader.read()
    except Exception:
        return "refused"


def found(pair, wire, size):
    """The result of our parser if the body arrives in pieces of `size` bytes."""
    conn, client = pair
    request = None
    try:
        for at in range(0, len(wire), size):
            client.sendall(wire[at : at + size])
            request = request or conn.next_request()
        if request is None:
            client.shutdown(socket.SHUT_WR)
            request = conn.next_request()
    except Exception:
        return "refused"
    conn.next_request() if request is None else None
    rest = bytes(conn.inbox.data)
    try:
        while part := conn.sock.recv(65536):
            rest += part
    except BlockingIOError:
        pass
    return request.body.read(), rest


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("seed", range(60))
def test_a_chunked_body_is_read_as_gunicorn_reads_it(pair, seed, size):
    chance = random.Random(seed)
    wire = (
        HEADS
        + b"".join(chance.choices(PIECES[:6], k=chance.randrange(4)) + chance.choices(PIECES[6:11]))
        + NEXT
    )
    if seed >= 30:
        at = chance.randrange(len(HEADS), len(wire))
        wire = HEADS + b"".join(chance.choices(PIECES, k=4)) + PIECES[6] if seed % 2 else wire[:at]
    assert found(pair, wire, size) == expected(wire)
