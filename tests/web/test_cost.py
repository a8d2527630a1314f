"""The cost of refused requests: at most LIMIT seconds of the interpreter's time for any content."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import quote

import orjson
import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders
from gunicorn.http.unreader import IterUnreader

from course_management.core import text
from course_management.server import http1
from course_management.server.inbox import ChunkedBody, Inbox
from course_management.web.parsing import MAX_BODY_BYTES
from tests.conftest import bearer
from tests.web.problems import problem

LIMIT = 0.05  # seconds
MARKS = "a" + "\u0300" * (MAX_BODY_BYTES // 5) + "\u0316" * (MAX_BODY_BYTES // 5)


def filled(before: str | bytes, unit: str | bytes, after: str | bytes) -> bytes:
    """`unit` between the other texts, repeated until the body has 1 MiB."""
    first, one, last = (
        part if isinstance(part, bytes) else part.encode() for part in (before, unit, after)
    )
    return first + one * ((MAX_BODY_BYTES - len(first) - len(last)) // len(one)) + last


def members(member: str) -> bytes:
    """An object of 1 MiB whose members all have different names."""

    def parts() -> Iterator[str]:
        size = 2
        for number in range(MAX_BODY_BYTES):
            part = member.replace("#", f"{number:x}")
            size += len(part) + 1
            if size > MAX_BODY_BYTES:
                return
            yield part

    return f"{{{','.join(parts())}}}".encode()


def a(field: str, unit: str | bytes, after: str = "") -> bytes:
    """An object whose `field` fills the largest body."""
    return filled(f'{{"{field}":"', unit, f'{after}"}}')


BODIES = {
    "marks out of order in a name": ("/courses", orjson.dumps({"name": MARKS, "level": "x"})),
    "marks in a level": ("/courses", a("level", "\u0300\u0316")),
    "marks in an external id": ("/courses", a("external_id", "\u0f73")),
    "marks in an e-mail address": (
        "/students",
        orjson.dumps({"name": "a", "email": f"{MARKS}@b.c"}),
    ),
    "marks, written as escapes": ("/courses", a("name", b"\\u0300\\u0316")),
    "nothing that shows": ("/courses", a("name", "\u200b")),
    "a control character at the end": ("/courses", a("name", "a", "\\u0000")),
    "spaces": ("/courses", a("name", " ", "a")),
    "letters": ("/courses", a("name", "ß")),
    "signs of an address": ("/students", a("email", "@")),
    "no field there is": ("/courses", members('"#":1')),
    "no field there is, with texts": ("/courses", members('"#":"#"')),
    "no field there is, with names to escape": ("/courses", members('"~/#":null')),
    "one field with a long name": ("/courses", filled('{"', "~", '":1}')),
    "one field, again and again": ("/courses", filled("{", '"name":1,', '"a":1}')),
    "fields that are objects": ("/courses", members('"#":{"a":[]}')),
    "deep lists": ("/courses", b"[" * MAX_BODY_BYTES),
    "deep objects": ("/courses", filled("", '{"a":', "")),
    "many lists": ("/courses", filled("[", "[],", "1]")),
    "many objects": ("/courses", filled("[", '{"a":[]},', "1]")),
    "many deep lists": ("/courses", filled("[", "[" * 400 + "]" * 400 + ",", "1]")),
    "as many deep lists as are read": (
        "/courses",
        b"[" + b",".join([b"[" * 400 + b"]" * 400] * 24) + b"]",
    ),
    "lists in place of a name": ("/courses", filled('{"name":[', "[],", "1]}")),
    "numbers": ("/courses", filled("[", "1.5,", "1]")),
    "one number": ("/courses", filled('{"capacity":', "9", "}")),
    "ids": ("/students/1/enroll", filled('{"course_ids":[', "0,", "0]}")),
    "ids, each of them a fault": (
        "/courses/1/drop",
        orjson.dumps({"student_ids": ["x" * 1000] * 1000}),
    ),
    "no UTF-8": ("/courses", b"\xff" * MAX_BODY_BYTES),
    "line ends": ("/courses", b"\n" * MAX_BODY_BYTES),
}


def cost(ask):
    """The time of this thread in seconds (best of five), and the response."""
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        answer = ask()
        best = min(best, time.thread_time() - began)
    return best, answer


@pytest.mark.parametrize("kind", BODIES)
def test_a_refused_body_costs_little(client, kind):
    """Without the limits, unordered marks took 31 s, and unknown fields and nested lists 0.8 s."""
    path, body = BODIES[kind]
    assert len(body) <= MAX_BODY_BYTES
    seconds, answer = cost(lambda: client.post(path, data=body, content_type="application/json"))
    assert problem(answer)[0] in (400, 422)
    assert seconds < LIMIT


@pytest.mark.parametrize(
    "query",
    [
        "q=" + quote("a" + "\u0300" * 670 + "\u0316" * 670),
        "level=" + quote("\u0f73" * 800),
        "cursor=" + "W" * 8000,
        "a&" * 4000,
        "&".join(f"{number:x}=" for number in range(1800)),
        "%" * 8000,
        "q=" * 4000,
        "&q" * 4000,
    ],
)
def test_a_refused_query_costs_little(client, query):
    seconds, answer = cost(
        lambda: client.get("/courses", environ_overrides={"QUERY_STRING": query})
    )
    assert problem(answer) == (422, "invalid")
    assert seconds < LIMIT


@pytest.mark.parametrize(
    "path",
    [
        "/courses/" + quote("a" + "\u0300" * 670 + "\u0316" * 670),
        "/courses/" + "%41" * 2600,
        "/courses/" + "%" * 8000,
        "/courses/" + "a/" * 4000,
        "/courses/" + "9" * 8000,
        "/students/1/courses/" + "1/" * 3500,
        "/problems/" + "a" * 8000,
        "/courses" + "//" * 4000,
    ],
)
def test_an_unknown_address_costs_little(client, path):
    seconds, answer = cost(lambda: client.get("/", environ_overrides={"RAW_URI": path}))
    assert problem(answer)[0] == 404
    assert seconds < LIMIT


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Match", '"a",' * 2000, 412),
        ("If-Match", '"' * 8000, 412),
        ("If-None-Match", "W/" * 4000, 200),
        ("Content-Type", "a;" * 4000, 415),
        ("Content-Type", 'a;b="' + "\\\\" * 4000, 415),
        ("Content-Type", "application/json;" + 'a*0="x";' * 900, 200),
        ("Idempotency-Key", "a" * 8000, 422),
        ("Traceparent", "0" * 8000, 200),
        ("X-Request-ID", "a" * 8000, 200),
        ("Authorization", "Bearer " + "a." * 4000, 401),
        ("Authorization", "Bearer eyJ" + "W1tb" * 2000 + ".e30.x", 401),
        ("Origin", "http://" + "a" * 8000, 200),
    ],
)
def test_a_long_header_costs_little(guarded, new_key, make, name, value, status):
    """The rest of the request is valid, so the service reads this header."""
    client, path = guarded.test_client(), f"/courses/{make.course()['id']}"
    headers = {"Content-Type": "application/json"} | bearer(new_key("courses:write"))
    seconds, answer = cost(
        lambda: client.put(path, data=b'{"level": "b"}', headers=headers | {name: value})
    )
    assert answer.status_code == status
    assert seconds < LIMIT


def head(lines: Iterator[str]) -> list[bytes]:
    """A head of 800 KiB, received in the pieces in which a socket delivers it."""
    sent = f"GET / HTTP/1.1\r\nHost: x\r\n{''.join(lines)}\r\n".encode()
    return [sent[i : i + 4096] for i in range(0, len(sent), 4096)]


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-{number}: {'a' * 8100}\r\n" for number in range(99)],
        [f"X{number}:\r\n" for number in range(80_000)],
        ["X" * 800_000],
    ],
)
def test_a_head_of_many_headers_costs_little(lines):
    """Fails with gunicorn's own limit: it searches the 800 KiB from the start two hundred times."""
    pieces = head(lines)
    settings = Config()

    def read():
        with pytest.raises(LimitRequestHeaders):
            http1.Request(settings, IterUnreader(pieces), ("127.0.0.1", 1))

    assert cost(read)[0] < LIMIT


def test_a_body_of_many_chunks_costs_little():
    """Fails without the limit: 1 MiB in chunks of one byte takes 0.4 s."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = http1.Request(Config(), IterUnreader([head]), ("127.0.0.1", 1))
    sent = b"1\r\n[\r\n" * (MAX_BODY_BYTES // 6)

    def read():
        inbox, body = Inbox(), ChunkedBody(request)
        for i in range(0, len(sent), 8192):
            inbox.add(sent[i : i + 8192])
            body.read(inbox)

    def refuse():
        with pytest.raises(InvalidChunkSize):
            read()

    assert cost(refuse)[0] < LIMIT


def test_the_caller_is_checked_before_the_address_is_decoded(guarded, new_key, monkeypatch):
    """Fails if the converter normalises: an address then costs milliseconds before the 401."""
    stranger, client = bearer(new_key("students:read")), guarded.test_client()

    def never(value):
        raise AssertionError("looked at")

    address = "/courses/" + quote("Ma\u0300the\u0301")
    for name in ("clean", "key", "has_control", "is_blank"):
        monkeypatch.setattr(text, name, never)
    assert problem(client.get(address)) == (401, "not-authenticated")
    assert problem(client.get(address, headers=stranger)) == (403, "scope-missing")
    assert problem(client.put(address, json={}, headers=stranger)) == (403, "scope-missing")


@pytest.mark.parametrize(("mark", "most"), [("\u0316", 30), ("\u0344", 15)])
def test_too_many_marks_in_a_row_are_refused_with_a_remedy(client, mark, most):
    """30 marks are allowed, counted after normalisation. A course with such a name is found at its
    address.
    """
    course = client.post("/courses", json={"name": "Q" + mark * most, "level": "x"})
    assert course.status_code == 201
    assert client.get("/courses/" + quote(course.json["name"])).json["id"] == course.json["id"]
    for path, field in (
        ("/courses", "name"),
        ("/students", "name"),
        ("/students", "external_id"),
        ("/courses", "level"),
    ):
        answer = client.post(
            path, json={"name": "a", "level": "b"} | {field: "Q" + mark * (most + 16)}
        )
        faults = {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]}
        assert faults[f"/{field}"] == (
            "Must not have more than 30 combining marks in a row: remove the marks that no "
            "letter needs."
        )
    answer = client.get("/courses", query_string={"q": "Q" + mark * 31})
    assert [fault["parameter"] for fault in answer.json["errors"]] == ["q"]
    assert problem(client.get("/courses/" + quote("Q" + mark * 31))) == (404, "course-not-found")
