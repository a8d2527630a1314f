"""A course that has overrides is deleted while its students ask for it, or get more overrides
(PostgreSQL). Deleting the overrides takes the locks of their students.

Deadlocks are not repeated here, so that a test fails that leads to one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from course_management.db import transaction as transactions
from course_management.db.transaction import transaction
from course_management.enrollments import service
from course_management.enrollments.requests import EnrollmentRequest
from course_management.students.service import lock_student
from devtools.waiting import eventually
from tests.conftest import Make
from tests.databases import audit, connect, waiting_for_locks
from tests.web.problems import problem


@pytest.fixture
def school(postgres_app, monkeypatch):
    """The app, a client, a course and two students, of whom the first has an override for it."""
    monkeypatch.setattr(transactions, "_RETRY", frozenset())
    client = postgres_app.test_client()
    make = Make(client)
    term = make.term()["code"]
    window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
    client.put(f"/terms/{term}/windows", json={"windows": [window]})
    course = make.course(term=term)["id"]
    students = [make.student()["id"] for _ in range(2)]
    path = f"/students/{students[0]}/overrides"
    assert client.post(path, json=override(course)).status_code == 201
    yield postgres_app, client, course, students
    audit(postgres_app)


def override(course):
    return {"rule": "course-full", "course_id": course, "reason": "The dean agreed"}


def test_a_deletion_waits_for_an_enrollment(school):
    """Fails if the course is locked before the students."""
    app, client, course, (student, _) = school
    with ThreadPoolExecutor() as pool, app.app_context():
        with transaction(writing=True) as session:
            lock_student(session, student)
            asking = pool.submit(client.delete, f"/courses/{course}")
            eventually(lambda: waiting_for_locks(app), 1)
            service.enroll(session, student, EnrollmentRequest([course]))
        assert problem(asking.result()) == (409, "course-has-students")
    assert client.delete(f"/students/{student}/courses/{course}").status_code == 204
    assert client.delete(f"/courses/{course}").status_code == 204
    assert client.get(f"/students/{student}/overrides").json == []


def test_an_override_is_granted_while_a_deletion_waits_for_the_course(school):
    """The deletion begins anew and locks this student too, before the course. Fails if it goes on
    with the students that it found first.
    """
    app, client, course, (_, student) = school
    with ThreadPoolExecutor() as pool, app.app_context(), closing(connect(app)) as enrolling:
        enrolling.cursor().execute(
            "SELECT 1 FROM courses WHERE id = %s FOR NO KEY UPDATE", [course]
        )
        asking = pool.submit(app.test_client().delete, f"/courses/{course}")
        eventually(lambda: waiting_for_locks(app), 1)
        path = f"/students/{student}/overrides"
        assert client.post(path, json=override(course)).status_code == 201
        with transaction(writing=True) as session:
            lock_student(session, student)
            enrolling.rollback()
            service.enroll(session, student, EnrollmentRequest([course]))
        assert problem(asking.result()) == (409, "course-has-students")
