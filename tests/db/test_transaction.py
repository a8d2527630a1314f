"""Bad luck of a transaction is repeated inside the server, and no more than a few times."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time

import psycopg2
import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.db import connections, engine
from course_management.db.base import db
from course_management.db.transaction import transaction
from tests.web.problems import problem


@pytest.fixture
def own(new_database, make_app):
    """The app on a PostgreSQL database of its own."""
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    return app


def run(app, *statements):
    with app.app_context(), transaction(writing=True) as session:
        for statement in statements:
            session.execute(sa.text(statement))


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize(("failures", "status"), [(2, 201), (99, 503)])
def test_a_failure_that_may_pass_is_repeated_a_few_times(own, state, failures, status):
    run(
        own,
        "CREATE SEQUENCE tries",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
        f"nextval('tries') <= {failures} THEN "
        f"RAISE EXCEPTION USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER fail BEFORE INSERT ON courses FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    client = own.test_client()
    answer = client.post("/courses", json={"name": "Logic", "level": "x"})
    assert answer.status_code == status
    with own.app_context(), db.engine.connect() as connection:
        tries = connection.execute(sa.text("SELECT last_value FROM tries")).scalar()
    assert tries == (3 if status == 201 else 5)
    if status == 503:
        assert problem(answer) == (503, "service-unavailable")
    assert len(client.get("/courses").json) == (1 if status == 201 else 0)


def test_a_real_deadlock_reaches_no_client(own):
    client = own.test_client()
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    course = client.post("/courses", json={"name": "Logic", "level": "x", "capacity": 1}).json["id"]
    url = (
        own.config["SQLALCHEMY_DATABASE_URI"]
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )
    other = psycopg2.connect(url)
    other.cursor().execute(f"SELECT 1 FROM courses WHERE id = {course} FOR UPDATE")
    answers = []

    def enroll():
        answers.append(
            own.test_client().post(f"/students/{student}/enroll", json={"course_ids": [course]})
        )

    thread = threading.Thread(target=enroll)
    thread.start()
    time.sleep(0.3)  # the request holds its student now and waits for the course
    # PostgreSQL ends the request's transaction
    other.cursor().execute(f"SELECT 1 FROM students WHERE id = {student} FOR UPDATE")
    other.commit()
    other.close()
    thread.join()
    assert answers[0].status_code == 201
    assert own.test_cli_runner().invoke(args=["audit"]).exit_code == 0


def test_a_lock_that_is_not_let_go_is_a_503(new_database, make_app, monkeypatch):
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_MS", 200)
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    client = app.test_client()
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    course = client.post("/courses", json={"name": "Logic", "level": "x"}).json["id"]
    holder = psycopg2.connect(
        app.config["SQLALCHEMY_DATABASE_URI"]
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )
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


def test_edits_that_swap_names_reach_no_client_as_a_deadlock(own):
    client = own.test_client()
    ids = [
        client.post("/courses", json={"name": name, "level": "x"}).json["id"] for name in ("A", "B")
    ]
    gate, answers = threading.Barrier(2), []

    def rename(course, name):
        gate.wait()
        answers.append(
            own.test_client().patch(f"/courses/{course}", json={"name": name}).status_code
        )

    for _ in range(5):
        threads = [
            threading.Thread(target=rename, args=pair) for pair in ((ids[0], "B"), (ids[1], "A"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(answers) <= {200, 409}


def test_a_locked_file_is_waited_for_and_then_a_503(new_database, make_app, monkeypatch):
    monkeypatch.setattr(engine, "SQLITE_LOCK_TIMEOUT_SECONDS", 1.0)
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


def test_a_statement_may_take_long_only_where_nobody_waits(new_database, make_app, monkeypatch):
    """Without `unhurried` the command is refused too, and without `SET LOCAL statement_timeout`
    the upgrade.
    """
    monkeypatch.setattr(engine, "STATEMENT_TIMEOUT_MS", 200)
    app = make_app(new_database("postgresql"))
    holder = psycopg2.connect(
        app.config["SQLALCHEMY_DATABASE_URI"]
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )
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


def test_the_kernel_looks_whether_the_server_is_there(own):
    with own.app_context(), db.engine.connect() as connection:
        wire = socket.socket(fileno=os.dup(connection.connection.dbapi_connection.fileno()))
    with wire:
        options = [
            wire.getsockopt(*option)
            for option in ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, 18))
        ]
    assert options == [1, 10_000]  # 18 is TCP_USER_TIMEOUT, milliseconds


def test_a_commit_that_breaks_off_is_a_503_and_the_next_request_is_served(own):
    """Seen to fail, the next with 500, where the broken connection was kept."""
    run(
        own,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON courses DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()",
    )
    client = own.test_client()
    assert problem(client.post("/courses", json={"name": "Logic", "level": "x"})) == (
        503,
        "commit-uncertain",
    )
    assert client.get("/courses").json == []


def test_a_connection_that_says_nothing_is_broken_off(own):
    """Seen to fail, by waiting the whole second and more, without `_in_use`."""
    began = time.monotonic()
    breaking = threading.Timer(0.3, connections.abort_stuck_connections, (0.2,))
    breaking.start()
    with (
        own.app_context(),
        pytest.raises(sa.exc.OperationalError),
        connections.use_connection() as connection,
    ):
        connection.execute(sa.text("SELECT pg_sleep(6)"))
    assert time.monotonic() - began < 5
    assert own.test_client().get("/courses").status_code == 200
    connections.abort_stuck_connections(0)  # none is in use
    assert own.test_client().get("/courses").status_code == 200
