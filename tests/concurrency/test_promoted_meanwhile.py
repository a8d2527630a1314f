"""A request that waits for a course while another promotes its student tells the state after
that, on PostgreSQL.
"""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.db.base import db
from course_management.db.transaction import transaction
from course_management.enrollments import service
from course_management.enrollments.locks import lock_students
from devtools.gunicorn import eventually

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
    "wait_event_type = 'Lock'"
)


@pytest.fixture
def own(new_database, make_app):
    """The app on a PostgreSQL of its own."""
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    return app


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
def test_one_who_was_promoted_meanwhile_is_told_so(own, method, path, body, answer):
    """Fails, the student being told to be on the waitlist, where the states are read by the
    statement that waits for the lock.
    """
    client = own.test_client()
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
        answers.append(getattr(own.test_client(), method)(to, json={**what, "waitlist": True}))

    def waiting():
        with db.engine.connect() as connection:
            return connection.execute(sa.text(WAITING)).scalar()

    answers, asking = [], threading.Thread(target=ask)
    with own.app_context():
        with transaction(writing=True) as session:
            lock_students(session, [seated])
            service.drop(session, seated, course)
            session.execute(sa.text("SELECT 1"))  # sends what waits for the commit
            asking.start()
            eventually(waiting, 1)
        asking.join()
    assert answers[0].status_code == 200
    assert {name: answers[0].json[name] for name in answer} == {
        name: filled(value) for name, value in answer.items()
    }
