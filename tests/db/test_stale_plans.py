"""A prepared statement that is dead, because its columns changed or the session forgot it,
reaches no client.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import sqlalchemy as sa

from course_management.db.base import db
from course_management.db.connections import use_connection
from devtools.gunicorn import Gunicorn
from devtools.waiting import wait_until
from tests.databases import audit, connect, libpq_url

WIDER = "ALTER TABLE courses ALTER waitlist_capacity TYPE bigint, ALTER waitlisted TYPE bigint"
NARROW = WIDER.replace("bigint", "integer")


def alter(app, *statements):
    connection = connect(app)
    connection.autocommit = True
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def people(client, count):
    """A course with a capacity, and students."""
    course = client.post("/courses", json={"name": "Logic", "level": "x", "capacity": count}).json[
        "id"
    ]
    return course, [
        client.post("/students", json={"name": f"S {i}"}).json["id"] for i in range(count)
    ]


def enroll(client, student, course):
    return client.post(f"/students/{student}/enroll", json={"course_ids": [course]}).status_code


def test_a_column_changes_its_type_under_a_running_service(postgres_app, tmp_path):
    """Seen to fail: 500, 0A000, on every request of each connection, for ever."""
    course, students = people(postgres_app.test_client(), 400)
    done, told, lock = threading.Event(), [], threading.Lock()
    todo = iter(students)

    def ask(service):
        while not done.is_set():
            with lock:
                student = next(todo, None)
            body = {"course_ids": [course]}
            answers = (
                [service.request("POST", f"/students/{student}/enroll", body)] if student else []
            )
            answers.append(service.request("GET", f"/courses/{course}"))
            answers.append(service.request("POST", "/students/1/enroll", body))
            told.extend(answer.status for answer in answers)

    with Gunicorn({"DATABASE_URL": libpq_url(postgres_app)}, log=tmp_path / "log") as service:
        threads = [threading.Thread(target=ask, args=(service,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        try:
            for statement in (WIDER, NARROW, WIDER):
                seen = len(told)
                wait_until(lambda seen=seen: len(told) > seen + 60)
                alter(postgres_app, statement)
            seen = len(told)
            wait_until(lambda: len(told) > seen + 60)
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert {status for status in told if status >= 300} == set()
    audit(postgres_app)


def test_every_stale_connection_of_the_pool_is_dropped_at_once(postgres_app):
    """A request is repeated once: where only its own connection was dropped, the pool gave it
    another stale one, and a 503.
    """
    client = postgres_app.test_client()
    course, students = people(client, 4)
    with postgres_app.app_context():
        db.engine.dispose()
    together = threading.Barrier(3)

    def prepare_and_give_back(student):
        assert enroll(postgres_app.test_client(), student, course) == 201
        together.wait()
        with (
            postgres_app.app_context(),
            suppress(sa.exc.ProgrammingError),
            use_connection() as connection,
        ):
            connection.exec_driver_sql("nonsense")

    threads = [
        threading.Thread(target=prepare_and_give_back, args=(student,)) for student in students[:3]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with postgres_app.app_context():
        assert db.engine.pool.checkedin() == 3
    alter(postgres_app, WIDER)
    told = []
    asking = threading.Thread(
        target=lambda: told.extend(enroll(postgres_app.test_client(), s, course) for s in students)
    )
    asking.start()
    asking.join()
    assert told == [200, 200, 200, 201]


@pytest.mark.fast_parts  # only the fast part prepares statements by name
@pytest.mark.parametrize(
    "forget", ["DEALLOCATE ALL", "DEALLOCATE insert_student_courses_credits_blocked"]
)
def test_a_session_without_its_statements_is_replaced(postgres_app, forget):
    """At the first statement, and at the one that goes out with COMMIT. Seen to fail: 500,
    26000.
    """
    client = postgres_app.test_client()
    course, students = people(client, 2)
    assert enroll(client, students[0], course) == 201
    with postgres_app.app_context(), use_connection() as connection:
        connection.exec_driver_sql(forget)
    assert enroll(client, students[1], course) == 201
    assert client.get(f"/courses/{course}").json["seats_taken"] == 2
    with postgres_app.app_context():
        assert db.engine.pool.checkedout() == 1
