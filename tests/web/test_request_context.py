"""Log lines for operators: the client's trace, slow requests, slow statements."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.telemetry import logs
from devtools.waiting import pause

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "sent",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-00",
        f"cc-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-what-will-be",
    ],
)
def test_the_trace_of_the_client_is_in_every_log_line(client, lines, sent):
    client.post("/courses", json={"name": "Logic", "level": "x"}, headers={"traceparent": sent})
    event, request = lines()
    assert (event["event"], event["trace_id"], event["span_id"]) == ("course created", TRACE, SPAN)
    assert (request["event"], request["trace_id"], request["span_id"]) == ("request", TRACE, SPAN)
    client.get("/courses")
    assert "trace_id" not in lines()[0]


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01x",
        "0" * 5000,
    ],
)
def test_an_invalid_trace_is_ignored(client, lines, sent):
    """A malformed traceparent is ignored (W3C Trace Context, section 3.2.2)."""
    assert client.get("/courses", headers={"traceparent": sent}).status_code == 200
    (request,) = lines()
    assert not {"trace_id", "span_id"} & set(request)


@pytest.fixture
def slow(app, make_app):
    """A client of an app on the same database whose limits make everything slow, or nothing."""

    def make(**settings):
        url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
        heard = logs.log.handlers[:]
        client = make_app(url, **settings).test_client()
        logs.log.handlers[:] = heard
        return client

    return make


def test_a_slow_statement_is_logged_under_its_request_without_values(slow, lines, backend):
    client = slow(slow_statement_ms=0)
    client.post(
        "/students", json={"name": "Ada", "email": "ada@x.edu"}, headers={"X-Request-ID": "r1"}
    )
    found = [line for line in lines() if line["event"] == "slow statement"]
    (insert,) = [line for line in found if line["statement"].startswith("INSERT INTO students")]
    assert (insert["level"], insert["request_id"]) == ("warning", "r1")
    assert insert["duration_ms"] > 0
    assert "ada" not in str(found).lower()


def test_a_fast_statement_is_not_logged(slow, lines):
    client = slow(slow_statement_ms=60_000, slow_request_ms=60_000)
    client.post("/students", json={"name": "Ada"})
    assert not [line for line in lines() if line["event"].startswith("slow")]


def test_a_statement_that_waits_for_a_lock_is_slow(slow, app, lines, backend):
    """A real wait for a lock: both the statement and its request are logged as slow."""
    client = slow(slow_statement_ms=100, slow_request_ms=100)
    with ThreadPoolExecutor(1) as pool:
        with app.app_context(), transaction(writing=True) as session:
            if backend == "postgresql":  # SQLite has only one writer
                session.execute(sa.text("LOCK TABLE courses IN SHARE MODE"))
            answer = pool.submit(
                client.post,
                "/courses",
                json={"name": "Logic", "level": "x"},
                headers={"X-Request-ID": "r2"},
            )
            pause(0.3)  # the duration of the lock is what the log tells
        assert answer.result().status_code == 201
    slow_lines = [line for line in lines() if line["event"].startswith("slow")]
    statement, request = slow_lines
    awaited = {"postgresql": "INSERT INTO courses", "sqlite": "BEGIN IMMEDIATE"}[backend]
    assert statement["statement"].startswith(awaited)
    assert (request["event"], request["method"], request["route"], request["status"]) == (
        "slow request",
        "POST",
        "/courses",
        201,
    )
    assert statement["request_id"] == request["request_id"] == "r2"
    assert request["duration_ms"] >= statement["duration_ms"] >= 100


def test_commands_are_not_requests(app, slow, lines):
    slow(slow_statement_ms=0)
    app.test_cli_runner().invoke(args=["audit"])
    assert not [line for line in lines() if line["event"] == "slow statement"]
