"""The service repeats transactions after temporary failures, but only a few times."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade
from sqlalchemy.exc import IntegrityError

from course_management.db import connections, engine, sqlite, transaction
from course_management.db.base import db, now
from course_management.db.prepared_statements import Insert, defer
from course_management.enrollments.models import StudentCourse
from devtools.waiting import wait_until
from tests.databases import audit, connect, run, waiting_for_locks
from tests.web.problems import problem


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize(("failures", "status"), [(2, 201), (99, 503)])
def test_a_temporary_failure_is_repeated_a_few_times(postgres_app, state, failures, status):
    run(
        postgres_app,
        "CREATE SEQUENCE tries",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
        f"nextval('tries') <= {failures} THEN "
        f"RAISE EXCEPTION USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER fail BEFORE INSERT ON courses FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    client = postgres_app.test_client()
    answer = client.post("/courses", json={"name": "Logic", "level": "x"})
    assert answer.status_code == status
    with postgres_app.app_context(), db.engine.connect() as connection:
        tries = connection.execute(sa.text("SELECT last_value FROM tries")).scalar()
    assert tries == (3 if status == 201 else 5)
    if status == 503:
        assert problem(answer) == (503, "service-unavailable")
    assert len(client.get("/courses").json) == (1 if status == 201 else 0)


def test_a_real_deadlock_reaches_no_client(postgres_app):
    client = postgres_app.test_client()
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    course = client.post("/courses", json={"name": "Logic", "level": "x", "capacity": 1}).json["id"]
    other = connect(postgres_app)
    other.cursor().execute(f"SELECT 1 FROM courses WHERE id = {course} FOR UPDATE")
    answers = []

    def enroll():
        answers.append(
            postgres_app.test_client().post(
                f"/students/{student}/enroll", json={"course_ids": [course]}
            )
        )

    thread = threading.Thread(target=enroll)
    thread.start()
    # the request holds its student now and waits for the course
    wait_until(lambda: waiting_for_locks(postgres_app) == 1)
    # PostgreSQL ends the request's transaction
    other.cursor().execute(f"SELECT 1 FROM students WHERE id = {student} FOR UPDATE")
    other.commit()
    other.close()
    thread.join()
    assert answers[0].status_code == 201
    audit(postgres_app)


def test_a_lock_that_is_not_released_is_a_503(new_database, make_app, monkeypatch):
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_MS", 200)
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    client = app.test_client()
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    course = client.post("/courses", json={"name": "Logic", "level": "x"}).json["id"]
    holder = connect(app)
    holder.cursor().execute(f"SELECT 1 FROM courses WHERE id = {course} FOR UPDATE")
    began = time.monotonic()
    assert problem(client.post(f"/students/{student}/enroll", json={"course_ids": [course]})) == (
        503,
        "service-unavailable",
    )
    assert time.monotonic() - began < 5
    assert client.get(f"/courses/{course}").status_code == 200
    holder.rollback()
    holder.close()
    assert (
        client.post(f"/students/{student}/enroll", json={"course_ids": [course]}).status_code == 201
    )


def test_edits_that_swap_names_cause_no_error(postgres_app):
    """One takes the other's name while the other, which has given it up, asks for the row of the
    first. PostgreSQL ends the request's transaction; seen to fail, with 503, where it is not
    repeated.
    """
    client = postgres_app.test_client()
    ids = [
        client.post("/courses", json={"name": name, "level": "x"}).json["id"] for name in ("A", "B")
    ]
    with ThreadPoolExecutor(1) as pool, closing(connect(postgres_app)) as other:
        cursor = other.cursor()
        cursor.execute("SET deadlock_timeout = '20s'")  # so that the request is the one to go
        cursor.execute("UPDATE courses SET name = 'C', name_key = 'c' WHERE id = %s", [ids[1]])
        answer = pool.submit(client.patch, f"/courses/{ids[0]}", json={"name": "B"})
        wait_until(lambda: waiting_for_locks(postgres_app) == 1)
        cursor.execute("UPDATE courses SET name = 'A2', name_key = 'a2' WHERE id = %s", [ids[0]])
        other.commit()
        assert (answer.result().status_code, answer.result().json.get("name")) == (200, "B")
    assert [course["name"] for course in client.get("/courses").json] == ["B", "C"]
    wait_until(lambda: deadlocks(postgres_app) == 1)


def deadlocks(app):
    """The number of deadlocks that PostgreSQL has ended in this database."""
    with closing(connect(app)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_a_locked_sqlite_file_is_a_503_after_a_wait(new_database, make_app, monkeypatch):
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT_SECONDS", 1.0)
    app = make_app(new_database("sqlite"))
    with app.app_context():
        upgrade()
    client = app.test_client()
    holder = sqlite3.connect(app.config["SQLALCHEMY_DATABASE_URI"].database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert problem(client.post("/courses", json={"name": "Logic", "level": "x"})) == (
        503,
        "service-unavailable",
    )
    assert client.get("/courses").status_code == 200
    holder.execute("ROLLBACK")
    holder.close()
    assert client.post("/courses", json={"name": "Logic", "level": "x"}).status_code == 201


def test_only_commands_and_migrations_have_no_statement_timeout(
    new_database, make_app, monkeypatch
):
    """Without `no_timeout` the command is refused too, and without `SET LOCAL statement_timeout`
    the upgrade.
    """
    monkeypatch.setattr(engine, "STATEMENT_TIMEOUT_MS", 200)
    app = make_app(new_database("postgresql"))
    holder = connect(app)
    # as another upgrade under way
    holder.cursor().execute("SELECT pg_advisory_xact_lock(5046821733)")
    letting_go = threading.Timer(0.6, holder.close)
    letting_go.start()
    with app.app_context():
        upgrade()
    run(
        app,
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "pg_sleep(0.5); RETURN NEW; END $$",
        "CREATE TRIGGER dawdle BEFORE INSERT ON courses FOR EACH STATEMENT EXECUTE FUNCTION "
        "dawdle()",
    )
    client = app.test_client()
    assert problem(client.post("/courses", json={"name": "Logic", "level": "x"})) == (
        503,
        "service-unavailable",
    )
    loaded = app.test_cli_runner().invoke(
        args=["load-demo", "--students", "1", "--courses", "2", "--each", "1"]
    )
    assert loaded.exit_code == 0, loaded.output
    assert len(client.get("/courses").json) == 2


def test_tcp_keepalive_is_on(postgres_app):
    with postgres_app.app_context(), db.engine.connect() as connection:
        wire = socket.socket(fileno=os.dup(connection.connection.dbapi_connection.fileno()))
    with wire:
        options = [
            wire.getsockopt(*option)
            for option in ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, 18))
        ]
    assert options == [1, 10_000]  # 18 is TCP_USER_TIMEOUT, milliseconds


def test_a_commit_that_breaks_off_is_a_503_and_the_next_request_is_served(postgres_app):
    """Seen to fail, the next with 500, where the broken connection was kept."""
    run(
        postgres_app,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON courses DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()",
    )
    client = postgres_app.test_client()
    assert problem(client.post("/courses", json={"name": "Logic", "level": "x"})) == (
        503,
        "commit-uncertain",
    )
    assert client.get("/courses").json == []


def test_a_silent_connection_is_aborted(postgres_app):
    """Seen to fail, by waiting the whole second and more, without `_in_use`."""
    began = time.monotonic()
    breaking = threading.Timer(0.3, connections.abort_stuck_connections, (0.2,))
    breaking.start()
    with (
        postgres_app.app_context(),
        pytest.raises(sa.exc.OperationalError),
        connections.use_connection() as connection,
    ):
        connection.execute(sa.text("SELECT pg_sleep(6)"))
    assert time.monotonic() - began < 5
    assert postgres_app.test_client().get("/courses").status_code == 200
    connections.abort_stuck_connections(0)  # none is in use
    assert postgres_app.test_client().get("/courses").status_code == 200


def test_a_rehearsal_sends_the_deferred_statements_and_keeps_nothing(app):
    """Otherwise a fault that only these show would be missing from the rehearsal."""
    insert = Insert(StudentCourse.__table__)
    row = {"student_id": 1, "course_id": 1, "enrolled_at": now(), "state": "enrolled"}

    def enroll_nobody(session, _):
        defer(
            session.connection(),
            (insert, row | {"ticket": None, "credits": None, "blocked": False}),
        )

    with app.app_context(), pytest.raises(IntegrityError):
        transaction.write(enroll_nobody, rehearse=True)
