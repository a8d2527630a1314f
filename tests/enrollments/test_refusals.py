"""Refused requests for seats and capacities: the problem, its contents, and that nothing changes.

A 409 for seats has every course that refuses, its numbers, the pointer into the body, and a true
explanation.
"""

from __future__ import annotations

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def students(make):
    return [make.student()["id"] for _ in range(5)]


def test_five_students_ask_for_two_seats(client, make, students):
    course = make.course(capacity=2)["id"]
    answer = client.post(f"/courses/{course}/students", json={"student_ids": students})
    assert problem(answer) == (409, "course-full")
    assert answer.json["title"] == "There are not enough free seats."
    assert answer.json["detail"] == f"Course {course} has 2 free seats, and 5 were asked for."
    assert answer.json["courses"] == [
        {"id": course, "status": "open", "waitlist_open": False, "seats_free": 2, "asked": 5}
    ]
    assert answer.json["errors"] == [
        {
            "pointer": "/student_ids/2",
            "code": "course-full",
            "detail": f"Course {course} has 2 free seats, and 5 were asked for.",
        }
    ]


def test_students_with_a_seat_do_not_count_as_asking(client, make, students):
    course = make.course(capacity=3)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students[:2]})
    answer = client.post(
        f"/courses/{course}/students", json={"student_ids": [*students, students[4]]}
    )
    assert answer.json["courses"] == [
        {"id": course, "status": "open", "waitlist_open": False, "seats_free": 1, "asked": 3}
    ]
    assert answer.json["detail"] == f"Course {course} has 1 free seat, and 3 were asked for."
    assert answer.json["errors"][0]["pointer"] == "/student_ids/3"


def test_every_full_course_has_a_pointer_into_the_body(client, make, students):
    free, full, waitlisting = (
        make.course(capacity=c, waitlist_capacity=w)["id"] for c, w in ((5, 0), (0, 0), (0, 1))
    )
    body = {"course_ids": [free, free, full, waitlisting]}
    for method in (client.post, client.put):
        answer = method(f"/students/{students[0]}/enroll", json=body)
        assert problem(answer) == (409, "course-full")
        assert answer.json["courses"] == [
            {"id": full, "status": "open", "waitlist_open": False, "seats_free": 0, "asked": 1},
            {
                "id": waitlisting,
                "status": "open",
                "waitlist_open": True,
                "seats_free": 0,
                "asked": 1,
            },
        ]
        assert answer.json["detail"] == f"Every seat in course {full} is taken. (1 more in errors.)"
        assert answer.json["errors"] == [
            {
                "pointer": f"/course_ids/{i}",
                "code": "course-full",
                "detail": f"Every seat in course {course} is taken.",
            }
            for i, course in ((2, full), (3, waitlisting))
        ]
    one = client.post(f"/students/{students[0]}/courses", json={"course_id": full})
    assert [fault["pointer"] for fault in one.json["errors"]] == ["/course_id"]
    assert (
        client.post(f"/students/{students[0]}/courses", json={"course_id": float(full)}).json[
            "errors"
        ]
        == one.json["errors"]
    )


@pytest.mark.parametrize(
    ("capacity", "waitlist_capacity", "had", "asked", "detail", "waitlist_open"),
    [
        (0, 0, 0, 1, "Every seat in course {} is taken, and it has no waitlist.", False),
        (2, 0, 0, 5, "Course {} has 2 free seats and no waitlist, and 5 were asked for.", False),
        (1, 1, 2, 1, "Every seat in course {} is taken, and its waitlist is full.", False),
        (
            1,
            3,
            2,
            3,
            "Course {} has 0 free seats and 2 free waitlist positions, and 3 were asked for.",
            True,
        ),
        (
            1,
            1,
            0,
            4,
            "Course {} has 1 free seat and 1 free waitlist position, and 4 were asked for.",
            True,
        ),
    ],
)
def test_a_waitlist_without_room_refuses(
    client, make, students, capacity, waitlist_capacity, had, asked, detail, waitlist_open
):
    course = make.course(capacity=capacity, waitlist_capacity=waitlist_capacity)["id"]
    path = f"/courses/{course}/students"
    if had:
        client.post(path, json={"student_ids": students[:had], "waitlist": True})
    answer = client.post(path, json={"student_ids": students[had : had + asked], "waitlist": True})
    assert problem(answer) == (409, "waitlist-full")
    assert answer.json["title"] == "There are not enough free seats and waitlist positions."
    free = max(0, capacity - had)
    assert answer.json["courses"] == [
        {
            "id": course,
            "status": "open",
            "waitlist_open": waitlist_open,
            "seats_free": free,
            "asked": asked,
        }
    ]
    assert answer.json["detail"] == answer.json["errors"][0]["detail"] == detail.format(course)
    assert answer.json["errors"][0]["code"] == "waitlist-full"


def test_the_refusal_is_the_same_with_and_without_the_precheck(client, make, students):
    """With an Idempotency-Key, the precheck runs inside the transaction."""
    course = make.course(capacity=2)["id"]
    answers = [
        client.post(
            f"/courses/{course}/students", json={"student_ids": students}, headers=headers
        ).json
        for headers in ({}, {"Idempotency-Key": "k"})
    ]
    assert answers[0]["errors"] == answers[1]["errors"]
    assert answers[0]["courses"] == answers[1]["courses"]


@pytest.mark.parametrize("field", ["capacity", "waitlist_capacity"])
@pytest.mark.parametrize("bad", [-1, 1.5, "3", True, 2**31, []])
def test_an_invalid_capacity_is_refused(client, make, field, bad):
    answer = client.post("/courses", json={"name": "a", "level": "b", field: bad})
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.parametrize("bad", [1, "true", None, []])
def test_an_invalid_flag_is_refused(client, make, students, bad):
    for method, path, body in (
        ("post", f"/students/{students[0]}/enroll", {"course_ids": [1]}),
        ("put", f"/students/{students[0]}/enroll", {"course_ids": [1]}),
        ("post", f"/students/{students[0]}/courses", {"course_id": 1}),
        ("post", "/courses/1/students", {"student_ids": students}),
    ):
        answer = getattr(client, method)(path, json={**body, "waitlist": bad})
        assert problem(answer) == (422, "invalid")
        assert answer.json["errors"][0]["pointer"] == "/waitlist"


def test_every_full_course_is_named_and_nothing_changes(client, make, ask, students):
    free, none, full, waitlisting = (
        make.course(capacity=c, waitlist_capacity=w)["id"]
        for c, w in ((5, 0), (0, 0), (1, 0), (1, 3))
    )
    ask(students[0], [full, waitlisting])
    answer = ask(students[1], [free, none, full, waitlisting])
    assert problem(answer) == (409, "course-full")
    assert answer.json["courses"] == [
        {"id": none, "status": "open", "waitlist_open": False, "seats_free": 0, "asked": 1},
        {"id": full, "status": "open", "waitlist_open": False, "seats_free": 0, "asked": 1},
        {"id": waitlisting, "status": "open", "waitlist_open": True, "seats_free": 0, "asked": 1},
    ]
    assert client.get(f"/students/{students[1]}/courses").json == []
    assert client.get(f"/courses/{free}").json["seats_taken"] == 0
    # A student who has the seat is not refused.
    assert ask(students[0], [full, waitlisting]).json["kept"] == [full, waitlisting]


def test_other_faults_are_reported_before_a_full_course(client, make, ask, students):
    full = make.course(capacity=0)["id"]
    assert problem(ask(99999, [full])) == (404, "student-not-found")
    assert problem(ask(students[0], [full, 99999])) == (404, "course-not-found")
    answer = client.post(f"/courses/{full}/students", json={"student_ids": [99999]})
    assert problem(answer) == (404, "student-not-found")
    answer = client.post("/courses/99999/students", json={"student_ids": [99999]})
    assert problem(answer) == (404, "course-not-found")
    assert "missing" not in answer.json


def test_a_capacity_below_the_seats_taken_is_refused_with_both_numbers(client, make, students):
    course = make.course(capacity=3, waitlist_capacity=None)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students, "waitlist": True})
    answer = client.patch(f"/courses/{course}", json={"capacity": 2})
    assert problem(answer) == (409, "capacity-below-enrolled")
    assert (answer.json["capacity"], answer.json["seats_taken"]) == (2, 3)
    answer = client.patch(f"/courses/{course}", json={"waitlist_capacity": 1})
    assert problem(answer) == (409, "waitlist-capacity-below-waitlisted")
    assert (answer.json["waitlist_capacity"], answer.json["waitlisted"]) == (1, 2)
    # With one more seat, the waitlist becomes short enough.
    shown = client.patch(f"/courses/{course}", json={"capacity": 4, "waitlist_capacity": 1}).json
    assert (shown["seats_taken"], shown["waitlisted"], shown["version"]) == (4, 1, 2)


def test_a_course_with_a_waitlisted_student_cannot_be_deleted(client, make, ask, students):
    course = make.course(capacity=0, waitlist_capacity=None)["id"]
    ask(students[0], [course], waitlist=True)
    assert problem(client.delete(f"/courses/{course}")) == (409, "course-has-students")


def test_a_full_course_is_refused_without_a_transaction(client, make, ask, students, statements):
    course = make.course(capacity=1)["id"]
    ask(students[0], [course])
    with statements() as sent:
        assert problem(ask(students[1], [course])) == (409, "course-full")
    assert len(sent) == 1
    assert "FOR " not in sent[0]
