"""Requests of one student at the same moment: the rules hold for what they have together.

Without the judgement under the student's lock (or without the lock), each request is judged on the
set before the other one, and the tests find both courses taken.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.enrollments.locks import lock_students
from course_management.records.completions.models import Completion
from course_management.records.holds.models import Hold
from course_management.terms.models import Term, TermWindow
from devtools.waiting import wait_until
from tests.databases import audit
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


def place_hold(session, student):
    hold = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}
    session.add(Hold(student_id=student, **hold))


def remove_completions(session, student):
    session.execute(sa.delete(Completion).where(Completion.student_id == student))


def close_windows(session, student):
    session.execute(sa.delete(TermWindow))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (place_hold, "hold"),
        (remove_completions, "prerequisite-missing"),
        (close_windows, "registration-not-open"),
    ],
)
def test_a_fact_that_changes_after_the_precheck(
    app, client, make, course, statements, change, rule
):
    """The request has passed the precheck and waits for the student's lock."""
    body = {"code": "CS 225", "title": "x", "credits_min": 1, "prerequisites": {"course": "CS 1"}}
    client.post("/catalog", json=body)
    student, one = make.student()["id"], course(catalog_code="CS 225")
    done = {"catalog_code": "CS 1", "kind": "course"}
    client.post(f"/students/{student}/completions", json=done)
    method, path, body = enrolling(student, one)
    with ThreadPoolExecutor(1) as pool, statements() as sent:
        with app.app_context(), transaction(writing=True) as session:
            lock_students(session, [student])
            answer = pool.submit(app.test_client().open, path, method=method, json=body)
            wait_until(lambda: any("rules_facts" in text or "'held'" in text for text in sent))
            change(session, student)
        refused = answer.result()
    assert problem(refused) == (409, "rules-broken")
    assert [broken["rule"] for broken in refused.json["broken"]] == [rule]
    assert taken(client, student) == []


def test_a_request_that_waits_does_not_become_late(app, client, make, course, term, statements):
    """The deadline passes while the request waits for the student's lock: the moment at which its
    head was read counts.
    """
    student, one = make.student()["id"], course()
    method, path, body = enrolling(student, one)
    with ThreadPoolExecutor(1) as pool, statements() as sent:
        with app.app_context(), transaction(writing=True) as session:
            lock_students(session, [student])
            answer = pool.submit(app.test_client().open, path, method=method, json=body)
            wait_until(lambda: any("rules_facts" in text or "'held'" in text for text in sent))
            session.execute(sa.update(Term).values(add_until=datetime.now(UTC)))
        assert answer.result().status_code == 201
    late = client.post(f"/students/{make.student()['id']}/courses", json={"course_id": one})
    assert [broken["rule"] for broken in late.json["broken"]] == ["add-deadline-passed"]
