"""Every bad input gets a clear response and changes nothing."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generated import examples
from tests.sockets import dial, exchange, status_of
from tests.web.problems import problem

UNKNOWN = "Unknown field."
CONTROL = "Must not contain control characters."
ID_RULE = "Must be a whole number from 1 to 9223372036854775807."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "a", ',
        b"name=a",
        b"NaN",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b"\xff\xfe",
        b'{"name": "\xc3"}',
        "\ufeff{}".encode(),
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"{'name': 'a'}",
    ],
)
def test_a_body_that_is_not_json_is_refused(client, body):
    answer = client.post("/courses", data=body, content_type="application/json")
    assert problem(answer) == (400, "malformed-json")
    assert client.get("/courses").json == []


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", "x"],
)
def test_another_content_type_is_refused(client, kind):
    answer = client.post("/courses", data=b'{"name": "a", "level": "b"}', content_type=kind)
    assert problem(answer) == (415, "unsupported-media-type")
    assert answer.headers["Accept"] == "application/json"


def test_the_refusal_of_a_patch_lists_the_accepted_types(client, make):
    answer = client.patch(
        f"/courses/{make.course()['id']}", data=b"{}", content_type="application/json-patch+json"
    )
    assert problem(answer) == (415, "unsupported-media-type")
    assert answer.headers["Accept-Patch"] == "application/json, application/merge-patch+json"


def test_a_parameter_of_the_content_type_is_accepted(client):
    answer = client.post(
        "/courses",
        data=b'{"name": "a", "level": "b"}',
        content_type="Application/JSON; charset=utf-8",
    )
    assert answer.status_code == 201


def test_a_body_over_1_mib_is_refused(client):
    body = json.dumps({"name": "a" * 2**20, "level": "x"})
    assert problem(client.post("/courses", data=body, content_type="application/json")) == (
        413,
        "content-too-large",
    )


POST = b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"


def chunks(gunicorn, *parts):
    """Send POST /courses with these raw chunks; returns the status of the response."""
    head = POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    return status_of(exchange(gunicorn.port, head, *parts))


def test_a_chunked_body_is_accepted(app, gunicorn, client):
    def chunk(data):
        return b"%x\r\n%b\r\n" % (len(data), data)

    course = b'{"name": "a", "level": "x"}'
    assert chunks(gunicorn, chunk(course[:9]), chunk(course[9:]), b"0\r\n\r\n") == 201
    spaces = [chunk(b" " * 2**18)] * 5
    assert chunks(gunicorn, chunk(b'{"name": "b", "level": "x"}'), *spaces, b"0\r\n\r\n") == 413
    assert chunks(gunicorn, chunk(course), b"ZZ\r\n", b"0\r\n\r\n") == 400
    assert [course["name"] for course in client.get("/courses").json] == ["a"]


def test_an_incomplete_body_is_refused(app, gunicorn, client):
    with dial(gunicorn.port) as wire:
        wire.sendall(POST + b'Content-Length: 200\r\n\r\n{"name": "a", "level": "x"}')
        wire.shutdown(socket.SHUT_WR)
        assert status_of(wire.recv(65536)) == 400
    assert client.get("/courses").json == []


def test_a_body_with_a_too_large_content_length_is_refused_at_once(app, gunicorn):
    """Fails if the body is read before its type is checked: 400 after ten seconds."""
    with dial(gunicorn.port, timeout=5) as wire:
        wire.sendall(POST + b"Content-Length: 5000000\r\n\r\n{")
        assert status_of(wire.recv(65536)) == 413


SOUND = b"GET /courses HTTP/1.1\r\nHost: x\r\n" + CLOSE


def test_the_valid_form_of_the_malformed_requests_is_accepted(app, gunicorn):
    assert status_of(exchange(gunicorn.port, SOUND + b"\r\n")) == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (SOUND.replace(b"GET", b"get"), 400),
        # RFC 9112, section 3.2; gunicorn's own reader takes a request without Host.
        pytest.param(SOUND.replace(b"Host: x\r\n", b""), 400, marks=pytest.mark.fast_parts),
        (SOUND + b"bad header\r\n", 400),
        (SOUND.replace(b"/courses", b"/courses/" + b"a" * 9000), 414),
        (SOUND + b"Content-Length: -1\r\n", 400),
        (SOUND + b"X: " + b"a" * 9000 + b"\r\n", 431),
        (b"nonsense\r\n", 400),
    ],
    ids=["method", "no host", "header", "address", "length", "long header", "nonsense"],
)
def test_malformed_http_gets_a_problem_document(app, gunicorn, request_, status):
    """Each but the last differs from SOUND in one thing only, so that nothing else refuses it."""
    head, _, body = exchange(gunicorn.port, request_ + b"\r\n").partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    document = json.loads(body)
    assert (status_of(head), document["status"]) == (status, status)
    assert gunicorn.request("GET", document["type"]).status == 200


@pytest.mark.parametrize("name", ["Script-Name", "SCRIPT_NAME", "Path-Info", "PATH_INFO"])
def test_no_header_changes_the_route(app, gunicorn, make, name):
    """With a script name of /courses, this path would be the list of all courses."""
    course = make.course(name="courses")
    answer = gunicorn.request("GET", "/courses/courses", headers={name: "/courses"})
    assert (answer.status, answer.json) == (200, course)


def test_a_compressed_body_is_refused(client):
    answer = client.post(
        "/courses", data=b"x", content_type="application/json", headers={"Content-Encoding": "gzip"}
    )
    assert problem(answer) == (415, "unsupported-media-type")


def test_texts_are_trimmed_before_they_are_checked(client):
    course = client.post("/courses", json={"name": "\tLogic\r\n", "level": " x\n"}).json
    assert (course["name"], course["level"]) == ("Logic", "x")


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ([], {"": "Send a JSON object."}),
        (None, {"": "Send a JSON object."}),
        ("a", {"": "Send a JSON object."}),
        ({}, {"/name": "This field is required.", "/level": "This field is required."}),
        ({"name": "a", "level": "b", "id": 7, "a/b~": 1}, {"/id": UNKNOWN, "/a~1b~0": UNKNOWN}),
        ({"name": " "
            "\u200b ", "level": ""}, {"/name": "Must not be "
                "blank.", "/level": "Must not be blank."}),
        ({"name": "a" * 201, "level": "b"}, {"/name": "Must have 1 to 200 characters."}),
        ({"name": "a", "level": "b" * 51}, {"/level": "Must have 1 to 50 characters."}),
        ({"name": "a\0", "level": "b\x1b"}, {"/name": CONTROL, "/level": CONTROL}),
        ({"name": 7, "level": None}, {"/name": "Must be a text.", "/level": "May not be null."}),
        ({"name": ["a"], "level": True}, {"/name": "Must be a text.", "/level": "Must be a text."}),
    ],
)  # fmt: skip
def test_every_fault_of_a_body_is_listed_with_its_pointer(client, body, faults):
    answer = client.post("/courses", data=json.dumps(body), content_type="application/json")
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]} == faults


@pytest.mark.parametrize("bad", [True, "3", 3.5, 0, -1, 2**63, 2**64, 1e300, None, [], {}])
def test_an_invalid_id_is_refused(client, bad):
    answer = client.post("/students/1/enroll", json={"course_ids": [1, 2, bad]})
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"] == [{"pointer": "/course_ids/2", "detail": ID_RULE}]
    assert problem(client.post("/students/1/courses", json={"course_id": bad})) == (422, "invalid")


def test_a_whole_number_may_be_written_with_a_point(client, make):
    student, course = make.student()["id"], make.course()["id"]
    answer = client.post(
        f"/students/{student}/enroll",
        data=f'{{"course_ids": [{course}.0]}}',
        content_type="application/json",
    )
    assert answer.json["added"] == [course]


@pytest.mark.parametrize(
    ("path", "field", "most", "put"),
    [
        ("/students/1/enroll", "course_ids", 100, 422),
        ("/courses/1/students", "student_ids", 1000, 405),
        ("/courses/1/drop", "student_ids", 1000, 405),
    ],
)
def test_lists_that_are_empty_too_long_or_no_lists_are_refused(client, path, field, most, put):
    for value in ([], list(range(1, most + 2)), [0] * 300_000, 7, "1", {"0": 1}, None):
        answer = client.post(path, json={field: value})
        assert problem(answer) == (422, "invalid"), value
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{field}"]
    assert problem(client.put(path, json={field: list(range(1, most + 2))}))[0] == put


def test_a_million_unknown_fields_do_not_make_a_large_response(client):
    answer = client.post("/courses", json={str(i): 1 for i in range(50_000)})
    assert problem(answer) == (422, "invalid")
    assert len(answer.json["errors"]) == 1000


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("levle=x", "levle"),
        ("limit=1&limit=2", "limit"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=10000", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=٣", "limit"),
        ("limit=", "limit"),
        ("sort=color", "sort"),
        ("sort=", "sort"),
        ("sort=--name", "sort"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("cursor=WzEsMiwzXQ==", "cursor"),
        ("q=", "q"),
        ("q=%00", "q"),
        ("level=%20", "level"),
        ("external_id=" + "x" * 256, "external_id"),
        ("external_id=a&external_id=", "external_id"),
        ("external_id=a" + "&external_id=a" * 200, "external_id"),
        ("id=", "id"),
        ("id=1&id=0", "id"),
        ("id=1&id=a&id=-1", "id"),
        ("id=1.0", "id"),
        ("id=%D9%A3", "id"),
        ("id=9223372036854775808", "id"),
        ("id=1" + "&id=1" * 200, "id"),
    ],
)
def test_an_invalid_query_never_returns_the_whole_list(client, make, query, parameter):
    make.course()
    for path in ("/courses", "/students/1/courses"):
        answer = client.get(f"{path}?{query}")
        assert problem(answer) == (422, "invalid")
        assert [fault["parameter"] for fault in answer.json["errors"]] == [parameter]


def test_every_fault_of_a_query_is_listed(client):
    answer = client.get("/students?limit=0&color=red&q=a&q=b&sort=level")
    assert sorted(fault["parameter"] for fault in answer.json["errors"]) == [
        "color",
        "limit",
        "q",
        "sort",
    ]


def test_a_route_without_parameters_refuses_parameters(client, make):
    course = make.course()
    answer = client.get(f"/courses/{course['id']}?fields=name")
    assert problem(answer) == (422, "invalid")
    assert problem(client.post("/courses?name=a", json={"name": "b", "level": "c"})) == (
        422,
        "invalid",
    )


def test_a_fault_in_the_body_is_reported_before_any_lookup(client, statements):
    with statements() as sent:
        assert problem(client.post("/students/1/enroll", json={"course_ids": "x"})) == (
            422,
            "invalid",
        )
    assert sent == []


def test_an_unknown_address_and_an_unknown_method(client):
    assert problem(client.get("/nowhere")) == (404, "not-found")
    assert problem(client.get("/courses/")) == (404, "not-found")
    answer = client.delete("/courses")
    assert problem(answer) == (405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just("\ud800")
    | st.just("a\0b"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "level", "email", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(
    max_examples=examples(60, 150),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    body=anything,
    path=st.sampled_from(["/courses", "/students", "/students/1/enroll", "/courses/1/drop"]),
)
def test_no_body_causes_a_500(client, body, path):
    answer = client.post(path, data=json.dumps(body), content_type="application/json")
    assert answer.status_code < 500
    if answer.status_code >= 400:
        problem(answer)
