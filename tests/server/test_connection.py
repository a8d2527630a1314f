"""The stages of a connection, and the moments at which two threads can take the same connection."""

from __future__ import annotations

import select
import socket
from collections import deque
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from course_management.server.connection import (
    ANSWER,
    DRAIN,
    HEAD,
    IDLE,
    SMALL_BYTES,
    Connection,
    over_budget,
)
from course_management.server.request_threads import RequestThreads

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def pair():
    """A connection and the socket of its client."""
    ours, client = socket.socketpair()
    with ours, client:
        yield Connection(Config(), ours, "", ""), client


class Stub(SimpleNamespace):
    """The part of a gunicorn worker that its threads use."""

    nr, max_requests, max_keepalived, alive, body = 0, 10, 10, True, b"{}"

    def wsgi(self, environ, start_response):
        start_response("200 OK", [])
        return [self.body]


@pytest.fixture
def threads():
    """The threads of a worker, none of which is started. The tests do their steps."""
    made = RequestThreads(Stub(), count_changed=lambda count: None)
    with made.epoll:
        yield made


def step(threads, fd):
    """Serve the connection of an event, as a thread does."""
    threads._serve(threads.waiting.pop(fd))


def test_a_connection_without_bytes_has_no_request(pair):
    """An event of a closed connection can wake a thread. Fails if the connection then enters the
    stage HEAD: its first byte would have only ten seconds to arrive.
    """
    conn, client = pair
    assert (conn.next_request(), conn.stage) == (None, IDLE)
    client.sendall(b"G")
    assert (conn.next_request(), conn.stage) == (None, HEAD)
    since = conn.since
    client.sendall(b"E")
    assert (conn.next_request(), conn.since) == (None, since)


def test_the_oldest_connections_are_closed_first():
    def holding(since, size):
        return SimpleNamespace(since=since, held_bytes=size)

    old, young, small = holding(1, 3 * SMALL_BYTES), holding(2, 3 * SMALL_BYTES), holding(0, 1)
    assert over_budget([old, young, small], 4 * SMALL_BYTES) == [old]
    assert over_budget([old, young, small], 6 * SMALL_BYTES) == []


def test_pipelined_requests_take_turns_with_other_connections(pair, threads):
    """Fails if one thread answers all pipelined requests while other connections wait."""
    conn, client = pair
    client.sendall(REQUEST * 3)
    threads.add(conn)
    for count in (1, 2, 3):
        ((fd, _),) = threads.epoll.poll(1)
        step(threads, fd)
        assert client.recv(2**16).count(b"HTTP/1.1 200") == 1
        assert threads.worker.nr == count
    assert (conn.stage, threads.epoll.poll(0)) == (IDLE, [])


def test_no_request_is_served_while_an_answer_is_unsent(pair, threads):
    conn, client = pair
    threads.worker.body = b"x" * 2**22  # more than the kernel takes
    client.sendall(REQUEST * 2)
    threads.add(conn)
    step(threads, conn.fd)
    step(threads, conn.fd)
    assert (conn.stage, threads.worker.nr, threads.epoll.poll(0)) == (ANSWER, 1, [])
    client.setblocking(False)
    received = 0
    while received < 2**23:
        try:
            received += len(client.recv(2**20))
        except BlockingIOError:
            ((fd, event),) = threads.epoll.poll(1)
            assert event == select.EPOLLOUT
            step(threads, fd)
    assert threads.worker.nr == 2


def test_a_closing_connection_is_not_served(pair, threads):
    conn, client = pair
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + REQUEST)
    threads.add(conn)
    step(threads, conn.fd)
    assert (conn.stage, threads.worker.nr) == (DRAIN, 1)


class LateEvent:
    """An epoll during whose first `modify` another thread serves the connection: it held an event
    of a closed connection that had the same file descriptor.
    """

    def __init__(self, threads):
        self.threads, self.epoll, self.armed = threads, threads.epoll, []

    def register(self, fd, event):
        self.epoll.register(fd, event)

    def modify(self, fd, event):
        if not self.armed:
            self.armed.append("late event")
            step(self.threads, fd)
        self.armed.append(event & ~select.EPOLLONESHOT)
        self.epoll.modify(fd, event)


def test_a_late_event_does_not_replace_the_armed_event(pair, threads):
    """Fails if the connection stays armed for reading: the rest of the answer then waits until its
    time is over.
    """
    conn, client = pair
    threads.worker.body = b"x" * 2**22
    client.sendall(REQUEST)
    threads.epoll = late = LateEvent(threads)
    threads.add(conn)
    assert conn.stage == ANSWER
    assert late.armed == ["late event", select.EPOLLOUT, select.EPOLLIN, select.EPOLLOUT]


class _ToldToStop(Stub):
    """A worker that is told to stop just after somebody has read whether it is alive."""

    _alive = deque([True, False])

    @property
    def alive(self):
        return self._alive.popleft() if len(self._alive) > 1 else self._alive[0]

    @alive.setter
    def alive(self, value):
        self._alive = deque([value])


def test_a_stopping_worker_is_not_revived(pair, threads):
    """Fails with `alive = alive and ...`: the answer of a thread then sets it to True again."""
    conn, client = pair
    client.sendall(REQUEST)
    threads.worker = _ToldToStop()
    assert threads.respond(conn, conn.next_request()).startswith(b"HTTP/1.1 200")
    assert threads.worker.alive is False
