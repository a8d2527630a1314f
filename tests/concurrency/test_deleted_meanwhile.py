"""A course that has overrides is deleted while its students ask for it, or get more overrides
(PostgreSQL). Deleting the overrides takes the locks of their students.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from course_management.db import transaction as transactions
from course_management.db.transaction import transaction
from course_management.enrollments import service
from course_management.enrollments.requests import EnrollmentRequest
from course_management.records.overrides.service import create_override
from course_management.students.service import lock_student
from devtools.waiting import eventually
from tests.conftest import Make
from tests.databases import audit, waiting_for_locks
from tests.web.problems import problem


@pytest.fixture
def school(postgres_app):
    """The app, a client, a course and two students, of whom the first has an override for it."""
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


def test_a_deletion_waits_for_an_enrollment(school, monkeypatch):
    """Fails if the course is locked first: each transaction then waits for the other one, until the
    database aborts one of them. Nothing is repeated here, so that the test sees it.
    """
    app, client, course, (student, _) = school
    monkeypatch.setattr(transactions, "MAX_ATTEMPTS", 1)
    with ThreadPoolExecutor() as pool, app.app_context():
        with transaction(writing=True) as session:
            lock_student(session, student)
            asking = pool.submit(client.delete, f"/courses/{course}")
            eventually(lambda: waiting_for_locks(app), 1)
            service.enroll(session, student, EnrollmentRequest([course]))
        assert problem(asking.result()) == (409, "course-has-students")


def test_an_override_that_is_granted_during_a_deletion_goes_too(school):
    """The deletion begins anew, and locks this student too before the course. Fails if it goes on
    with the students that it found first: it then waits for a student while it has the course.
    """
    app, client, course, (_, student) = school
    with ThreadPoolExecutor() as pool, app.app_context():
        with transaction(writing=True) as session:
            create_override(session, student, override(course))
            session.execute(sa.text("SELECT 1"))  # sends what waits for the commit
            asking = pool.submit(client.delete, f"/courses/{course}")
            eventually(lambda: waiting_for_locks(app), 1)
        assert asking.result().status_code == 204
    assert client.get(f"/students/{student}/overrides").json == []
