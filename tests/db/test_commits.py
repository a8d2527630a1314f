"""Commits that fail in every way and at every statement of their message, and the next request of
the same thread.
"""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade
from sqlalchemy.exc import DBAPIError, IntegrityError

from course_management.db.base import db
from course_management.db.connections import use_connection
from course_management.db.transaction import transaction
from devtools.postgres import Server
from devtools.stock import selected_fields
from devtools.waiting import wait_until
from tests.web.problems import problem

# Where the last message of an enrollment can fail: its three deferred writes, and COMMIT.
PLACES = {
    "insert the row": "TRIGGER fail BEFORE INSERT ON student_courses",
    "count the seat": "TRIGGER fail BEFORE UPDATE ON courses",
    "insert the event": "TRIGGER fail BEFORE INSERT ON enrollment_events",
    "commit": "CONSTRAINT TRIGGER fail AFTER INSERT ON enrollment_events DEFERRABLE INITIALLY "
    "DEFERRED",
}
BACKEND = "(pg_backend_pid()); PERFORM pg_sleep(5)"
# What fails there, and the answer: a state is raised by the trigger, or PostgreSQL does it itself.
FAILURES = {
    **dict.fromkeys(("40001", "40P01"), (201, None)),  # repeated, and then successful
    **dict.fromkeys(
        ("53100", "53200", "55P03", "57014", "57P01", "58030"), (503, "service-unavailable")
    ),
    **dict.fromkeys(("P0001", "XX000", "22012", "23514", "23505"), (500, "internal-error")),
    f"pg_cancel_backend{BACKEND}": (503, "service-unavailable"),
    f"pg_terminate_backend{BACKEND}": (503, "commit-uncertain"),
}


@pytest.fixture(scope="module", params=[True, False], ids=["prepared", "plain"])
def prepare(request):
    """With and without prepared statements."""
    return request.param


@pytest.fixture(scope="module")
def own(prepare, new_database, make_app):
    """The app on a PostgreSQL database of its own."""
    app = make_app(new_database("postgresql"), prepare=prepare)
    with app.app_context():
        upgrade()
        run("CREATE SEQUENCE tries")
    return app


def run(*statements):
    with transaction(writing=True) as session:
        return [session.execute(sa.text(statement)) for statement in statements]


def fail_once(place, failure):
    """Make the first transaction fail that reaches `place`."""
    how = (
        f"RAISE EXCEPTION USING ERRCODE = '{failure}'"
        if len(failure) == 5
        else f"PERFORM {failure}"
    )
    run(
        "ALTER SEQUENCE tries RESTART",
        "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('tries') = 1 THEN {how}; END IF; RETURN NEW; END $$",
        *(
            f"DROP TRIGGER IF EXISTS fail ON {table}"
            for table in ("student_courses", "courses", "enrollment_events")
        ),
        f"CREATE {PLACES[place]} FOR EACH ROW EXECUTE FUNCTION fail()",
    )


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", PLACES)
def test_a_failed_commit_leaves_nothing_behind_on_its_connection(own, prepare, place, failure):
    """Seen to fail: the next request of the thread was a 500, 25P02, and so was the repetition
    after a deadlock.
    """
    client = own.test_client()
    name = f"{place} {failure}"
    course = client.post("/courses", json={"name": name, "level": "x", "capacity": 2}).json["id"]
    students = [client.post("/students", json={"name": name}).json["id"] for _ in range(2)]
    client.post(f"/students/{students[1]}/enroll", json={"course_ids": [course]})
    with own.app_context():
        fail_once(place, failure)
    answer = client.post(f"/students/{students[0]}/enroll", json={"course_ids": [course]})
    status, code = FAILURES[failure]
    with_commit = prepare and selected_fields().get("batching", True)
    if code == "commit-uncertain" and not with_commit and place != "commit":
        # It was sent before COMMIT, so the request is repeated on a new connection.
        status, code = 201, None
    assert answer.status_code == status, answer.text
    if code:
        assert problem(answer) == (status, code)
    follows = client.get(f"/courses/{course}")
    assert follows.status_code == 200
    assert follows.json["seats_taken"] == (2 if status == 201 else 1)
    again = client.post(f"/students/{students[0]}/enroll", json={"course_ids": [course]})
    assert again.status_code == (200 if status == 201 else 201)
    assert client.get(f"/courses/{course}").json["seats_taken"] == 2


def test_a_deferred_constraint_refuses_a_commit(backend, new_database, make_app):
    """Seen to fail on SQLite too, where a refused COMMIT leaves the transaction open."""
    app = make_app(new_database(backend))
    missing = (
        "INSERT INTO student_courses (student_id, course_id, enrolled_at, state) VALUES (7, 7, "
        "'2026-01-01 08:00', 'enrolled')"
    )
    defer = {
        "sqlite": "PRAGMA defer_foreign_keys=ON",
        "postgresql": "SET CONSTRAINTS ALL DEFERRED",
    }[backend]
    with app.app_context():
        upgrade()
        if backend == "postgresql":
            for key in ("student_id_students", "course_id_courses"):
                run(
                    f"ALTER TABLE student_courses ALTER CONSTRAINT fk_student_courses_{key} "
                    "DEFERRABLE"
                )
        with pytest.raises(IntegrityError):
            run(defer, missing)
        assert run("SELECT count(*) FROM student_courses")[0].scalar() == 0
    assert (
        app.test_client().post("/courses", json={"name": "Logic", "level": "x"}).status_code == 201
    )


def test_a_commit_answered_with_rollback_is_no_success(own):
    """COMMIT of a transaction in which something failed is answered with ROLLBACK, and no error.
    Seen to pass in silence.
    """
    with own.app_context():
        with pytest.raises(DBAPIError), transaction(writing=True) as session:
            with pytest.raises(DBAPIError):
                session.execute(sa.text("SELECT 1 / 0"))
        assert run("SELECT 1")[0].scalar() == 1


@pytest.mark.fast_parts
@pytest.mark.parametrize(
    "before", ["", "INSERT INTO tries_of_commit VALUES (1)"], ids=["first", "second"]
)
def test_a_deferred_write_is_not_lost_with_its_connection(own, before):
    """libpq says UNKNOWN of a connection that is gone. With one write waiting, `commit` returned
    as if it were done.
    """
    with own.app_context(), use_connection() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS tries_of_commit (n integer)")
        dbapi = connection.connection.dbapi_connection
        dbapi.begin_deferred()
        with dbapi.cursor() as cursor:
            cursor.execute(before or "SELECT 1")
        if not before:
            dbapi.defer("INSERT INTO tries_of_commit VALUES (%s)", [2])
        with db.engine.connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({dbapi.info.backend_pid}, 5000)")
        with dbapi.cursor() as cursor, pytest.raises(dbapi.Error):
            # libpq notices, and what waits goes on waiting
            super(type(cursor), cursor).execute("SELECT 1")
        with pytest.raises(dbapi.Error):
            dbapi.commit()
        connection.invalidate()


def test_a_commit_that_no_standby_confirmed_is_uncertain(make_app):
    """Whoever cancels the wait for a standby makes COMMIT succeed with a warning. Seen to be a
    201.
    """
    server = Server()
    try:
        app = make_app(server.url)
        with app.app_context():
            upgrade()
        client = app.test_client()
        course = client.post("/courses", json={"name": "Logic", "level": "x"}).json["id"]
        student = client.post("/students", json={"name": "Ada"}).json["id"]
        told, follows = [], []

        def enroll():
            headers = {"Idempotency-Key": "k"}
            client = app.test_client()
            told.append(
                client.post(
                    f"/students/{student}/enroll", json={"course_ids": [course]}, headers=headers
                )
            )
            follows.append(client.get(f"/courses/{course}").status_code)

        with app.app_context(), db.engine.connect() as admin:
            standby(admin, "'nobody'")
            thread = threading.Thread(target=enroll)
            thread.start()
            waits = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            wait_until(lambda: admin.exec_driver_sql(f"SELECT 1 {waits}").all())
            admin.exec_driver_sql(f"SELECT pg_cancel_backend(pid) {waits}")
            thread.join()
            standby(admin, "''")
        assert problem(told[0]) == (503, "commit-uncertain")
        assert "Idempotency-Key" in told[0].json["detail"]
        assert int(told[0].headers["Retry-After"]) > 0
        enroll()
        assert (told[1].status_code, told[1].headers["Idempotent-Replayed"]) == (201, "true")
        assert follows == [200, 200]
        with app.app_context():
            db.engine.dispose()
    finally:
        server.remove()


def standby(admin, names):
    admin.exec_driver_sql(f"ALTER SYSTEM SET synchronous_standby_names = {names}")
    admin.exec_driver_sql("SELECT pg_reload_conf()")
    wait_until(
        lambda: admin.exec_driver_sql("SHOW synchronous_standby_names").scalar() == names.strip("'")
    )


def test_without_standbys_a_warning_is_ignored(own):
    """The warning of an operator's trigger does not make a commit uncertain."""
    with own.app_context():
        run(
            "CREATE OR REPLACE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE WARNING 'psst'; RAISE NOTICE 'psst'; RETURN NEW; END $$",
            "DROP TRIGGER IF EXISTS warn ON enrollment_events",
            "CREATE TRIGGER warn BEFORE INSERT ON enrollment_events FOR EACH ROW EXECUTE "
            "FUNCTION warn()",
        )
    client = own.test_client()
    course = client.post("/courses", json={"name": "Warned", "level": "x"}).json["id"]
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    assert (
        client.post(f"/students/{student}/enroll", json={"course_ids": [course]}).status_code == 201
    )
