"""A request waits for a course while another request promotes its student. Its response has the
state after the promotion (PostgreSQL).
"""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.enrollments import service
from course_management.enrollments.locks import lock_students
from course_management.enrollments.requests import RuledRequest
from devtools.waiting import eventually
from tests.databases import waiting_for_locks


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        (
            "post",
            "/students/{student}/enroll",
            {"course_ids": ["{course}"]},
            {"kept": ["{course}"], "waitlisted": []},
        ),
        (
            "put",
            "/students/{student}/enroll",
            {"course_ids": ["{course}"]},
            {"kept": ["{course}"], "waitlisted": []},
        ),
        (
            "post",
            "/courses/{course}/students",
            {"student_ids": ["{student}"]},
            {"kept": ["{student}"], "waitlisted": []},
        ),
        (
            "post",
            "/students/{student}/courses",
            {"course_id": "{course}"},
            {"state": "enrolled", "position": None},
        ),
    ],
)
def test_a_student_promoted_meanwhile_is_reported_as_enrolled(
    postgres_app, method, path, body, answer
):
    """Fails if the statement that waits for the lock also reads the states: the response then says
    that the student is on the waitlist.
    """
    client = postgres_app.test_client()
    course = client.post(
        "/courses", json={"name": "Logic", "level": "x", "capacity": 1, "waitlist_capacity": 9}
    ).json["id"]
    seated, student = (
        client.post("/students", json={"name": name}).json["id"] for name in ("Ada", "Bo")
    )
    for one in (seated, student):
        client.post(f"/students/{one}/enroll", json={"course_ids": [course], "waitlist": True})
    ids = {"{course}": course, "{student}": student}

    def filled(value):
        return [ids[item] for item in value] if isinstance(value, list) else ids.get(value, value)

    def ask():
        to, what = (
            path.format(course=course, student=student),
            {name: filled(value) for name, value in body.items()},
        )
        answers.append(
            getattr(postgres_app.test_client(), method)(to, json={**what, "waitlist": True})
        )

    answers, asking = [], threading.Thread(target=ask)
    with postgres_app.app_context():
        with transaction(writing=True) as session:
            lock_students(session, [seated])
            service.drop(session, seated, course, RuledRequest())
            session.execute(sa.text("SELECT 1"))  # sends what waits for the commit
            asking.start()
            eventually(lambda: waiting_for_locks(postgres_app), 1)
        asking.join()
    assert answers[0].status_code == 200
    assert {name: answers[0].json[name] for name in answer} == {
        name: filled(value) for name, value in answer.items()
    }
