"""Open, closed and cancelled courses, for those who enroll and those who look for a course."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


def codes(response):
    return [(one["code"], one["pointer"]) for one in response.json["errors"]]


@pytest.mark.parametrize("capacity", [None, 5])
def test_a_closed_course_takes_nobody_new(client, make, act, capacity):
    course = make.course(capacity=capacity, waitlist_capacity=5)["id"]
    student, new = make.student()["id"], make.student()["id"]
    path = f"/students/{new}/enroll"
    assert act(course, "students", student_ids=[student]).status_code == 201
    assert client.patch(f"/courses/{course}", json={"status": "closed"}).status_code == 200
    refused = client.post(path, json={"course_ids": [course], "waitlist": True})
    assert problem(refused) == (409, "course-closed")
    assert codes(refused) == [("course-closed", "/course_ids/0")]
    assert refused.json["courses"][0]["status"] == "closed"
    assert refused.json["courses"][0]["waitlist_open"] is False
    kept = client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    assert (kept.status_code, kept.json["kept"]) == (200, [course])
    assert client.patch(f"/courses/{course}", json={"status": "open"}).status_code == 200
    assert client.post(path, json={"course_ids": [course]}).status_code == 201


def test_a_refusal_names_every_reason_of_every_course(client, make, act, course_with):
    full, both, closed = course_with(0, 0, []), course_with(0, 0, []), course_with(1, 0, [])
    cancelled = make.course()["id"]
    for course in (both, closed):
        client.patch(f"/courses/{course}", json={"status": "closed"})
    path = f"/students/{make.student()['id']}/enroll"
    refused = client.post(path, json={"course_ids": [full, both, closed]})
    assert problem(refused) == (409, "course-closed")
    assert codes(refused) == [
        ("course-full", "/course_ids/0"),
        ("course-closed", "/course_ids/1"),
        ("course-full", "/course_ids/1"),
        ("course-closed", "/course_ids/2"),
    ]
    act(cancelled, "cancel")
    refused = client.post(path, json={"course_ids": [full, cancelled]})
    assert problem(refused) == (409, "course-cancelled")
    assert refused.json["detail"] == f"Course {cancelled} is cancelled. (1 more in errors.)"


def test_a_closed_course_still_promotes(client, make, course_with, state):
    first, second = (make.student()["id"] for _ in range(2))
    course = course_with(1, 5, [first, second])
    client.patch(f"/courses/{course}", json={"status": "closed"})
    client.delete(f"/students/{first}/courses/{course}")
    assert state(course) == ({second}, [])


def test_lists_by_status(client, make, act):
    names = ("open", "closed", "cancelled")
    ids = {name: make.course(capacity=5)["id"] for name in names}
    client.patch(f"/courses/{ids['closed']}", json={"status": "closed"})
    act(ids["cancelled"], "cancel")
    for name in names:
        assert [one["id"] for one in client.get(f"/courses?status={name}").json] == [ids[name]]
    assert [one["id"] for one in client.get("/courses?open=true").json] == [ids["open"]]
    assert len(client.get("/courses?open=false").json) == 2
    assert problem(client.get("/courses?status=full")) == (422, "invalid")


def test_a_course_can_begin_closed_but_not_cancelled(client):
    body = {"name": "Optics", "level": "x"}
    made = client.post("/courses", json={**body, "status": "closed"})
    assert (made.status_code, made.json["status"]) == (201, "closed")
    for status, detail in (
        ("cancelled", "Cancel the course with POST /courses/{course}/cancel"),
        ("full", "Must be open or closed."),
        (None, "Must be open or closed."),
        (1, "Must be open or closed."),
    ):
        for method, path in (("POST", "/courses"), ("PATCH", f"/courses/{made.json['id']}")):
            refused = client.open(path, method=method, json={**body, "status": status})
            assert problem(refused) == (422, "invalid")
            assert refused.json["errors"][0]["detail"].startswith(detail)


def test_closing_is_an_edit(client, make):
    course = make.course()
    path = f"/courses/{course['id']}"
    tag = client.get(path).headers["ETag"]
    closed = client.patch(path, json={"status": "closed"})
    assert (closed.json["version"], closed.json["status"]) == (2, "closed")
    assert closed.headers["ETag"] == client.get(path).headers["ETag"] != tag
    assert client.get(path).json == closed.json
    again = client.patch(path, json={"status": "closed"})
    assert (again.status_code, again.json["version"]) == (200, 2)
    stale = client.patch(path, json={"status": "open"}, headers={"If-Match": tag})
    assert problem(stale) == (412, "stale")
    by_name = client.patch(f"/courses/{course['name']}", json={"status": "open", "level": "y"})
    assert (by_name.json["status"], by_name.json["level"]) == ("open", "y")
    missing = client.patch("/courses/999999", json={"status": "closed"})
    assert problem(missing) == (404, "course-not-found")


def test_the_reason_of_a_larger_capacity_is_in_the_history(client, make, course_with):
    first, second = (make.student()["id"] for _ in range(2))
    course = course_with(1, 5, [first, second])
    client.patch(f"/courses/{course}", json={"capacity": 2, "reason": "Larger room"})
    promoted = client.get(f"/courses/{course}/history").json[0]
    assert (promoted["why"], promoted["reason"]) == ("promoted", "Larger room")


def test_an_enrollment_that_waited_for_nothing_sees_a_closed_course(client, make):
    """Fails if a connection remembers a closed course as one without a capacity: the precheck is
    then skipped, and the refusal costs a transaction.
    """
    course = make.course()["id"]
    for status, expected in (("open", 201), ("closed", 409), ("open", 201), ("closed", 409)):
        client.patch(f"/courses/{course}", json={"status": status})
        for _ in range(2):
            path = f"/students/{make.student()['id']}/enroll"
            assert client.post(path, json={"course_ids": [course]}).status_code == expected


def test_the_reason_of_a_deleted_student_stays_with_the_promoted_one(client, make, course_with):
    first, second = (make.student()["id"] for _ in range(2))
    course = course_with(1, 5, [first, second])
    deleted = client.delete(f"/students/{first}", json={"reason": "Left the school"})
    assert deleted.status_code == 204
    events = client.get(f"/courses/{course}/history").json[:2]
    assert [(one["student_id"], one["why"], one["reason"]) for one in events] == [
        (second, "promoted", "Left the school"),
        (first, "student-deleted", None),
    ]
