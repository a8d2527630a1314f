"""HTTP features: tags and preconditions, HEAD and OPTIONS, request ids, and log lines."""

from __future__ import annotations

import json
import re

import pytest

from tests.web.problems import problem


@pytest.fixture(params=["course", "student"])
def thing(request, make):
    """A single resource: its address, its fields, and a change."""
    made = getattr(make, request.param)()
    return f"/{request.param}s/{made['id']}", made


def test_a_current_tag_gives_304(client, thing):
    path, _ = thing
    tag = client.get(path).headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = client.get(path, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    client.patch(path, json={"name": "Another"})
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_stale_tag_changes_nothing(client, thing, method):
    path, made = thing
    body = {} if method == "delete" else {"json": {"name": "Another"}}
    tag = client.get(path).headers["ETag"].strip('"')
    broken = (f"{tag}", f'"{tag}', f'""{tag}""', f'"a,{tag},b"', '"x", *', f'"{tag}" "{tag}"')
    for stale in (
        '"0"',
        '"99-1"',
        tag.replace("-1", "-2"),
        "garbage",
        "",
        '"1x"',
        'W/"0"',
        *broken,
    ):
        answer = getattr(client, method)(path, headers={"If-Match": stale}, **body)
        assert problem(answer) == (412, "stale"), stale
    assert problem(getattr(client, method)(path, headers={"If-None-Match": "*"}, **body)) == (
        412,
        "stale",
    )
    assert client.get(path).json == made


@pytest.mark.parametrize("form", ["{}", "W/{}", '"0", {}', "*"])
def test_a_current_tag_allows_a_change(client, thing, form):
    path, _ = thing
    tag = client.get(path).headers["ETag"]
    answer = client.patch(path, json={"name": "Another"}, headers={"If-Match": form.format(tag)})
    assert (answer.status_code, answer.headers["ETag"]) == (200, tag.replace("-1", "-2"))
    assert client.delete(path, headers={"If-Match": tag.replace("-1", "-2")}).status_code == 204


def test_a_tag_identifies_the_row_even_if_its_name_moves(client, make):
    first = client.get(f"/courses/{make.course(name='Logic')['id']}").headers["ETag"]
    client.delete("/courses/logic")
    make.course(name="Logic")
    assert client.get("/courses/logic", headers={"If-None-Match": first}).status_code == 200
    assert problem(client.delete("/courses/logic", headers={"If-Match": first})) == (412, "stale")


def test_if_match_is_refused_on_routes_without_versions(client, make):
    student, course = make.student()["id"], make.course()["id"]
    for method, path, body in (
        ("put", f"/students/{student}/enroll", {"course_ids": []}),
        ("post", f"/students/{student}/enroll", {"course_ids": [course]}),
        ("post", "/courses", {"name": "a", "level": "b"}),
        ("post", f"/courses/{course}/drop", {"student_ids": [student]}),
    ):
        assert problem(getattr(client, method)(path, json=body, headers={"If-Match": '"1-1"'})) == (
            412,
            "stale",
        )


def test_head_is_get_without_the_body(client, thing):
    path, _ = thing
    for address in (path, "/courses", "/health", "/openapi.json", "/docs"):
        head, get = client.head(address), client.get(address)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_options_lists_the_methods(client, thing):
    path, _ = thing
    answer = client.options(path)
    assert answer.status_code == 200
    assert set(answer.headers["Allow"].split(", ")) == {
        "GET",
        "HEAD",
        "OPTIONS",
        "PUT",
        "PATCH",
        "DELETE",
    }


def test_a_valid_request_id_is_kept_and_an_invalid_one_replaced(client):
    assert (
        client.get("/courses", headers={"X-Request-ID": "abc-1.2_3"}).headers["X-Request-ID"]
        == "abc-1.2_3"
    )
    for insane in ("", "a b", 'a"b', "é", "x" * 129):
        made = client.get("/courses", headers={"X-Request-ID": insane}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", made)
    answer = client.get("/courses/nowhere", headers={"X-Request-ID": "abc"})
    assert answer.json["request_id"] == answer.headers["X-Request-ID"] == "abc"


def test_the_log_has_one_line_per_request_and_per_event(client, lines):
    course = client.post(
        "/courses", json={"name": "Secret name", "level": "x"}, headers={"X-Request-ID": "r1"}
    ).json
    event, request = lines()
    assert (event["event"], event["course_id"], event["request_id"]) == (
        "course created",
        course["id"],
        "r1",
    )
    assert request.pop("time").endswith("Z")
    assert request.pop("duration_ms") > 0
    assert request == {
        "level": "info",
        "logger": "course_management",
        "event": "request",
        "request_id": "r1",
        "actor": None,
        "method": "POST",
        "route": "/courses",
        "status": 201,
        "client": "127.0.0.1",
    }
    client.get("/api/v1/courses/secret%20name")
    (request,) = lines()
    assert request["route"] == "/courses/{course}"
    client.get("/nowhere")
    assert lines()[0]["route"] is None


def test_every_change_is_an_event_with_ids_only(client, make, lines):
    student, course = (
        make.student(name="Ada", email="ada@x.edu")["id"],
        make.course(name="Logic")["id"],
    )
    client.patch(f"/students/{student}", json={"name": "Ada L."})
    client.patch(f"/courses/{course}", json={"level": "y"})
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    client.put(f"/students/{student}/enroll", json={"course_ids": []})
    client.post(f"/courses/{course}/students", json={"student_ids": [student]})
    client.post(f"/courses/{course}/drop", json={"student_ids": [student]})
    client.post(f"/students/{student}/courses", json={"course_id": course})
    client.delete(f"/students/{student}/courses/{course}")
    client.delete(f"/courses/{course}")
    client.delete(f"/students/{student}")
    logged = lines()
    assert [line["event"] for line in logged if line["event"] != "request"] == [
        "student created",
        "course created",
        "student changed",
        "course changed",
        "student enrolled",
        "student dropped",
        "student enrolled",
        "student dropped",
        "student enrolled",
        "student dropped",
        "course deleted",
        "student deleted",
    ]
    dropped = [line for line in logged if line["event"] == "student dropped"]
    assert all(
        (line["student_ids"], line["course_ids"]) == ([student], [course]) for line in dropped
    )
    assert not re.search("Ada|ada@|Logic", json.dumps(logged))


def test_a_refused_request_logs_no_event(client, make, lines):
    student, course = make.student()["id"], make.course()["id"]
    lines()
    client.post(f"/students/{student}/enroll", json={"course_ids": [course, 9999]})
    client.put(f"/students/{student}/enroll", json={"course_ids": [9999]})
    client.post("/courses", json={"name": "Course 2", "level": "x"})
    assert [line["event"] for line in lines()] == ["request"] * 3


def test_an_unforeseen_error_is_logged_and_not_shown(app, lines, monkeypatch):
    from course_management.courses import queries

    def broken(*_, **__):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(queries, "list_courses", broken)
    answer = app.test_client().get("/courses")
    assert problem(answer) == (500, "internal-error")
    assert "secret" not in answer.text
    error = lines()[0]
    assert error["request_id"] == answer.json["request_id"]
    assert "the secret inside" in error["traceback"]


def test_every_problem_has_a_page(client):
    index = client.get("/problems").text
    codes = set(re.findall('href="/problems/([a-z-]+)"', index))
    assert {
        *(
            "invalid",
            "stale",
            "idempotency-key-reused",
            "service-unavailable",
            "malformed-json",
            "course-name-taken",
        ),
        *(
            "student-email-taken",
            "external-id-taken",
            "course-has-students",
            "enrollment-not-found",
            "course-not-found",
        ),
        *(
            "student-not-found",
            "internal-error",
            "not-found",
            "method-not-allowed",
            "content-too-large",
            "unsupported-media-type",
        ),
    } <= codes
    for code in codes:
        page = client.get(f"/problems/{code}")
        assert page.status_code == 200
        assert "What to do:" in page.text
    assert problem(client.get("/problems/nonsense")) == (404, "not-found")


def test_the_root_redirects_to_the_docs(client):
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/docs")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        with client.get(f"/docs/{name}") as answer:
            assert answer.status_code == 200
    assert problem(client.get("/docs/../wsgi.py")) == (404, "not-found")
    assert problem(client.get("/docs/%2e%2e%2fendpoint.py")) == (404, "not-found")
