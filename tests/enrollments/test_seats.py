"""Seats and waitlists over HTTP."""

from __future__ import annotations

import pytest

from tests.databases import audit
from tests.web.problems import problem


@pytest.fixture
def students(make):
    return [make.student()["id"] for _ in range(6)]


@pytest.fixture
def ask(client):
    """Enroll: `ask(student, courses)`, or `ask(student, courses, waitlist=True)`."""

    def go(student, courses, **more):
        return client.post(f"/students/{student}/enroll", json={"course_ids": courses, **more})

    return go


@pytest.fixture
def waitlist_of(client):
    """The ids of the students on the waitlist of a course, in the order of their positions."""

    def go(course):
        waiting = client.get(f"/courses/{course}/students?state=waitlisted").json
        ranked = sorted(waiting, key=lambda s: s["position"])
        assert [s["position"] for s in ranked] == list(range(1, len(ranked) + 1))
        return [s["id"] for s in ranked]

    return go


def seats(client, course):
    return [s["id"] for s in client.get(f"/courses/{course}/students?state=enrolled").json]


@pytest.fixture(autouse=True)
def _audited(app):
    """After each test, the audit finds no violation."""
    yield
    audit(app)


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


def test_open_courses(client, make, ask, students):
    unlimited, roomy, none, full = (make.course(capacity=c)["id"] for c in (None, 2, 0, 1))
    ask(students[0], [full, roomy])
    assert [c["id"] for c in client.get("/courses?open=true").json] == [unlimited, roomy]
    assert [c["id"] for c in client.get("/courses?open=false").json] == [none, full]
    assert problem(client.get("/courses?open=yes")) == (422, "invalid")


def test_every_full_course_is_named_and_nothing_changes(client, make, ask, students):
    free, none, full, waitlisting = (
        make.course(capacity=c, waitlist_capacity=w)["id"]
        for c, w in ((5, 0), (0, 0), (1, 0), (1, 3))
    )
    ask(students[0], [full, waitlisting])
    answer = ask(students[1], [free, none, full, waitlisting])
    assert problem(answer) == (409, "course-full")
    assert answer.json["courses"] == [
        {"id": none, "waitlist_open": False, "seats_free": 0, "asked": 1},
        {"id": full, "waitlist_open": False, "seats_free": 0, "asked": 1},
        {"id": waitlisting, "waitlist_open": True, "seats_free": 0, "asked": 1},
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
        {"id": course, "waitlist_open": True, "seats_free": 0, "asked": 1}
    ]
    assert ask(students[2], [course], waitlist=True).status_code == 201
    assert waitlist_of(course) == [students[1], students[2]]
    full = ask(students[3], [other, course], waitlist=True)
    assert problem(full) == (409, "waitlist-full")
    assert full.json["courses"] == [
        {"id": course, "waitlist_open": False, "seats_free": 0, "asked": 1}
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
        {"id": course, "waitlist_open": True, "seats_free": 2, "asked": 3}
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


def test_a_capacity_below_the_seats_taken_is_refused_with_both_numbers(client, make, students):
    course = make.course(capacity=3, waitlist_capacity=None)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students, "waitlist": True})
    answer = client.patch(f"/courses/{course}", json={"capacity": 2})
    assert problem(answer) == (409, "capacity-below-enrolled")
    assert (answer.json["capacity"], answer.json["seats_taken"]) == (2, 3)
    answer = client.patch(f"/courses/{course}", json={"waitlist_capacity": 2})
    assert problem(answer) == (409, "waitlist-capacity-below-waitlisted")
    assert (answer.json["waitlist_capacity"], answer.json["waitlisted"]) == (2, 3)
    # With one more seat, the waitlist becomes short enough.
    shown = client.patch(f"/courses/{course}", json={"capacity": 4, "waitlist_capacity": 2}).json
    assert (shown["seats_taken"], shown["waitlisted"], shown["version"]) == (4, 2, 2)


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


def test_enrolling_does_not_edit_a_course_with_a_capacity(client, make, ask, students):
    course = make.course(capacity=1, waitlist_capacity=None)
    for student in students[:3]:
        ask(student, [course["id"]], waitlist=True)
    shown = client.get(f"/courses/{course['id']}").json
    assert shown == course | {"seats_taken": 1, "waitlisted": 2}


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
