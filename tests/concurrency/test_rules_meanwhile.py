"""Requests of one student at the same moment: the rules hold for what they have together.

Without the judgement under the student's lock (or without the lock), each request is judged on the
set before the other one, and the tests find both courses taken.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from course_management.courses import service as courses
from course_management.db.base import db
from course_management.db.sqlite import BEGIN_WRITING
from course_management.db.transaction import transaction
from course_management.enrollments.locks import lock_students
from course_management.enrollments.requests import RulesContext
from course_management.records.completions.models import Completion
from course_management.records.holds.models import Hold
from course_management.registrar import service as registrar
from course_management.terms.models import Term, TermWindow
from devtools.waiting import wait_until
from tests.databases import audit, waiting_for_locks
from tests.web.problems import problem

ROUNDS = 30


@pytest.fixture
def course(client, term):
    """Makes courses of the term, whose registration is open."""
    now = datetime.now(UTC)
    opens_at, closes_at = (now - timedelta(1)).isoformat(), (now + timedelta(1)).isoformat()
    window = {"group": None, "opens_at": opens_at, "closes_at": closes_at}
    client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})

    def make(**fields):
        body = {"name": f"{uuid.uuid4()}", "level": "x", "term": term["code"]}
        return client.post("/courses", json=body | fields).json["id"]

    return make


def at_once(app, *requests):
    """Send requests at one moment; returns their statuses, sorted."""
    barrier = Barrier(len(requests))

    def send(method, path, body):
        barrier.wait()
        return app.test_client().open(path, method=method, json=body).status_code

    with ThreadPoolExecutor(len(requests)) as pool:
        return sorted(pool.map(lambda one: send(*one), requests))


def taken(client, student):
    return client.get(f"/students/{student}/enroll").json["course_ids"]


def enrolling(student, course):
    return "POST", f"/students/{student}/courses", {"course_id": course}


def test_two_courses_that_clash(app, client, make, course):
    meeting = {"days": ["mon"], "starts": "09:00", "ends": "10:00"}
    for _ in range(ROUNDS):
        student = make.student()["id"]
        first, second = course(meetings=[meeting]), course(meetings=[meeting], capacity=5)
        found = at_once(app, enrolling(student, first), enrolling(student, second))
        assert (found, len(taken(client, student))) == ([201, 409], 1)
    audit(app)


def test_credits_from_two_sides(app, client, make, course, term):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 5})
    for _ in range(ROUNDS):
        student = make.student()["id"]
        first, second = course(credits_min=3), course(credits_min=3, capacity=5)
        roster = ("POST", f"/courses/{second}/students", {"student_ids": [student]})
        found = at_once(app, enrolling(student, first), roster)
        assert (found, len(taken(client, student))) == ([201, 409], 1)
    audit(app)


@contextmanager
def waiting_for_the_student(app, student, *request):
    """A session that has locked the student, and a request that has passed the precheck and waits
    for that lock.
    """
    begun = []

    def hear(_connection, _cursor, text, *_values):
        begun.extend([text] if text == BEGIN_WRITING else [])

    def is_waiting():
        if engine.dialect.name == "sqlite":  # one transaction writes at a time
            return len(begun) == 2
        return waiting_for_locks(app) == 1

    method, path, body = request
    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", hear)
    try:
        with ThreadPoolExecutor(1) as pool:
            with app.app_context(), transaction(writing=True) as session:
                lock_students(session, [student])
                answer = pool.submit(app.test_client().open, path, method=method, json=body)
                wait_until(lambda: is_waiting() or answer.done())
                assert not answer.done(), answer.result().text
                yield session, answer
    finally:
        sa.event.remove(engine, "before_cursor_execute", hear)


def place_hold(session, school):
    hold = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}
    session.add(Hold(student_id=school.student, **hold))


def remove_completions(session, school):
    session.execute(sa.delete(Completion).where(Completion.student_id == school.student))


def close_windows(session, school):
    session.execute(sa.delete(TermWindow))


def edit(field):
    """An edit of the meetings of a course: they clash with those of the other one."""

    times = {"held": ("11:30", "12:30"), "wanted": ("09:30", "10:30")}

    def change(session, school):
        course = courses.lock_course(session, getattr(school, field))
        meeting = {"days": ["mon"], **dict(zip(("starts", "ends"), times[field], strict=True))}
        whole = {"first_on": None, "last_on": None, "location": None}
        courses.update_course(session, course, {"meetings": [meeting | whole]})

    return change


def cancel(field):
    def change(session, school):
        registrar.cancel(session, getattr(school, field), None, RulesContext(), begun=False)

    return change


@dataclass
class School:
    """Two students take the course `held`. CS 225, the course `wanted`, has it as a corequisite,
    and CS 1 as a prerequisite, which they have passed.
    """

    student: int
    other: int
    held: int
    wanted: int


@pytest.fixture
def school(client, make, course):
    both = {"all": [{"course": "CS 1"}, {"course": "MATH 1", "concurrent": True}]}
    entry = {"title": "x", "credits_min": 1}
    client.post("/catalog", json={"code": "MATH 1"} | entry)
    client.post("/catalog", json={"code": "CS 225", "prerequisites": both} | entry)

    def meeting(starts, ends):
        return [{"days": ["mon"], "starts": starts, "ends": ends}]

    made = School(
        *(make.student()["id"], make.student()["id"]),
        course(catalog_code="MATH 1", meetings=meeting("09:00", "10:00")),
        course(catalog_code="CS 225", meetings=meeting("11:00", "12:00"), capacity=5),
    )
    done = {"catalog_code": "CS 1", "kind": "course"}
    for student in (made.student, made.other):
        client.post(f"/students/{student}/completions", json=done)
        method, path, body = enrolling(student, made.held)
        assert client.open(path, method=method, json=body).status_code == 201
    return made


def alone(school):
    return enrolling(school.student, school.wanted)


def on_a_roster(school):
    path = f"/courses/{school.wanted}/students"
    return "POST", path, {"student_ids": [school.student, school.other]}


@pytest.mark.parametrize("request_of", [alone, on_a_roster])
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param(place_hold, "hold", id="hold"),
        pytest.param(remove_completions, "prerequisite-missing", id="completions"),
        pytest.param(close_windows, "registration-not-open", id="windows"),
        pytest.param(edit("wanted"), "time-conflict", id="meetings"),
        pytest.param(edit("held"), "time-conflict", id="meetings of a held course"),
        pytest.param(cancel("held"), "corequisite-missing", id="corequisite cancelled"),
    ],
)
def test_a_fact_that_changes_after_the_precheck(app, client, school, change, rule, request_of):
    """The request has passed the precheck and waits for the student's lock. Fails if the rules are
    not judged again under the lock, or if they are judged on the facts of the precheck.
    """
    request = request_of(school)
    with waiting_for_the_student(app, school.student, *request) as (session, answer):
        change(session, school)
    refused = answer.result()
    assert problem(refused) == (409, "rules-broken")
    assert {broken["rule"] for broken in refused.json["broken"]} == {rule}
    assert school.wanted not in taken(client, school.student)
    audit(app)


def test_a_course_that_is_cancelled_after_the_precheck(app, client, school):
    """Fails if the status of the course is not read again under its lock."""
    request = enrolling(school.student, school.wanted)
    with waiting_for_the_student(app, school.student, *request) as (session, answer):
        cancel("wanted")(session, school)
    assert problem(answer.result()) == (409, "course-cancelled")
    assert taken(client, school.student) == [school.held]
    audit(app)


def test_a_request_that_waits_does_not_become_late(app, client, school):
    """The deadline passes while the request waits for the student's lock: the moment at which its
    head was read counts.
    """
    request = enrolling(school.student, school.wanted)
    with waiting_for_the_student(app, school.student, *request) as (session, answer):
        session.execute(sa.update(Term).values(add_until=datetime.now(UTC)))
    assert answer.result().status_code == 201
    path = f"/students/{school.student}/changes"
    late = client.post(path, json={"drop": [school.wanted]})
    assert late.status_code == 200
    late = client.post(path, json={"add": [{"course_id": school.wanted}]})
    assert [broken["rule"] for broken in late.json["broken"]] == ["add-deadline-passed"]
