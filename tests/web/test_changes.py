"""Sending back the response of a GET with PUT or PATCH: read-only fields are ignored, and another
id is refused.
"""

from __future__ import annotations

import pytest

from tests.web.problems import problem


@pytest.fixture
def paths(client, make):
    """The addresses of a student, of a course by id and by name, and of a course with a capacity
    and a student on its waitlist.
    """
    course, limited = (
        make.course(name="Logic", external_id="c"),
        make.course(name="Pottery", capacity=0, waitlist_capacity=2),
    )
    student = make.student(email="ada@x.edu", external_id="s")["id"]
    client.post(
        f"/students/{student}/enroll", json={"course_ids": [limited["id"]], "waitlist": True}
    )
    return [
        f"/students/{student}",
        f"/courses/{course['id']}",
        "/courses/LOGIC",
        f"/courses/{limited['id']}",
    ]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_response_of_a_get_can_be_sent_back(client, paths, method):
    for path in paths:
        read = client.get(path)
        answer = getattr(client, method)(
            path, json=read.json, headers={"If-Match": read.headers["ETag"]}
        )
        assert (answer.status_code, answer.json) == (200, read.json), path
        changed = getattr(client, method)(path, json=read.json | {"external_id": f"new {path}"})
        assert changed.json["external_id"] == f"new {path}"
        assert changed.json["version"] == read.json["version"] + 1


@pytest.mark.parametrize("method", ["put", "patch"])
def test_fields_set_by_the_service_do_not_change(client, paths, method):
    for path in paths:
        before = client.get(path).json
        made = {"created_at": "never", "updated_at": None, "version": 99}
        made |= {"seats_taken": 7, "waitlisted": [1]} if "courses" in path else {}
        answer = getattr(client, method)(path, json=made)
        assert (answer.status_code, answer.json) == (200, before)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_another_id_is_refused(client, paths, method):
    for path in paths:
        for other in (987654, "1", None, 1.5):
            answer = getattr(client, method)(path, json={"id": other, "external_id": "x"})
            assert problem(answer) == (422, "invalid")
            assert [fault["pointer"] for fault in answer.json["errors"]] == ["/id"]
        assert client.get(path).json["external_id"] != "x"


@pytest.mark.parametrize(
    "field", ["id", "created_at", "updated_at", "version", "seats_taken", "waitlisted"]
)
def test_post_refuses_fields_set_by_the_service(client, field):
    for path, body in (
        ("/students", {"name": "Ada"}),
        ("/courses", {"name": "Logic", "level": "x"}),
    ):
        answer = client.post(path, json={**body, field: 1})
        assert problem(answer) == (422, "invalid")
        assert answer.json["errors"] == [{"pointer": f"/{field}", "detail": "Unknown field."}]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_unknown_fields_are_still_refused(client, paths, method):
    for path, foreign in ((paths[0], "seats_taken"), (paths[1], "is_open"), (paths[1], "email")):
        answer = getattr(client, method)(path, json={foreign: 1})
        assert answer.json["errors"] == [{"pointer": f"/{foreign}", "detail": "Unknown field."}]


def test_the_document_marks_read_only_fields(client):
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    for name, made in (
        ("StudentInChange", set()),
        ("CourseInChange", {"seats_taken", "waitlisted", "waitlist_blocked"}),
    ):
        only_read = {
            field for field, schema in schemas[name]["properties"].items() if schema.get("readOnly")
        }
        assert only_read == {"created_at", "updated_at", "version"} | made
        assert "required" not in schemas[name]
    assert "created_at" not in schemas["CourseIn"]["properties"]


def test_the_refusal_of_a_precondition_says_the_reason(client, make):
    student = make.student()["id"]
    course = make.course()["id"]
    enroll = client.post(
        f"/students/{student}/enroll", json={"course_ids": [course]}, headers={"If-Match": '"1-1"'}
    )
    assert problem(enroll) == (412, "stale")
    edit = client.patch(f"/students/{student}", json={}, headers={"If-Match": '"1-99"'})
    held = client.patch(f"/students/{student}", json={}, headers={"If-None-Match": "*"})
    for answer in (enroll, edit, held):
        assert answer.json["title"] == "A precondition of the request does not hold."
    assert (
        enroll.json["detail"]
        == "This resource has no ETag to compare with If-Match: send the request without If-Match."
    )
    assert (
        edit.json["detail"]
        == "If-Match does not name the current version: somebody may have changed it since you "
        "read it."
    )
    assert held.json["detail"] == "If-None-Match names the current version."
