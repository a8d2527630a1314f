"""How a connection is read without waiting, and the moments at which two may want the same one."""

from __future__ import annotations

import random
import socket
from collections import deque

import psycopg2
import pytest
from gunicorn.config import Config
from gunicorn.http import message
from gunicorn.http.unreader import IterUnreader

from course_management.db import connections
from course_management.server.inbox import HEAD, IDLE, LITTLE, Connection, beyond
from course_management.server.worker import Worker

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
    """What gunicorn makes of a chunked body, and what then follows; or that it refuses it."""
    unreader = IterUnreader([wire])
    request = message.Request(Config(), unreader, "")
    try:
        return request.body.read(), unreader.read()
    except Exception:
        return "refused"


def found(pair, wire, size):
    """What we make of it, where it comes in pieces of so many bytes."""
    conn, client = pair
    request = None
    try:
        for at in range(0, len(wire), size):
            client.sendall(wire[at : at + size])
            request = request or conn.receive()
        if request is None:
            client.shutdown(socket.SHUT_WR)
            request = conn.receive()
    except Exception:
        return "refused"
    conn.receive() if request is None else None
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


def test_nothing_to_read_is_no_request(pair):
    """As an event that was another's would have it: seen to wait ten seconds for the first byte."""
    conn, client = pair
    assert (conn.receive(), conn.stage) == (None, IDLE)
    client.sendall(b"G")
    assert (conn.receive(), conn.stage) == (None, HEAD)
    since = conn.since
    client.sendall(b"E")
    assert (conn.receive(), conn.since) == (None, since)


def test_the_oldest_give_way():
    def holding(since, size):
        return type("Holder", (), {"since": since, "held": size})()

    old, young, little = holding(1, 3 * LITTLE), holding(2, 3 * LITTLE), holding(0, LITTLE)
    assert beyond([old, young, little], 4 * LITTLE) == [old]
    assert beyond([old, young, little], 6 * LITTLE) == []


class _Told(Worker):
    """A worker that is told to stop just when somebody has looked whether it is alive."""

    _alive = deque([True, False])

    @property
    def alive(self):
        return self._alive.popleft() if len(self._alive) > 1 else self._alive[0]

    @alive.setter
    def alive(self, value):
        self._alive = deque([value])


def test_a_worker_told_to_stop_stays_told(pair):
    """Seen to fail with `self.alive = self.alive and …`: the answer of a thread wakes it up
    again.
    """
    conn, client = pair
    client.sendall(NEXT)
    worker = _Told.__new__(_Told)
    worker.nr, worker.max_requests, worker.conns, worker.max_keepalived = 0, 10, {}, 1
    worker.wsgi = lambda environ, start: start("200 OK", []) or [b"{}"]
    worker.handle_request(conn.receive(), conn)
    assert worker.alive is False
    assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_database_connection_closed_just_now_breaks_nothing(monkeypatch):
    """Seen to fail: InterfaceError, through the main loop of the worker."""

    class Closing:
        server_version, closed, InterfaceError = 1, 0, psycopg2.InterfaceError

        def fileno(self):
            raise psycopg2.InterfaceError("connection already closed")

    monkeypatch.setattr(connections, "_in_use", {1: (0.0, Closing())})
    assert connections.abort_stuck_connections(1) == 0


def test_a_number_that_another_has_now_is_not_broken(monkeypatch):
    """Closed between the two: its number may be that of somebody else's connection."""
    ours, theirs = socket.socketpair()

    class Closed:
        server_version, closed, InterfaceError = 1, 0, psycopg2.InterfaceError

        def fileno(self):
            self.closed = 1
            return ours.fileno()

    monkeypatch.setattr(connections, "_in_use", {1: (0.0, Closed())})
    with ours, theirs:
        assert connections.abort_stuck_connections(1) == 0
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
