"""Registration day: many real clients at the same time against the real server, on both databases.
No course is oversold, and every response is true.

The tests fail without these parts of the service:
- the lock of `lock_courses` (PostgreSQL): both tests get 500s, because only the constraints still
  refuse a seat above the capacity;
- the lock of `_SHARE_COURSES` (PostgreSQL): the audit finds wrong counts in a course that got a
  capacity;
- the lock of `lock_students` (PostgreSQL): `test_random_simultaneous_requests` gets 500s, because
  a student is deleted while they enroll;
- `BEGIN IMMEDIATE` instead of BEGIN (SQLite): both tests get 503s, because the database is locked;
- `promote` in `remove`: both tests get 500s from the constraint that forbids a free seat while
  students wait.
"""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent, EventType
from course_management.students.models import Student
from devtools.gunicorn import crowd
from tests.databases import audit


@pytest.fixture
def students(app):
    """1,000 students."""
    with app.app_context(), transaction(writing=True) as session:
        made = [Student(name=f"Student {i}") for i in range(1000)]
        session.add_all(made)
        session.flush()
        return [student.id for student in made]


def events(app):
    """The moves by the request that caused them: (student, course, from, to)."""
    found = {}
    moves = sa.select(EnrollmentEvent).where(EnrollmentEvent.type == EventType.ENROLLMENT_CHANGED)
    with app.app_context(), transaction(writing=False) as session:
        for event in session.scalars(moves.order_by(EnrollmentEvent.id)):
            found.setdefault(event.request_id, []).append(
                (event.student_id, event.course_id, event.from_state, event.to_state)
            )
    return found


def all_pages(client, address):
    items = []
    while address:
        answer = client.get(address)
        items += answer.json
        link = answer.headers.get("Link")
        address = link and link[1 : link.index(">")]
    return items


def test_a_registration_rush(app, client, make, gunicorn, students):
    course = make.course(capacity=100, waitlist_capacity=300)["id"]
    body = {"course_ids": [course]}
    rush = [
        ("POST", f"/students/{s}/enroll", body | ({"waitlist": True} if i % 2 else {}))
        for i, s in enumerate(students)
    ]
    answers = dict(zip(students, crowd(gunicorn.port, rush, 24), strict=True))
    told = {s: (a.status, a.json.get("type", "").rpartition("/")[2]) for s, a in answers.items()}
    assert set(told.values()) <= {(201, ""), (409, "course-full"), (409, "waitlist-full")}

    roster = all_pages(client, f"/courses/{course}/students")
    seated = {s["id"] for s in roster if s["state"] == "enrolled"}
    waitlist = sorted(
        (s for s in roster if s["state"] == "waitlisted"), key=lambda s: s["position"]
    )
    assert (len(seated), [s["position"] for s in waitlist]) == (100, list(range(1, 301)))
    for student, answer in answers.items():
        told_seat, told_waitlisted = (
            answer.json.get("added") == [course],
            answer.json.get("waitlisted") == [course],
        )
        assert (told_seat, told_waitlisted) == (
            student in seated,
            student in {s["id"] for s in waitlist},
        )
    audit(app)

    # Fifty seats are given back at the same time. They go to the fifty students who joined the
    # waitlist first, according to the history.
    joined = [
        event["student_id"]
        for event in all_pages(client, f"/courses/{course}/history")[::-1]
        if event["to"] == "waitlisted"
    ]
    assert [s["id"] for s in waitlist] == joined
    drops = [("DELETE", f"/students/{s}/courses/{course}", None) for s in sorted(seated)[:50]]
    assert {answer.status for answer in crowd(gunicorn.port, drops, 10)} == {204}
    now_seated = {s["id"] for s in all_pages(client, f"/courses/{course}/students?state=enrolled")}
    assert now_seated - seated == set(joined[:50])
    audit(app)


def random_request(rng, students, courses):
    """One random request: an enrollment, a drop, a swap, a new capacity, a deletion or an act of
    the registrar, with a few courses in any order.
    """
    student, some = rng.choice(students), rng.sample(courses, rng.randint(1, 3))
    waitlist = rng.random() < 0.6
    if rng.random() < 0.25:
        return random_act(rng, students, student, *rng.sample(courses, 3))
    kind = rng.random()
    if kind < 0.35:
        return ("POST", f"/students/{student}/enroll", {"course_ids": some, "waitlist": waitlist})
    if kind < 0.55:
        return ("PUT", f"/students/{student}/enroll", {"course_ids": some, "waitlist": waitlist})
    if kind < 0.70:
        return ("DELETE", f"/students/{student}/courses/{some[0]}", None)
    if kind < 0.80:
        return (
            "POST",
            f"/courses/{some[0]}/students",
            {"student_ids": rng.sample(students, 6), "waitlist": waitlist},
        )
    if kind < 0.84:
        return ("POST", f"/courses/{some[0]}/drop", {"student_ids": rng.sample(students, 2)})
    if kind < 0.97:
        return (
            "PATCH",
            f"/courses/{some[0]}",
            {"capacity": rng.choice([None, None, 3, 5, 8, 12, 20])},
        )
    return ("DELETE", f"/students/{student}", None)


def random_act(rng, students, student, course, *others):
    """One random act of the registrar, or a swap of one student."""
    path, some = f"/courses/{course}", {"student_ids": rng.sample(students, rng.randint(1, 3))}
    kind = rng.random()
    if kind < 0.10:
        return ("POST", f"{path}/cancel", {"reason": "No teacher"})
    if kind < 0.35:
        return ("PATCH", path, {"status": rng.choice(["open", "open", "closed"])})
    if kind < 0.60:
        who = {"all": True} if rng.random() < 0.4 else some
        return ("POST", f"{path}/move", {"to": others[0], "extend": rng.random() < 0.7, **who})
    if kind < 0.80:
        return ("POST", f"{path}/reinstate", some)
    add = [{"course_id": course, "waitlist": rng.random() < 0.6}]
    drop = rng.sample(others, rng.randint(0, 2))
    return ("POST", f"/students/{student}/changes", {"add": add, "drop": drop})


def test_random_simultaneous_requests(app, client, make, gunicorn, students):
    rng = random.Random(20260901)
    courses = [
        make.course(capacity=rng.choice([None, 2, 4]), waitlist_capacity=rng.choice([None, 5]))[
            "id"
        ]
        for _ in range(4)
    ]
    few = students[:40]
    requests = [
        (*random_request(rng, few, courses), {"X-Request-ID": f"brawl-{i}"}) for i in range(1500)
    ]
    answers = crowd(gunicorn.port, requests, 16)
    statuses = {answer.status for answer in answers}
    assert statuses <= {200, 201, 204, 404, 409}, [a.body for a in answers if a.status >= 500][:3]
    assert {200, 201, 204, 409} <= statuses
    audit(app)

    for course in courses:
        if client.get(f"/courses/{course}").json["status"] == "cancelled":
            assert client.get(f"/courses/{course}/students").json == []

    record = events(app)
    for request, answer, i in zip(requests, answers, range(len(requests)), strict=True):
        made = record.get(f"brawl-{i}", [])
        if answer.status >= 400:
            assert made == [], (request, answer)
        elif request[0] not in ("PATCH", "DELETE"):  # their responses have no ids
            compare(answer.json, made)


def compare(told, made):
    """Assert that a response tells of the events that its request made."""
    source, course = told.get("course_id"), told.get("to", told.get("course_id"))

    def pairs(kind):
        ids = told.get(kind) or []
        return {(told["student_id"], i) if "student_id" in told else (i, course) for i in ids}

    gone = {(s, c) for s, c, _, after in made if after is None}
    seated = {(s, c) for s, c, before, after in made if after == "enrolled" and before is None}
    waiting = {(s, c) for s, c, _, after in made if after == "waitlisted"}
    if "to" in told:  # a move: a seat may replace a position in the other course
        seated = {(s, c) for s, c, _, after in made if after == "enrolled" and c == course}
        moved = {s for kind in ("added", "kept", "waitlisted") for s in told[kind]}
        assert gone == {(s, source) for s in moved}
        assert (pairs("added"), pairs("waitlisted")) == (seated, waiting)
    elif "removed" in told and "status" in told:  # a cancellation
        assert gone == pairs("removed") | pairs("waitlisted")
        assert not seated | waiting
    else:
        assert (pairs("added"), pairs("removed")) == (seated, gone)
        assert pairs("waitlisted") >= waiting
