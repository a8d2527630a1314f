"""The HTTP reader reads requests as gunicorn does, and nobody can add a line to an answer."""

from __future__ import annotations

import random

import pytest
from gunicorn.config import Config
from gunicorn.http import message
from gunicorn.http.unreader import IterUnreader

from course_management.server import http1

LINES = [
    "GET /courses?limit=20 HTTP/1.1",
    "POST /students/1/enroll HTTP/1.1",
    "GET //courses/Input%2FOutput?q=%C3%A4&q=? HTTP/1.1",
    "GET /a:b?x#y HTTP/1.1",
    "GET /? HTTP/1.1",
    "GET http://x/courses HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET /courses HTTP/1.0",
    "GET /courses HTTP/1.2",
    "GET  /courses HTTP/1.1",
    "GET /cour ses HTTP/1.1",
    "GET /kurs\xe9 HTTP/1.1",
    "get /courses HTTP/1.1",
    "BREW /courses HTTP/1.1",
    "CONNECT /courses HTTP/1.1",
    "GET /" + "a" * 8190 + " HTTP/1.1",
    " GET / HTTP/1.1",
]
FIELDS = [
    "Host: example.edu",
    "host:example.edu:80",
    "Accept: */*",
    "Authorization: Bearer cm_x",
    "X-Request-ID:  two spaces before, one after ",
    "X-After: one space after ",
    "X-Tab:\tx\t",
    "X-Empty:",
    "X-Blank: ",
    "X-Latin: \xe9",
    "X-Control: \x01",
    "X-Nul: \0",
    "X-Bare: a\rb",
    "X-Line: a\nX-Smuggled: b",
    "X_Underscore: x",
    "X Space: x",
    "X-Space : x",
    ": nameless",
    "no colon",
    " folded",
    "Content-Length: 3",
    "Content-Length: 4",
    "Content-Length: +3",
    "Content-Type: application/json",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Expect: 100-continue",
    "Expect: wonders",
    "Connection: close",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Ssl: on",
    "SCRIPT-NAME: /courses",
    "Long: " + "x" * 8190,
]
MANY = [f"X-{number}: x" for number in range(101)]


def read(cls, head, peer):
    """The result of this class for a head: all attributes that other code reads, or the error."""
    unreader = IterUnreader([head.encode("latin-1") + b"abc"])
    try:
        request = cls(Config(), unreader, peer)
    except Exception as error:
        return type(error).__name__
    return (
        *(
            request.method,
            request.uri,
            request.path,
            request.query,
            request.fragment,
            request.version,
            request.scheme,
        ),
        *(sorted(request.headers), request.should_close(), request._expected_100_continue),
        *(
            type(request.body.reader).__name__,
            getattr(request.body.reader, "length", None),
            unreader.read(),
        ),
    )


def heads(seed):
    """One request line of each kind with the same headers, each header with the same request line,
    and a thousand mixtures.
    """
    chance = random.Random(seed)
    yield from (f"{line}\r\nHost: x\r\n\r\n" for line in LINES)
    yield from (f"{LINES[0]}\r\nHost: x\r\n{field}\r\n\r\n" for field in FIELDS)
    yield "\r\n".join([LINES[0], *MANY, "", ""])
    yield f"{LINES[0]}\r\n\r\n"
    for _ in range(1000):
        fields = chance.choices(FIELDS[:5], k=2) + chance.choices(FIELDS, k=chance.randrange(3))
        yield "\r\n".join([chance.choice(LINES[:3]), *fields, "", ""])


@pytest.mark.parametrize(
    "peer", [("127.0.0.1", 5000), ("192.0.2.1", 5000), ""], ids=["proxy", "stranger", "unix"]
)
def test_a_head_is_read_as_gunicorn_reads_it(peer):
    """Fails if repeated headers are accepted, if a value may contain a tab or a line feed, or if
    the scheme is not read.
    """
    for head in heads(1):
        expected = read(message.Request, head, peer)
        if (
            " HTTP/1.0\r" not in head
            and "\r\nhost:" not in head.lower()
            and expected[0] in http1.METHODS
        ):
            expected = "InvalidHeader"  # gunicorn serves it, against RFC 9112 section 3.2
        assert read(http1.Request, head, peer) == expected, head[:200]


def test_the_usual_head_is_read_here(monkeypatch):
    """A head as nginx sends it. If gunicorn's parser read it, the fast reader would gain nothing,
    and no other test would fail.
    """
    monkeypatch.delattr(message.Request, "_parse_python")
    head = (
        "POST /students/1/enroll HTTP/1.1\r\nHost: example.edu\r\nX-Forwarded-Proto: "
        "https\r\nX-Forwarded-For: 192.0.2.1\r\n"
        "X-Request-ID: 7\r\nContent-Length: 2\r\nContent-Type: application/json\r\nUser-Agent: "
        "a (b; c)\r\nAccept: */*\r\n\r\n"
    )
    assert read(http1.Request, head, "")[:3] == ("POST", "/students/1/enroll", "/students/1/enroll")


@pytest.mark.parametrize(
    ("version", "fields", "closes"),
    [
        ("1.1", "", False),
        ("1.1", "Connection: TE, Close\r\n", True),
        ("1.1", "Connection: keep-alive\r\n", False),
        ("1.0", "", True),
        ("1.0", "Connection: Keep-Alive, TE\r\n", False),
        ("1.0", "Connection: keep-alive, close\r\n", True),
    ],
)
def test_the_connection_stays_open_if_client_and_server_agree(version, fields, closes):
    """gunicorn reads Connection as one word. RFC 9112 section 9.3 defines a list."""
    head = f"GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n"
    assert http1.Request(Config(), IterUnreader([head.encode()]), "").should_close() is closes


@pytest.mark.parametrize(
    ("client", "address"),
    [(("192.0.2.1", 5), "192.0.2.1"), ("", ""), (b"\0abstract", "\0abstract")],
)
def test_the_address_of_the_client_is_text(client, address):
    assert http1.connection_environ(Config(), client, "/run/socket")["REMOTE_ADDR"] == address


@pytest.mark.parametrize("value", ["a\r\nX-Smuggled: b", "a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("where", [0, 1])
def test_a_header_of_an_answer_is_one_line(value, where):
    request = http1.Request(Config(), IterUnreader([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]), "")
    header = (value, "x") if where == 0 else ("X-Header", value)
    with pytest.raises(ValueError, match="line break"):
        http1.answer(request, "200 OK", [header], [b"{}"], close=False)


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")],
)
def test_an_answer_without_a_body_has_none_whatever_the_application_returns(method, status):
    """RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5."""
    head = f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    request = http1.Request(Config(), IterUnreader([head]), "")
    said = http1.answer(request, status, [("ETag", '"1-1"')], [b"{}"], close=False)
    assert said.endswith(b'\r\nETag: "1-1"\r\n\r\n')
    assert b"Content-Length" not in said
