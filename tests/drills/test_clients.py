"""Slow clients, idle clients and clients that do not speak HTTP: other clients notice nothing."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from contextlib import ExitStack, closing

import psycopg2
import pytest

from devtools.waiting import pause
from tests.deploy.client import Load
from tests.drills import size
from tests.drills.storm import Storm

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
INNER_BODY = b'{"name":"Smuggled"}'
INNER = (
    b"POST /students HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    b"%d\r\n\r\n" % len(INNER_BODY)
)
INNER += INNER_BODY
LAST_CHUNK = b"0\r\n\r\n"


def post(body, *headers, end=b"\r\n"):
    head = (
        b"POST /students HTTP/1.1",
        b"Host: x",
        b"Content-Type: application/json",
        *headers,
        b"",
        b"",
    )
    return end.join(head) + body


WHOLE = b"Content-Length: %d" % len(LAST_CHUNK + INNER)
CHUNKED = b"Transfer-Encoding: chunked"
# Requests that one server may read as one request, and another server as two.
MALFORMED = {
    "length and chunks": post(LAST_CHUNK + INNER, WHOLE, CHUNKED),
    "chunks and length": post(
        b"%x\r\n%b\r\n" % (len(INNER), INNER) + LAST_CHUNK, CHUNKED, b"Content-Length: 4"
    ),
    "two lengths": post(INNER, b"Content-Length: 0", b"Content-Length: %d" % len(INNER)),
    "two lengths in one": post(INNER, b"Content-Length: 0, %d" % len(INNER)),
    **{
        f"length {n!r}": post(INNER, b"Content-Length: " + n)
        for n in (b"+0", b"-1", b"0x0", b"0_0", b"", b"9" * 30)
    },
    **{
        f"coding {te!r}": post(LAST_CHUNK + INNER, WHOLE, te)
        for te in (
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: identity, chunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding:\x0bchunked",
            b"Transfer-Encoding: chunked\r\n identity",
            b" Transfer-Encoding: chunked",
            b"X: y\nTransfer-Encoding: chunked",
            b"X: y\rTransfer-Encoding: chunked",
            b"Transfer_Encoding: chunked",
        )
    },
    **{
        f"chunk {size!r}": post(size + b"\r\n\r\n" + INNER, CHUNKED)
        for size in (b"0x0", b"-0", b"+0", b"f" * 20, b"")
    },
    "NUL": b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "no name": b"GET /health/live HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "two hosts": b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 200,
    "noise": bytes(range(256)) * 40,
}


def dial(up, to):
    """A connection to nginx, or directly to gunicorn."""
    wire = socket.socket(socket.AF_UNIX) if to == "gunicorn" else socket.socket()
    wire.settimeout(30)
    wire.connect(str(up.socket) if to == "gunicorn" else ("127.0.0.1", up.port))
    return wire


def read_all(wires, seconds):
    """The bytes that each connection receives within `seconds`, or until it closes."""
    said, deadline = dict.fromkeys(wires, b""), time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            selector.register(wire, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(0.1):
                try:
                    part = key.fileobj.recv(65536)
                except ConnectionError:
                    part = b""
                said[key.fileobj] += part
                if not part:
                    selector.unregister(key.fileobj)
    return said


def unharmed(others):
    assert (others.broken, others.statuses()) == ([], {200, 201})
    assert others.slowest < 2
    return f"{len(others.answers)}, the slowest {others.slowest:.2f} s"


def test_slow_clients(up, record_property):
    """Clients that send one byte a second or half a body, or do not read their responses. Without
    the worker's limits, twelve of them connected to gunicorn hold every thread.
    """
    head = b"GET /courses HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200
    body = post(b'{"name": "' + b"a" * 200, b"Content-Length: 1000")
    half = body.index(b"\r\n\r\n") + 10
    seconds = size(3, 20)
    with ExitStack() as stack, Load(up, clients=4) as others:
        slow = [stack.enter_context(dial(up, "nginx")) for _ in range(size(150, 600))]
        for i, wire in enumerate(slow):
            wire.sendall(
                (head[:1], body[:half], b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)[
                    i % 3
                ]
            )
        for at in range(1, seconds + 1):
            for i, wire in enumerate(slow):
                try:
                    wire.send((head[at : at + 1], body[half + at : half + at + 1], b"")[i % 3])
                except ConnectionError:
                    continue  # nginx has waited long enough
            pause(1)  # the clients are this slow
    record_property("slow", len(slow))
    record_property("seconds", seconds)
    record_property("others", unharmed(others))


def test_clients_that_hang_up(up, record_property):
    """A client that repeats its request with the same key gets the stored response. Fails if
    `claim` never finds a key.
    """
    with Storm(up, courses=size(4, 60), haste=True) as storm:
        storm.wait_for(size(200, 4000))
    assert (storm.broken, storm.statuses()) == ([], set())
    assert storm.replayed() > 0
    record_property("answered", len(storm.final))
    record_property("of them done already", storm.replayed())


def test_idle_connections(up, record_property):
    """Idle connections stay open and are served when they send a request. Fails with 1,024
    connections per nginx worker: most are then closed.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        idle = []
        for _ in range(size(1000, 5000)):
            idle.append(stack.enter_context(dial(up, "nginx")))
            idle[-1].sendall(LIVE)
            assert idle[-1].recv(4096).startswith(b"HTTP/1.1 200")
        with Load(up, clients=4) as others:
            pause(size(1, 20))  # so long they are idle
        for wire in idle:
            wire.sendall(LIVE)
        awake = sum(said.startswith(b"HTTP/1.1 200") for said in read_all(idle[:1000], 5).values())
    assert awake == 1000
    record_property("idle", len(idle))
    record_property("others", unharmed(others))


# gthread may keep a thread for every unfinished request, so nginx must be in front of it.
@pytest.mark.parametrize("to", ["nginx", pytest.param("gunicorn", marks=pytest.mark.fast_parts)])
def test_smuggled_and_malformed_requests(up, record_property, to):
    """No server reads a second request out of one request. Fails with a chunk whose extension ends
    in a bare line feed: nginx 1.22 continues to read behind it, which does no harm while nginx is
    the first server.
    """
    workers = up.worker_pids()
    with ExitStack() as stack, Load(up, clients=2) as others:
        wires = {name: stack.enter_context(dial(up, to)) for name in MALFORMED}
        for name, wire in wires.items():
            wire.sendall(MALFORMED[name])
        said = read_all(list(wires.values()), 2)
    told = {name: said[wire][9:12] for name, wire in wires.items()}
    # or it waits for more, and is given up later
    assert set(told.values()) <= {b"400", b"413", b"501", b""}, told
    with closing(psycopg2.connect(up.postgres.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM students WHERE name = 'Smuggled'")
        assert cursor.fetchone() == (0,), told
    assert up.worker_pids() == workers
    record_property("requests", len(MALFORMED))
    record_property("refused", sum(status != b"" for status in told.values()))
    record_property("others", unharmed(others))
