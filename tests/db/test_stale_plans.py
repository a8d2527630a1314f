"""A prepared statement that is dead, because its columns changed or the session forgot it,
reaches no client.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg2
import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.db.base import db
from course_management.db.connections import use_connection
from devtools.gunicorn import Gunicorn
from tests.deploy.client import poll

WIDER = "ALTER TABLE courses ALTER waitlist_capacity TYPE bigint, ALTER waitlisted TYPE bigint"
NARROW = WIDER.replace("bigint", "integer")


@pytest.fixture
def own(new_database, make_app):
    """The app on a PostgreSQL database of its own."""
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    return app


def address(app):
    return (
        app.config["SQLALCHEMY_DATABASE_URI"]
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )


def alter(app, *statements):
    connection = psycopg2.connect(address(app))
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


def test_a_column_changes_its_type_under_a_running_service(own, tmp_path):
    """Seen to fail: 500, 0A000, on every request of each connection, for ever."""
    course, students = people(own.test_client(), 400)
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

    with Gunicorn({"DATABASE_URL": address(own)}, log=tmp_path / "log") as service:
        threads = [threading.Thread(target=ask, args=(service,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        try:
            for statement in (WIDER, NARROW, WIDER):
                seen = len(told)
                poll(lambda seen=seen: len(told) > seen + 60)
                alter(own, statement)
            seen = len(told)
            poll(lambda: len(told) > seen + 60)
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert {status for status in told if status >= 300} == set()
    assert own.test_cli_runner().invoke(args=["audit"]).exit_code == 0


def test_every_stale_connection_of_the_pool_is_dropped_at_once(own):
    """A request is repeated once: where only its own connection was dropped, the pool gave it
    another stale one, and a 503.
    """
    client = own.test_client()
    course, students = people(client, 4)
    with own.app_context():
        db.engine.dispose()
    together = threading.Barrier(3)

    def prepare_and_give_back(student):
        assert enroll(own.test_client(), student, course) == 201
        together.wait()
        with (
            own.app_context(),
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
    with own.app_context():
        assert db.engine.pool.checkedin() == 3
    alter(own, WIDER)
    told = []
    asking = threading.Thread(
        target=lambda: told.extend(enroll(own.test_client(), s, course) for s in students)
    )
    asking.start()
    asking.join()
    assert told == [200, 200, 200, 201]


@pytest.mark.parametrize("forget", ["DEALLOCATE ALL", "DEALLOCATE insert_student_courses"])
def test_a_session_that_forgot_its_statements(own, forget):
    """At the first statement, and at the one that goes out with COMMIT. Seen to fail: 500,
    26000.
    """
    client = own.test_client()
    course, students = people(client, 2)
    assert enroll(client, students[0], course) == 201
    with own.app_context(), use_connection() as connection:
        connection.exec_driver_sql(forget)
    assert enroll(client, students[1], course) == 201
    assert client.get(f"/courses/{course}").json["seats_taken"] == 2
    with own.app_context():
        assert db.engine.pool.checkedout() == 1
