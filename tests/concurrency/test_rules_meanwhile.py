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

from tests.databases import audit

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


def test_a_hold_placed_meanwhile(app, client, make, course):
    """Either the enrollment came first, or the hold blocked it."""
    hold = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}
    outcomes = set()
    for _ in range(ROUNDS):
        student, one = make.student()["id"], course()
        placing = ("POST", f"/students/{student}/holds", hold)
        found = at_once(app, placing, enrolling(student, one))
        assert found in ([201, 201], [201, 409])
        assert len(taken(client, student)) == found.count(201) - 1
        outcomes.add(found[1])
        refused = client.post(f"/students/{student}/courses", json={"course_id": course()})
        assert refused.status_code == 409
    audit(app)


def test_a_completion_removed_meanwhile(app, client, make, course):
    body = {"code": "CS 225", "title": "x", "credits_min": 1, "prerequisites": {"course": "CS 1"}}
    client.post("/catalog", json=body)
    for _ in range(ROUNDS):
        student, one = make.student()["id"], course(catalog_code="CS 225")
        path = f"/students/{student}/completions"
        done = client.post(path, json={"catalog_code": "CS 1", "kind": "course"}).json
        removing = ("DELETE", f"{path}/{done['id']}", None)
        found = at_once(app, removing, enrolling(student, one))
        assert found in ([201, 204], [204, 409])
        assert len(taken(client, student)) == found.count(201)
    audit(app)
