"""Joining a waitlist, and the positions on it, over HTTP."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def students(make):
    return [make.student()["id"] for _ in range(6)]


def test_joining_the_waitlist(client, make, ask, students, waitlist_of):
    course, other = make.course(capacity=1, waitlist_capacity=2)["id"], make.course()["id"]
    ask(students[0], [course])
    answer = ask(students[1], [other, course], waitlist=True)
    assert (answer.status_code, answer.json) == (
        201,
        {
            "student_id": students[1],
            "added": [other],
            "kept": [],
            "removed": [],
            "waitlisted": [course],
        },
    )
    again = ask(students[1], [course], waitlist=True)
    assert (again.status_code, again.json["waitlisted"], again.json["added"]) == (200, [course], [])
    without = ask(students[1], [course])
    assert problem(without) == (409, "course-full")
    assert without.json["courses"] == [
        {"id": course, "status": "open", "waitlist_open": True, "seats_free": 0, "asked": 1}
    ]
    assert ask(students[2], [course], waitlist=True).status_code == 201
    assert waitlist_of(course) == [students[1], students[2]]
    full = ask(students[3], [other, course], waitlist=True)
    assert problem(full) == (409, "waitlist-full")
    assert full.json["courses"] == [
        {"id": course, "status": "open", "waitlist_open": False, "seats_free": 0, "asked": 1}
    ]
    assert client.get(f"/students/{students[3]}/courses").json == []
    assert client.get(f"/courses/{course}").json["waitlisted"] == 2


def test_one_enrollment_shows_its_state_and_live_position(client, make, ask, students):
    course = make.course(capacity=1, waitlist_capacity=None)["id"]
    ask(students[0], [course])
    first = client.post(
        f"/students/{students[1]}/courses", json={"course_id": course, "waitlist": True}
    )
    assert (
        first.status_code,
        first.json["state"],
        first.json["position"],
        first.json["enrolled_at"],
    ) == (
        201,
        "waitlisted",
        1,
        None,
    )
    second = client.post(
        f"/students/{students[2]}/courses", json={"course_id": course, "waitlist": True}
    )
    assert second.json["position"] == 2
    path = f"/students/{students[2]}/courses/{course}"
    tag = client.get(path).headers["ETag"]
    client.delete(f"/students/{students[1]}/courses/{course}")
    moved = client.get(path, headers={"If-None-Match": tag})
    assert (moved.status_code, moved.json["position"]) == (200, 1)
    client.delete(f"/students/{students[0]}/courses/{course}")
    seated = client.get(path).json
    assert (seated["state"], seated["position"]) == ("enrolled", None)
    assert seated["enrolled_at"]
    again = client.post(
        f"/students/{students[2]}/courses", json={"course_id": course, "waitlist": True}
    )
    assert (again.status_code, again.json) == (200, seated)


def test_lists_show_state_and_position_and_filter_by_it(client, make, ask, students):
    course, other = make.course(capacity=1, waitlist_capacity=None)["id"], make.course()["id"]
    ask(students[0], [course])
    ask(students[1], [course, other], waitlist=True)
    shown = {
        c["id"]: (c["state"], c["position"])
        for c in client.get(f"/students/{students[1]}/courses").json
    }
    assert shown == {course: ("waitlisted", 1), other: ("enrolled", None)}
    for state, ids in (("waitlisted", [course]), ("enrolled", [other])):
        assert [
            c["id"] for c in client.get(f"/students/{students[1]}/courses?state={state}").json
        ] == ids
    roster = {
        s["id"]: (s["state"], s["position"]) for s in client.get(f"/courses/{course}/students").json
    }
    assert roster == {students[0]: ("enrolled", None), students[1]: ("waitlisted", 1)}
    assert problem(client.get(f"/courses/{course}/students?state=gone")) == (422, "invalid")


def test_an_idempotency_key_replays_a_waitlist_position(client, make, ask, students):
    course = make.course(capacity=0, waitlist_capacity=1)["id"]
    headers = {"Idempotency-Key": "k"}
    body = {"course_ids": [course], "waitlist": True}
    first, again = (
        client.post(f"/students/{students[0]}/enroll", json=body, headers=headers) for _ in range(2)
    )
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (
        201,
        first.data,
        "true",
    )
    refused = client.post(
        f"/students/{students[1]}/enroll", json=body, headers={"Idempotency-Key": "l"}
    )
    assert problem(refused) == (409, "waitlist-full")


@pytest.mark.slow
def test_a_waitlist_of_thousands_is_promoted_at_once(app, client, make):
    course = make.course(capacity=1, waitlist_capacity=None)["id"]
    app.test_cli_runner().invoke(
        args=["load-demo", "--students", "17000", "--courses", "2", "--each", "0"]
    )
    first = client.get("/students?sort=id&limit=1").json[0]["id"]
    for begin in range(first, first + 17000, 1000):
        body = {"student_ids": list(range(begin, begin + 1000)), "waitlist": True}
        assert client.post(f"/courses/{course}/students", json=body).status_code == 201
    shown = client.patch(f"/courses/{course}", json={"capacity": 9000}).json
    assert (shown["seats_taken"], shown["waitlisted"]) == (9000, 8000)
    shown = client.patch(f"/courses/{course}", json={"capacity": None}).json
    assert (shown["seats_taken"], shown["waitlisted"]) == (None, 0)
    roster = client.get(
        f"/courses/{course}/students?state=enrolled&limit=1", headers={"Prefer": "count=exact"}
    )
    assert roster.headers["Total-Count"] == "17000"
