"""How the threads of a worker take requests: the cases in which our own server could lose one."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest
from flask_migrate import upgrade

from course_management.server.worker import Worker
from devtools.gunicorn import Gunicorn, send
from devtools.waiting import eventually, wait_until
from tests.databases import waiting_for_locks


@pytest.fixture
def small(new_database, make_app, tmp_path):
    """One worker of two threads, on PostgreSQL."""
    url = new_database("postgresql")
    with make_app(url).app_context():
        upgrade()
    with Gunicorn(
        {"DATABASE_URL": url, "WEB_CONCURRENCY": "1", "THREADS": "2", "KEEPALIVE": "2"},
        log=tmp_path / "log",
    ) as server:
        server.database = url
        yield server


def dial(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def locked_student(server):
    """The id of a student, and a connection that holds a lock on the row until it is closed."""
    student = server.request("POST", "/students", {"name": "Ada"}).json["id"]
    locker = psycopg2.connect(server.database.replace("+psycopg2", ""))
    locker.cursor().execute("SELECT 1 FROM students FOR UPDATE")
    return student, locker


def read(wire):
    """What comes until the other side closes."""
    parts = []
    while part := wire.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_pipelined_requests_are_answered_in_order(small):
    with dial(small) as wire:
        wire.sendall(
            b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n"
            b"Connection: close\r\n\r\n"
        )
        answers = read(wire).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"404"]


def test_the_refusal_of_an_unread_body_is_complete(small):
    with dial(small) as wire:
        wire.sendall(
            b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: "
            b"900000\r\n\r\n" + b"x" * 900000
        )
        assert wire.recv(65536).startswith(b"HTTP/1.1 415")


def test_an_unread_body_does_not_end_the_connection(small):
    """gunicorn reads 64 KiB of the body and closes the connection although it said keep-alive.
    Behind nginx, another client's request would then get 502.
    """
    wire = http.client.HTTPConnection("127.0.0.1", small.port, timeout=30)
    refused = send(wire, "POST", "/courses?unknown=1", b"x" * 900_000)
    sock = wire.sock
    assert (refused.status, refused.headers["Connection"]) == (422, "keep-alive")
    assert send(wire, "GET", "/health/live").status == 200
    assert wire.sock is sock
    wire.close()


def test_a_malformed_request_is_not_repeated_in_the_log(small):
    """Fails without `without_request_text`: the log then has the whole request line."""
    for line in (
        b"GET /students?email=ada%40example.edu&\xff HTTP/1.1",
        b"GET / HTTP/1.1\r\nAda Lovelace: x",
    ):
        with dial(small) as wire:
            wire.sendall(line + b"\r\nHost: x\r\n\r\n")
            assert wire.recv(65536)[9:12] == b"400"
    assert re.findall("(?i)lovelace|example", small.log.read_text()) == []


def test_half_a_request_is_given_up_and_blocks_nobody(small):
    """With gunicorn's own blocking reads, four such clients hold all threads for ever."""
    halves = [
        b"GET /health/live HT",
        b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
        b"9\r\n\r\n{",
    ]
    with dial(small) as head, dial(small) as body:
        head.sendall(halves[0])
        body.sendall(halves[1])
        assert [head.recv(65536)[9:12], body.recv(65536)[9:12]] == [b"408", b"408"]
    assert small.request("GET", "/health/live").status == 200


def test_while_every_thread_is_stuck_other_requests_are_refused(small):
    """Fails without the refusal: the request then waits as long as the others. A connection with a
    waiting request must not be closed as idle, either.
    """
    student, locker = locked_student(small)
    stuck = [
        threading.Thread(target=small.request, args=("DELETE", f"/students/{student}"))
        for _ in range(2)
    ]
    for thread in stuck:
        thread.start()
    wait_until(lambda: waiting_for_locks(small.database) == 2)
    began = time.monotonic()
    answer = small.request("GET", "/health/live")
    took = time.monotonic() - began
    locker.close()
    for thread in stuck:
        thread.join()
    assert (answer.status, answer.json["type"], answer.headers["Retry-After"]) == (
        503,
        "/problems/overloaded",
        "2",
    )
    assert took < 5  # seconds; a lock is waited for twice as long
    assert small.request("GET", "/health/live").status == 200


def test_an_idle_connection_is_closed_and_a_used_one_is_not(small):
    wire = http.client.HTTPConnection("127.0.0.1", small.port)
    for _ in range(3):
        assert send(wire, "GET", "/health/live").status == 200
    wire.sock.settimeout(30)
    assert wire.sock.recv(1) == b""
    wire.close()


def test_extra_threads_serve_while_the_database_is_slow(new_database, make_app, tmp_path):
    """Fails if extra threads are enabled only after a quarter of a second, and not while all base
    threads wait for the database.
    """
    url = new_database("postgresql")
    with make_app(url).app_context():
        upgrade()
    with (
        Gunicorn(
            {"DATABASE_URL": url, "WEB_CONCURRENCY": "1", "THREADS": "4"}, log=tmp_path / "log"
        ) as server,
        closing(psycopg2.connect(url.replace("+psycopg2", ""))) as watch,
    ):
        watch.autocommit, cursor = True, watch.cursor()
        cursor.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
            "pg_sleep(0.1); RETURN NEW; END $$;"
            "CREATE TRIGGER slow BEFORE INSERT ON students FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        ask = [threading.Thread(target=_ten_students, args=(server,)) for _ in range(8)]
        for thread in ask:
            thread.start()
        at_once = 0
        while any(thread.is_alive() for thread in ask):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "wait_event = 'PgSleep'"
            )
            at_once = max(at_once, cursor.fetchone()[0])
    assert at_once == 4


def _ten_students(server):
    for _ in range(10):
        assert server.request("POST", "/students", {"name": "Ada"}).status == 201


def test_a_stopping_worker_answers_all_accepted_requests(small):
    student, locker = locked_student(small)
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(small.request("DELETE", f"/students/{student}").status)
    )
    idle = http.client.HTTPConnection("127.0.0.1", small.port)
    assert send(idle, "GET", "/health/live").status == 200

    def told():
        answer = send(idle, "GET", "/health/live")
        return answer.status, answer.headers["Connection"]

    waiting.start()
    wait_until(lambda: waiting_for_locks(small.database) == 1)
    small.process.send_signal(signal.SIGTERM)
    # a client that does not know yet is answered, and told to close
    eventually(told, (200, "close"))
    locker.close()
    waiting.join()
    idle.close()
    assert answers == [204]
    assert small.process.wait(30) == 0


class _Flooded(Worker):
    """A stopping worker: another connection always waits to be accepted. Clients close theirs at
    once, unless they are `kept`.
    """

    def __init__(self, *, kept):
        self.kept, self.accepted, self.began = kept, 0, time.monotonic()
        self.alive, self.cm_slot, self.worker_connections = False, 0, 100
        self.cfg = SimpleNamespace(graceful_timeout=0)
        self.sockets = [SimpleNamespace(close=lambda: None)]
        self.cm_threads = SimpleNamespace(open={})

    def set_accept_enabled(self, enabled):
        assert not enabled

    def accept(self, listener):
        assert time.monotonic() < self.began + 10
        self.accepted += 1
        if self.kept:
            self.cm_threads.open[self.accepted] = None
        return True


def test_a_stopping_worker_accepts_a_flood_for_a_moment_only():
    """Fails without the limit of time: the worker then accepts until its master kills it."""
    _Flooded(kept=False).cm_stop()


def test_a_stopping_worker_holds_no_more_connections_than_another():
    worker = _Flooded(kept=True)
    worker.cm_stop()
    assert len(worker.cm_threads.open) == worker.worker_connections


def test_connections_are_spread_over_the_workers(new_database, make_app, tmp_path):
    """Fails without the pause before `accept`: one worker may then get all connections."""
    url = new_database("sqlite")
    with make_app(url).app_context():
        upgrade()
    with Gunicorn(
        {"DATABASE_URL": url, "WEB_CONCURRENCY": "3", "THREADS": "2"}, log=tmp_path / "log"
    ) as server:
        eventually(lambda: [len(entries(pid, "task")) > 2 for pid in server.workers()], [True] * 3)
        before = sockets(server)
        for _ in range(5):
            wires = [dial(server) for _ in range(30)]
            eventually(lambda: sum(sockets(server)) - sum(before), 30)
            assert min(now - then for now, then in zip(sockets(server), before, strict=True)) >= 6
            for wire in wires:
                wire.close()
            eventually(lambda: sockets(server), before)


def entries(pid, folder):
    return list(Path(f"/proc/{pid}/{folder}").iterdir())


def sockets(server):
    """The number of open sockets of each worker."""
    return [sum(map(is_socket, entries(pid, "fd"))) for pid in sorted(server.workers())]


def is_socket(entry):
    try:
        return stat.S_ISSOCK(entry.stat().st_mode)
    except FileNotFoundError:  # closed since
        return False
