"""Who gets a seat, over HTTP. test_waitlists.py and test_refusals.py test the rest."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def students(make):
    return [make.student()["id"] for _ in range(6)]


def seats(client, course):
    return [s["id"] for s in client.get(f"/courses/{course}/students?state=enrolled").json]


def test_a_course_shows_its_seats(client, make, ask, students):
    unlimited, limited = make.course(), make.course(capacity=2, waitlist_capacity=None)
    assert (
        unlimited["capacity"],
        unlimited["seats_taken"],
        unlimited["waitlist_capacity"],
        unlimited["waitlisted"],
    ) == (
        None,
        None,
        0,
        0,
    )
    assert (
        limited["capacity"],
        limited["seats_taken"],
        limited["waitlist_capacity"],
        limited["waitlisted"],
    ) == (2, 0, None, 0)
    for student in students[:3]:
        ask(student, [unlimited["id"], limited["id"]], waitlist=True)
    shown = client.get(f"/courses/{limited['id']}").json
    assert (shown["seats_taken"], shown["waitlisted"], shown["version"]) == (2, 1, 1)
    assert client.get(f"/courses/{unlimited['id']}").json["seats_taken"] is None
    assert {c["id"]: c["seats_taken"] for c in client.get("/courses").json} == {
        unlimited["id"]: None,
        limited["id"]: 2,
    }


def test_a_tag_has_version_and_counts_and_if_match_compares_the_version(
    client, make, ask, students
):
    # Without a capacity no count is shown.
    for course, after in ((make.course(), 304), (make.course(capacity=5), 200)):
        path = f"/courses/{course['id']}"
        tag = client.get(path).headers["ETag"]
        ask(students[0], [course["id"]])
        assert client.get(path, headers={"If-None-Match": tag}).status_code == after
        answer = client.patch(path, json={"level": "new"}, headers={"If-Match": tag})
        assert answer.status_code == 200
        assert (
            client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        )
        assert problem(client.patch(path, json={"level": "newer"}, headers={"If-Match": tag})) == (
            412,
            "stale",
        )


def test_open_courses(client, make, ask, students):
    unlimited, roomy, none, full = (make.course(capacity=c)["id"] for c in (None, 2, 0, 1))
    ask(students[0], [full, roomy])
    assert [c["id"] for c in client.get("/courses?open=true").json] == [unlimited, roomy]
    assert [c["id"] for c in client.get("/courses?open=false").json] == [none, full]
    assert problem(client.get("/courses?open=yes")) == (422, "invalid")


def test_first_come_first_served_and_a_returning_student_goes_to_the_end(
    client, make, ask, students, waitlist_of
):
    a, b, c, d, _, _ = students
    course = make.course(capacity=1, waitlist_capacity=None)["id"]
    for student in (a, b, c, d):
        ask(student, [course], waitlist=True)
    client.delete(f"/students/{b}/courses/{course}")
    ask(b, [course], waitlist=True)
    assert waitlist_of(course) == [c, d, b]
    client.delete(f"/students/{a}/courses/{course}")
    assert (seats(client, course), waitlist_of(course)) == ([c], [d, b])
    ask(a, [course], waitlist=True)
    client.put(f"/students/{c}/enroll", json={"course_ids": []})
    assert (seats(client, course), waitlist_of(course)) == ([d], [b, a])
    client.delete(f"/students/{d}")
    assert (seats(client, course), waitlist_of(course)) == ([b], [a])
    client.delete(f"/students/{a}")
    assert (seats(client, course), waitlist_of(course)) == ([b], [])


def test_seats_are_allocated_in_the_order_of_the_list(client, make, students, waitlist_of):
    a, b, c, d, e, _ = students
    course = make.course(capacity=2, waitlist_capacity=2)["id"]
    path = f"/courses/{course}/students"
    refused = client.post(path, json={"student_ids": [c, a, b]})
    assert problem(refused) == (409, "course-full")
    assert refused.json["courses"] == [
        {"id": course, "status": "open", "waitlist_open": True, "seats_free": 2, "asked": 3}
    ]
    assert problem(client.post(path, json={"student_ids": [a, b, c, d, e], "waitlist": True})) == (
        409,
        "waitlist-full",
    )
    answer = client.post(path, json={"student_ids": [d, a, c], "waitlist": True})
    assert (answer.status_code, answer.json) == (
        201,
        {"course_id": course, "added": [d, a], "kept": [], "waitlisted": [c]},
    )
    answer = client.post(path, json={"student_ids": [c, b, a], "waitlist": True})
    assert (answer.status_code, answer.json) == (
        201,
        {"course_id": course, "added": [], "kept": [a], "waitlisted": [c, b]},
    )
    assert waitlist_of(course) == [c, b]
    assert client.post(path, json={"student_ids": [c], "waitlist": True}).status_code == 200
    assert problem(client.post(path, json={"student_ids": [c]})) == (409, "course-full")


def test_dropping_many_promotes_as_many(client, make, students, waitlist_of):
    a, b, c, d, e, f = students
    course = make.course(capacity=3, waitlist_capacity=None)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students, "waitlist": True})
    answer = client.post(f"/courses/{course}/drop", json={"student_ids": [e, a, b]})
    assert answer.json == {"course_id": course, "removed": [e, a, b]}
    assert (seats(client, course), waitlist_of(course)) == ([c, d, f], [])


def test_a_swap_gives_up_the_old_seat_only_for_every_new_one(
    client, make, ask, students, waitlist_of
):
    a, b, c, *_ = students
    old, full, waitlisting, free = (
        make.course(capacity=n, waitlist_capacity=w)["id"]
        for n, w in ((1, None), (1, 0), (1, 1), (1, 0))
    )
    ask(b, [full, waitlisting])
    ask(a, [old])
    ask(c, [old], waitlist=True)

    def put(courses, **more):
        return client.put(f"/students/{a}/enroll", json={"course_ids": courses, **more})

    refused = put([free, full, waitlisting])
    assert problem(refused) == (409, "course-full")
    assert [course["id"] for course in refused.json["courses"]] == [full, waitlisting]
    assert problem(put([free, full], waitlist=True)) == (409, "waitlist-full")
    assert (seats(client, old), waitlist_of(old)) == ([a], [c])
    answer = put([free, waitlisting], waitlist=True)
    assert (answer.status_code, answer.json) == (
        200,
        {
            "student_id": a,
            "added": [free],
            "kept": [],
            "removed": [old],
            "waitlisted": [waitlisting],
        },
    )
    assert (seats(client, old), waitlist_of(old), waitlist_of(waitlisting)) == ([c], [], [a])
    # The student keeps a position on a waitlist that the request names. Without `waitlist`, it does
    # not count as a seat.
    assert put([free, waitlisting], waitlist=True).json["waitlisted"] == [waitlisting]
    assert problem(put([waitlisting])) == (409, "course-full")
    assert (seats(client, free), waitlist_of(waitlisting)) == ([a], [a])
    assert put([free]).json["removed"] == [waitlisting]
    assert waitlist_of(waitlisting) == []


def test_raising_a_capacity_promotes_as_many(client, make, students, waitlist_of):
    course = make.course(capacity=0, waitlist_capacity=None)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students, "waitlist": True})
    for capacity in (1, 3):
        shown = client.patch(f"/courses/{course}", json={"capacity": capacity}).json
        assert (shown["seats_taken"], shown["waitlisted"]) == (capacity, 6 - capacity)
        assert (seats(client, course), waitlist_of(course)) == (
            students[:capacity],
            students[capacity:],
        )
    shown = client.put(f"/courses/{course}", json={"capacity": 9}).json
    assert (shown["seats_taken"], shown["waitlisted"]) == (6, 0)


def test_from_unlimited_to_limited_and_back(client, make, students, waitlist_of):
    course = make.course(waitlist_capacity=None)["id"]
    path = f"/courses/{course}"
    client.post(f"{path}/students", json={"student_ids": students[:3]})
    answer = client.patch(path, json={"capacity": 2})
    assert problem(answer) == (409, "capacity-below-enrolled")
    assert (answer.json["capacity"], answer.json["seats_taken"]) == (2, 3)
    assert client.patch(path, json={"capacity": 3}).json["seats_taken"] == 3
    client.post(f"{path}/students", json={"student_ids": students, "waitlist": True})
    assert waitlist_of(course) == students[3:]
    shown = client.patch(path, json={"capacity": None}).json
    assert (shown["capacity"], shown["seats_taken"], shown["waitlisted"]) == (None, None, 0)
    assert (seats(client, course), waitlist_of(course)) == (students, [])


def test_enrolling_does_not_edit_a_course_with_a_capacity(client, make, ask, students):
    course = make.course(capacity=1, waitlist_capacity=None)
    for student in students[:3]:
        ask(student, [course["id"]], waitlist=True)
    shown = client.get(f"/courses/{course['id']}").json
    assert shown == course | {"seats_taken": 1, "waitlisted": 2}
