"""Every course name that POST accepts works as an address, over the real server."""

from __future__ import annotations

import http.client
import re
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devtools.gunicorn import send
from tests.generated import examples
from tests.sockets import exchange, status_of

# Letters, marks and symbols that are invisible: Hangul fillers, variation selectors, the blank
# Braille pattern …
INVISIBLE = {*"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"} | {
    chr(c) for c in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
parts = st.sampled_from(
    [
        "/",
        "//",
        "%",
        "%2F",
        "+",
        "?",
        "#",
        ".",
        "..",
        " ",
        "&",
        ";",
        "7",
        "\\",
        "ß",
        "İ",
        "é",
        "日",
        "students",
        "drop",
    ]
)
names = st.lists(parts | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(
    "".join
)


@pytest.fixture(scope="session")
def wire(gunicorn):
    """One connection to the server."""
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn.port, timeout=60)
    yield connection
    connection.close()


@settings(
    max_examples=examples(100, 300),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(name=names)
@example("Input/Output")
@example("C++")
@example("50% Off?")
@example("Физика")
@example("a#b")
@example("a//b")
@example("日本語 入門")
@example("Straße")
@example("//evil.example/x")
@example("a/students")
@example("http://x/y")
def test_every_name_that_post_accepts_is_an_address(app, wire, name):
    answer = send(wire, "POST", "/courses", {"name": name, "level": "x"})
    assert answer.status in (201, 422)  # each course is deleted again, so no name is taken
    if answer.status == 201:
        course = answer.json
        for address in (
            f"/courses/{quote(course['name'], safe='')}",
            f"/api/v1/courses/{quote(course['name'].upper().lower(), safe='')}",
        ):
            found = send(wire, "GET", address)
            assert found.status == 200, (name, address)
        assert send(wire, "GET", f"/courses/{quote(course['name'], safe='')}").json == course
        assert send(wire, "DELETE", f"/courses/{quote(course['name'], safe='')}").status == 204
    else:
        # Only for a documented reason: invisible, control characters, or not usable in an address.
        cleaned = unicodedata.normalize("NFC", name.strip())
        unseen = all(
            unicodedata.category(c) in ("Cf", "Zs", "Zl", "Zp") or c in INVISIBLE for c in cleaned
        )
        control = any(unicodedata.category(c) == "Cc" for c in cleaned)
        unsafe = re.match("[0-9]+(/|$)", cleaned, re.ASCII) or {".", ".."} & set(cleaned.split("/"))
        assert unseen or control or unsafe, (name, answer.json)


def raw(port, target):
    """The status of a request whose target is sent unchanged."""
    head = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    return status_of(exchange(port, head))


def test_other_forms_of_the_request_target(app, gunicorn, make):
    make.course(name="Физика / 2")
    encoded = quote("Физика / 2", safe="").encode()
    assert raw(gunicorn.port, b"/courses/" + encoded + b"?") == 200
    assert raw(gunicorn.port, b"http://school.example/courses/" + encoded) == 200
    assert raw(gunicorn.port, b"http://school.example") == 302
    assert raw(gunicorn.port, b"/courses/%zz") == 404
    assert raw(gunicorn.port, b"/courses/../students") == 404
