"""Each request has one answer, and its Connection header is correct."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest
from flask_migrate import upgrade

from devtools.gunicorn import Gunicorn, send
from devtools.waiting import wait_until

POST = b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def small(new_database, make_app, tmp_path_factory):
    """One worker of two threads."""
    url = new_database("sqlite")
    with make_app(url).app_context():
        upgrade()
    env = {"DATABASE_URL": url, "WEB_CONCURRENCY": "1", "THREADS": "2"}
    with Gunicorn(env, log=tmp_path_factory.mktemp("small") / "log") as server:
        yield server


def dial(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def read(wire):
    """What comes until the other side closes."""
    parts = []
    while part := wire.recv(65536):
        parts.append(part)
    return b"".join(parts)


BROKEN = {
    "breaks off": b"5\r\nab",
    "no size": b"5\r\nabcde\r\nx\r\n",
    "no end of a chunk": b"5\r\nabcdefg\r\n0\r\n\r\n",
    "a long line": b"5;" + b"a" * 9000,
    "a bad extension": b"5;\x01\r\nabcde\r\n0\r\n\r\n",
    "a trailer that frames": b"0\r\nContent-Length: 5\r\n\r\n",
    "a trailer that is none": b"0\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("head", [LIVE, POST], ids=["unwanted", "wanted"])
def test_a_malformed_chunked_body_has_one_answer(small, head, body):
    """Fails if the body is read only after the answer: 200 with keep-alive, and then a 400, which
    answers the next request.
    """
    with dial(small) as wire:
        wire.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        wire.shutdown(socket.SHUT_WR)
        said = read(wire)
    assert said.count(b"HTTP/1.1 ") == 1
    assert said[9:12] == b"400" and b"\r\nConnection: close\r\n" in said


def test_an_incomplete_body_has_one_answer(small):
    for head in (LIVE, POST):
        with dial(small) as wire:
            wire.sendall(head + b"Content-Length: 9\r\n\r\n{")
            wire.shutdown(socket.SHUT_WR)
            said = read(wire)
        assert (said.count(b"HTTP/1.1 "), said[9:12]) == (1, b"400")


@pytest.mark.parametrize("path", ["/courses", "/courses?unknown=1"])
@pytest.mark.parametrize("length", [2**20, 2**20 + 1, 3 * 2**20])
def test_the_last_answer_of_a_connection_says_close(small, path, length):
    """Fails over 2 MiB if the answer says keep-alive and the connection is closed: the next request
    of a client's pool then fails.
    """
    wire = http.client.HTTPConnection("127.0.0.1", small.port, timeout=30)
    answer = send(wire, "POST", path, b" " * length, {"Content-Type": "application/json"})
    assert answer.headers["Connection"] == ("keep-alive" if length == 2**20 else "close")
    assert answer.status == (422 if path != "/courses" else 413 if length > 2**20 else 400)
    assert send(wire, "GET", "/health/live").status == 200
    wire.close()


@pytest.mark.parametrize(
    "chunk", [b"100001\r\n", b"fffffffff\r\n", b"100000\r\n" + b" " * 2**20 + b"\r\n1\r\n"]
)
def test_a_chunked_body_is_refused_when_it_declares_too_many_bytes(small, chunk):
    with dial(small) as wire:
        wire.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        said = read(wire)
    assert (said[9:12], said.count(b"HTTP/1.1 ")) == (b"413", 1)
    assert b"\r\nConnection: close\r\n" in said


def test_many_small_chunks_cost_little(small):
    """One mebibyte in chunks of one byte. The size of the framing is limited, so reading it takes
    little time.
    """
    with dial(small) as wire:
        wire.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):  # refused meanwhile
            wire.sendall(b"1\r\n \r\n" * 180_000)
        assert wire.recv(65536)[9:12] == b"400"


def test_expect_100_continue_is_answered(small):
    """100 is sent before the body, and only if the client expects it (RFC 9110 section 10.1.1)."""
    with dial(small) as wire:
        wire.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"{}")
        assert wire.recv(65536)[9:12] == b"422"
    with dial(small) as wire:
        wire.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
        assert wire.recv(65536)[9:12] == b"413"


def test_a_refused_connection_ends_even_if_its_client_goes_on_sending(small):
    """Without the limit of the stage DRAIN, this took 20 s and longer."""
    with dial(small) as wire:
        wire.sendall(b"GET / HTTP/9.9\r\n\r\n")
        assert b" 400 " in wire.recv(65536)
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() < began + 15:
                wire.sendall(b"x" * 10_000)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "head",
    [
        b"HEAD / HTTP/9.9\r\n\r\n",
        b"HEAD /" + b"a" * 9000 + b" HTTP/1.1\r\n",
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"\r\nHEAD /\xff HTTP/1.1\r\n\r\n",
    ],
)
def test_a_refusal_of_head_has_no_body(small, head):
    """RFC 9110 section 9.3.2. Fails if the refusal has a body: the client reads it as the next
    answer.
    """
    with dial(small) as wire:
        wire.sendall(head)
        said = read(wire)
    top, end, body = said.partition(b"\r\n\r\n")
    assert (top[9:10], end, body) == (b"4", b"\r\n\r\n", b"")
    assert b"Content-Length: " in top


def test_a_problem_in_response_to_head_has_no_body(gunicorn):
    answers = [
        gunicorn.request("HEAD", path)
        for path in ("/nowhere", "/courses/9999", "/courses?unknown=1", "/students/x")
    ]
    assert [(answer.status, answer.body) for answer in answers] == [
        (404, b""),
        (404, b""),
        (422, b""),
        (404, b""),
    ]


def test_stopping_ends_while_clients_go_on_connecting(tmp_path):
    """Fails without LAST_ACCEPTS_SECONDS: the worker stops only when no client connects."""
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}",
        "WEB_CONCURRENCY": "1",
        "GRACEFUL_TIMEOUT": "8",
    }
    with Gunicorn(env, log=tmp_path / "log") as server:
        _stop_under_a_flood(server)


def _stop_under_a_flood(server):
    stop, made = threading.Event(), []

    def flood():
        while not stop.is_set():
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
                made.append(1)
            except OSError:
                stop.wait(0.01)

    floods = [threading.Thread(target=flood) for _ in range(6)]
    for thread in floods:
        thread.start()
    wait_until(lambda: len(made) > 100)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(30)
    took = time.monotonic() - began
    stop.set()
    for thread in floods:
        thread.join()
    assert code == 0 and took < 7, took  # not ended by its master after GRACEFUL_TIMEOUT


def test_an_answer_has_one_date_and_no_type_without_a_body(small):
    for path in ("/docs/start.js", "/health/live"):
        assert len(small.request("GET", path).headers.get_all("Date")) == 1
    answer = small.request("OPTIONS", "/courses")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", None)
    student = small.request("POST", "/students", {"name": "Ada"}).json["id"]
    gone = small.request("DELETE", f"/students/{student}")
    assert (gone.status, gone.headers["Content-Type"]) == (204, None)


def test_only_the_header_of_our_proxy_sets_the_scheme(small):
    """Fails with gunicorn's default: the answer is 400, because X-Forwarded-Ssl contradicts nginx's
    header.
    """
    for name, value in (("X-Forwarded-Ssl", "on"), ("X-Forwarded-Protocol", "ssl")):
        assert (
            small.request(
                "GET", "/health/live", headers={"X-Forwarded-Proto": "http", name: value}
            ).status
            == 200
        )
