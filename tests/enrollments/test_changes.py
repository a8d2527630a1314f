"""Swaps: add and drop in one request, all or nothing, and never undo what another tab did."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


def refusal(response, status, code):
    """The problem document, which must have this status and code."""
    assert problem(response) == (status, code)
    return response.json


@pytest.fixture
def student(make):
    return make.student()["id"]


@pytest.fixture
def change(client, student):
    """Send changes: `change(add=[1, (2, True)], drop=[3])`; a pair accepts a waitlist position."""

    def go(add=(), drop=(), headers=None, **more):
        pairs = [one if isinstance(one, tuple) else (one, False) for one in add]
        items = [{"course_id": course, "waitlist": waitlist} for course, waitlist in pairs]
        body = {"add": items, "drop": list(drop), **more}
        return client.post(f"/students/{student}/changes", json=body, headers=headers or {})

    return go


@pytest.fixture
def courses_of(client, student):
    def go():
        found = client.get(f"/students/{student}/enroll").json
        return found["course_ids"], found["waitlisted"]

    return go


@pytest.fixture
def full(client, make):
    """The id of a course whose only seat another student has."""
    course = make.course(capacity=1, waitlist_capacity=5)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": [make.student()["id"]]})
    return course


def test_a_swap_gives_up_a_seat_for_a_seat(client, make, change, courses_of, student):
    old, kept, new = (make.course()["id"] for _ in range(3))
    client.post(f"/students/{student}/enroll", json={"course_ids": [old, kept]})
    response = change(add=[new], drop=[old], reason="Clash")
    assert (response.status_code, response.json) == (
        200,
        {"student_id": student, "added": [new], "kept": [], "removed": [old]},
    )
    assert courses_of() == ([kept, new], [])
    told = client.get(f"/students/{student}/history").json[:2]
    assert {(e["course_id"], e["why"], e["reason"]) for e in told} == {
        (new, "requested", "Clash"),
        (old, "dropped", "Clash"),
    }


def test_nothing_is_given_up_for_a_full_course(client, make, change, courses_of, student, full):
    old = make.course()["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [old]})
    body = refusal(change(add=[full], drop=[old]), 409, "course-full")
    assert body["errors"][0]["pointer"] == "/add/0/course_id"
    assert courses_of() == ([old], [])


def test_a_position_will_do_if_the_request_says_so(client, make, change, courses_of, student, full):
    old, waiting = make.course()["id"], make.course(capacity=0, waitlist_capacity=1)["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [old]})
    change(add=[(waiting, True)])
    response = change(add=[(full, True)], drop=[old])
    assert (response.json["waitlisted"], response.json["removed"]) == ([full], [old])
    assert courses_of() == ([], sorted([waiting, full]))  # the position not named stays


def test_one_course_may_wait_and_another_may_not(make, change, courses_of, full):
    other = make.course(capacity=0, waitlist_capacity=0)["id"]
    third = make.course(capacity=0, waitlist_capacity=1)["id"]
    refused = change(add=[(full, True), third, (other, True)])
    assert {c["id"] for c in refusal(refused, 409, "course-full")["courses"]} == {third, other}
    refusal(change(add=[(full, True), (other, True)]), 409, "waitlist-full")
    assert courses_of() == ([], [])


def test_a_dropped_seat_goes_to_the_next_in_the_same_change(client, make, change, student):
    course = make.course(capacity=1, waitlist_capacity=5)["id"]
    change(add=[course])
    other = make.student()["id"]
    client.post(f"/students/{other}/enroll", json={"course_ids": [course], "waitlist": True})
    change(drop=[course])
    assert client.get(f"/students/{other}/courses/{course}").json["state"] == "enrolled"


def test_what_does_not_exist_is_named(make, change, courses_of):
    course = make.course()["id"]
    body = refusal(change(add=[course, 999999], drop=[999998]), 404, "course-not-found")
    assert body["missing"] == [999999, 999998]
    body = refusal(change(drop=[course]), 404, "enrollment-not-found")
    assert body["missing"] == [course]
    assert courses_of() == ([], [])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"add": [], "drop": []}, ""),
        ({"add": [{"course_id": 1}, {"course_id": 1}]}, "/add/1/course_id"),
        ({"add": [{"course_id": 1}], "drop": [1]}, "/add/0/course_id"),
        ({"add": [{}]}, "/add/0/course_id"),
        ({"add": [7]}, "/add/0"),
        ({"add": [{"course_id": 1, "waitlist": 1}]}, "/add/0/waitlist"),
        ({"add": [{"course_id": n} for n in range(1, 102)]}, "/add"),
        ({"drop": ["1"]}, "/drop/0"),
        ({"remove": [1]}, "/remove"),
    ],
)
def test_malformed_changes_are_explained(client, student, body, pointer):
    response = client.post(f"/students/{student}/changes", json=body)
    assert refusal(response, 422, "invalid")["errors"][0]["pointer"] == pointer


def test_a_student_who_does_not_exist_changes_nothing(client, make):
    course = make.course()["id"]
    for body in ({"add": [{"course_id": course}]}, {"drop": [course]}):
        refusal(client.post("/students/999999/changes", json=body), 404, "student-not-found")
    refusal(client.get("/students/999999/enroll"), 404, "student-not-found")


def test_two_tabs_never_undo_each_other(client, make, change, courses_of, student):
    a, b, c = (make.course()["id"] for _ in range(3))
    address = f"/students/{student}/enroll"
    read = {"If-Match": client.get(address).headers["ETag"]}
    first = change(add=[a], headers=read)
    assert first.status_code == 200
    refusal(change(add=[b], headers=read), 412, "stale")
    refused = client.put(address, json={"course_ids": [c]}, headers=read)
    refusal(refused, 412, "stale")
    assert courses_of() == ([a], [])
    fresh = {"If-Match": first.headers["ETag"]}
    replaced = client.put(address, json={"course_ids": [c]}, headers=fresh)
    assert replaced.status_code == 200
    assert replaced.headers["ETag"] == client.get(address).headers["ETag"]
    headers = {"If-None-Match": replaced.headers["ETag"]}
    assert client.get(address, headers=headers).status_code == 304


def test_the_tag_shows_states_and_not_positions(client, make, change, student):
    course = make.course(capacity=1, waitlist_capacity=5)["id"]
    holder, ahead = make.student()["id"], make.student()["id"]
    body = {"student_ids": [holder, ahead, student], "waitlist": True}
    client.post(f"/courses/{course}/students", json=body)

    def tag():
        return client.get(f"/students/{student}/enroll").headers["ETag"]

    third = tag()
    client.delete(f"/students/{ahead}/courses/{course}")
    assert tag() == third
    client.delete(f"/students/{holder}/courses/{course}")
    assert tag() != third


def test_of_simultaneous_changes_with_one_tag_one_wins(app, client, make, student):
    """Fails without the lock of the student before the tag is compared."""
    courses = [make.course()["id"] for _ in range(3)]
    read = {"If-Match": client.get(f"/students/{student}/enroll").headers["ETag"]}

    def send(course):
        body = {"add": [{"course_id": course}]}
        path = f"/students/{student}/changes"
        return app.test_client().post(path, json=body, headers=read).status_code

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(send, courses)) == [200, 412, 412]
    assert len(client.get(f"/students/{student}/enroll").json["course_ids"]) == 1
