"""Slow clients that are connected directly to a worker. Other clients notice nothing, and each slow
client is disconnected after its time.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from flask_migrate import upgrade

from devtools.gunicorn import Gunicorn
from devtools.waiting import pause

HOST = b"Host: x\r\n"
BODY = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + b" " * 900
CHUNKS = (
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 150
)
TAKE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"\r\n"
MANY = 20  # answers of 1.4 MB, more than the kernel takes off our hands
# By what is slow: what is sent at once, and what follows byte by byte; the last sends it all, and
# takes its answer so.
SLOW = {
    "head": (b"GET /health/live HTTP/1.1\r\n", b"X-Slow: slow\r\n" * 100),
    "body": (b"POST /courses HTTP/1.1\r\n" + HOST + BODY[:-900], BODY[-900:]),
    "chunks": (b"POST /courses HTTP/1.1\r\n" + HOST + CHUNKS[:-900], CHUNKS[-900:]),
    "answer": (TAKE * MANY, b""),
}


@pytest.fixture(scope="module")
def small(new_database, make_app, tmp_path_factory):
    """One worker of two threads."""
    url = new_database("sqlite")
    with make_app(url).app_context():
        upgrade()
    with Gunicorn(
        {"DATABASE_URL": url, "WEB_CONCURRENCY": "1", "THREADS": "2"},
        log=tmp_path_factory.mktemp("small") / "log",
    ) as server:
        yield server


def dial(server, taking=2**16):
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taking)
    wire.settimeout(60)
    wire.connect(("127.0.0.1", server.port))
    return wire


def begin(server, kind):
    wire = dial(server, taking=2048)
    wire.sendall(SLOW[kind][0])
    return wire


@contextmanager
def dripping(wires, every):
    """Send or read one byte on each of the `wires` every `every` seconds, until the block ends."""
    done = threading.Event()

    def drip():
        at = 0
        while not done.wait(every):
            for wire, kind in wires:
                try:
                    wire.send(SLOW[kind][1][at : at + 1]) if kind != "answer" else wire.recv(1)
                except OSError:  # given up
                    continue
            at += 1

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("count", [4, 40, 400])
def test_slow_clients_take_no_thread(small, count):
    """Fails with four clients if a thread reads or sends while it waits for its client: up to ten
    seconds for each byte.
    """
    with ExitStack() as stack:
        wires = [
            (stack.enter_context(begin(small, kind)), kind)
            for kind in SLOW
            for _ in range(count // 4)
        ]
        with dripping(wires, every=0.5):
            slowest, end = 0.0, time.monotonic() + 3
            while time.monotonic() < end:
                began = time.monotonic()
                assert small.request("POST", "/students", {"name": "Ada"}).status == 201
                slowest = max(slowest, time.monotonic() - began)
    assert slowest < 2  # seconds; a thread that waits for a client is held for five times as long


def test_a_slow_client_is_disconnected_after_its_time(small):
    """Fails if each byte starts the ten seconds again."""
    with ExitStack() as stack:
        wires = {kind: stack.enter_context(begin(small, kind)) for kind in SLOW}
        with (
            dripping([(wire, kind) for kind, wire in wires.items()], every=0.2),
            selectors.DefaultSelector() as selector,
        ):
            began, ended, said = time.monotonic(), {}, {}
            for kind, wire in wires.items():
                if kind != "answer":
                    selector.register(wire, selectors.EVENT_READ, kind)
            while selector.get_map() and time.monotonic() < began + 30:
                for key, _ in selector.select(0.5):
                    said[key.data] = key.fileobj.recv(65536)
                    ended[key.data] = time.monotonic() - began
                    selector.unregister(key.fileobj)
        wires["answer"].settimeout(5)
        taken = b""
        with suppress(OSError):  # reset, for most of it has not gone out
            while part := wires["answer"].recv(2**20):
                taken += part
    assert {kind: text[9:12] for kind, text in said.items()} == dict.fromkeys(
        ("head", "body", "chunks"), b"408"
    )
    assert 9 < ended["head"] < 12 and 19 < ended["body"] < 22 and 19 < ended["chunks"] < 22
    assert taken.count(b"HTTP/1.1 200") < MANY


def test_a_client_that_reads_slowly_gets_the_whole_answer(small):
    """The client also sends requests meanwhile. Their answers follow in order."""
    with dial(small, taking=2048) as wire:
        wire.sendall(
            TAKE * MANY + b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
        )
        parts = []
        while part := wire.recv(100_000):
            parts.append(part)
            if len(parts) < 20:
                pause(0.05)  # the client is this slow
    said = b"".join(parts)
    for _ in range(MANY):
        head, _, said = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        said = said[int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) :]
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in said


@pytest.mark.parametrize("kind", ["body", "chunks"])
def test_a_request_in_pieces_is_read_as_one(small, kind):
    """The pieces may be of any size, and the next request may follow directly."""
    text = b'{"name": "Ada"}'
    bodies = {
        "body": b"Content-Length: %d\r\n\r\n%b" % (len(text), text),
        "chunks": b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: "
        b"y\r\n\r\n" % (text[:5], len(text) - 5, text[5:]),
    }
    request = (
        b"POST /students HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n" + bodies[kind]
    )
    last = b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    for size in (1, 7, 50):
        with dial(small) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(request) * 2, size):
                wire.sendall((request * 2)[at : at + size])
            wire.sendall(last)
            said = b""
            while part := wire.recv(65536):
                said += part
        assert [answer[:3] for answer in said.split(b"HTTP/1.1 ")[1:]] == [b"201", b"201", b"200"]


def test_the_memory_for_slow_clients_is_bounded(small):
    """A thousand bodies of one mebibyte would take a gigabyte. The oldest connections are closed,
    and other clients are served.
    """
    head = (
        b"POST /courses HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"
    )
    (worker,) = small.workers()
    before = resident(worker)
    with ExitStack() as stack:
        wires = [stack.enter_context(dial(small)) for _ in range(300)]
        for wire in wires:
            try:
                wire.sendall(head + b" " * 1_000_000)
            except OSError:  # an older one let go
                continue
            assert wire is not wires[0] or small.request("GET", "/health/live").status == 200
        assert small.request("POST", "/students", {"name": "Ada"}).status == 201
        assert resident(worker) - before < 150  # MiB


def resident(pid):
    """The memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
