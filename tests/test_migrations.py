"""The migrations: up, down and up again on both databases. No row is lost, and the live schema is
that of the models.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask_migrate import downgrade, upgrade
from sqlalchemy.engine import make_url

from course_management.db.base import Base, db
from course_management.db.transaction import transaction
from course_management.ops.health import missing_from

ROOT = Path(__file__).parent.parent


@pytest.fixture
def fresh(backend, new_database, make_app):
    """The app on an empty database."""
    app = make_app(new_database(backend))
    with app.app_context():
        yield app


def tables():
    return set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_upgrades_and_downgrades_keep_the_students(fresh):
    upgrade(revision="0001")
    students = sa.table(
        "students",
        *(
            sa.column(n)
            for n in ("name", "name_key", "email", "created_at", "updated_at", "version")
        ),
    )
    row = {
        "name": "Ädä",
        "name_key": "ädä",
        "email": "a@b.c",
        "created_at": "2026-01-01",
        "updated_at": "2026-01-01",
        "version": 1,
    }
    with transaction(writing=True) as session:
        session.execute(sa.insert(students), [row, {**row, "name": "Bo"}])

    def read():
        with transaction(writing=False) as session:
            return session.execute(
                sa.text("SELECT id, name, email, version FROM students ORDER BY id")
            ).all()

    before = read()
    assert [r.name for r in before] == ["Ädä", "Bo"]
    upgrade()
    assert read() == before
    downgrade(revision="0001")
    assert read() == before
    assert tables() == {"students"}


def test_each_step_up_down_and_up(fresh):
    steps = [step.revision for step in ScriptDirectory(str(ROOT / "migrations")).walk_revisions()]
    for revision in reversed(steps):
        upgrade(revision=revision)
    downgrade(revision="base")
    assert tables() == set()
    upgrade()
    assert tables() == set(Base.metadata.tables)


def test_the_live_schema_is_that_of_the_models(migrated):
    """`flask db check` does not see constraints: they are compared by name here."""
    with migrated.app_context(), db.engine.connect() as connection:
        assert missing_from(connection) == []
        inspector = sa.inspect(connection)
        for table in Base.metadata.sorted_tables:
            live = {column["name"]: column for column in inspector.get_columns(table.name)}
            assert set(live) == {column.name for column in table.columns}
            for column in table.columns:
                assert live[column.name]["nullable"] == column.nullable, column
                wanted = column.type.dialect_impl(connection.dialect).compile(connection.dialect)
                assert live[column.name]["type"].compile(connection.dialect) == wanted, column
            named = {table.primary_key.name}
            for found in (
                inspector.get_unique_constraints,
                inspector.get_check_constraints,
                inspector.get_foreign_keys,
            ):
                named |= {constraint["name"] for constraint in found(table.name)}
            assert named == {constraint.name for constraint in table.constraints}
            unique = {c["name"] for c in inspector.get_unique_constraints(table.name)}
            indexes = {
                index["name"]: index["column_names"]
                for index in inspector.get_indexes(table.name)
                if index["name"] not in unique
            }
            assert indexes == {
                index.name: [column.name for column in index.columns] for index in table.indexes
            }


def execute(*statements):
    with transaction(writing=True) as session:
        return [session.execute(sa.text(statement)) for statement in statements]


def test_seats_and_waitlists_survive_upgrades_and_downgrades(fresh):
    upgrade(revision="0004")
    moment = "'2026-01-01 08:00:00.000000'"
    rows = "(created_at, updated_at, version, name, name_key"
    execute(
        *(
            f"INSERT INTO students {rows}) VALUES ({moment}, {moment}, 1, 's{i}', 's{i}')"
            for i in range(3)
        ),
        *(
            f"INSERT INTO courses {rows}, level) VALUES ({moment}, {moment}, 1, 'c{i}', 'c{i}', "
            "'x')"
            for i in range(5)
        ),
        "INSERT INTO student_courses (student_id, course_id, enrolled_at) VALUES (1, 1, "
        f"{moment}), (2, 1, {moment})",
        "DELETE FROM courses WHERE id = 5",
    )
    upgrade()
    client = fresh.test_client()
    history = client.get("/courses/1/history").json
    assert [(e["student_id"], e["from"], e["to"], e["why"]) for e in history] == [
        (2, None, "enrolled", "migrated"),
        (1, None, "enrolled", "migrated"),
    ]
    assert client.post("/courses", json={"name": "next", "level": "x"}).json["id"] == 6
    client.patch("/courses/1", json={"capacity": 2, "waitlist_capacity": None})
    assert (
        client.post("/students/3/enroll", json={"course_ids": [1], "waitlist": True}).status_code
        == 201
    )
    client.delete("/courses/6")
    downgrade(revision="0005")
    upgrade()
    assert [e["to"] for e in client.get("/courses/1/history").json] == [
        "waitlisted",
        "enrolled",
        "enrolled",
    ]
    downgrade(revision="0004")
    upgrade()
    assert [s["id"] for s in client.get("/courses/1/students").json] == [1, 2]
    assert client.post("/courses", json={"name": "next", "level": "x"}).json["id"] == 7
    assert fresh.test_cli_runner().invoke(args=["audit"]).exit_code == 0


def test_an_older_release_can_still_write(fresh):
    """The release of 0006 inserts only its own columns, and uses its ON CONFLICT."""
    upgrade()
    moment = "'2026-01-01 08:00:00.000000'"
    key = (
        "INSERT INTO idempotency_keys (key, fingerprint, created_at) VALUES ('k', 'f', "
        f"{moment}) ON CONFLICT (key) DO NOTHING"
    )
    event = (
        "INSERT INTO enrollment_events (at, student_id, course_id, from_state, to_state, why, "
        "request_id)"
    )
    execute(key, key, f"{event} VALUES ({moment}, 1, 1, NULL, 'enrolled', 'requested', 'r')")
    (event,) = fresh.test_client().get("/courses/1/history").json
    assert (event["request_id"], event["actor"]) == ("r", None)


def flask(url, *args):
    program = Path(sys.executable).parent / "flask"
    return subprocess.Popen(
        [program, "--app", "wsgi", *args],
        cwd=ROOT,
        env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_several_instances_upgrading_at_once(backend, new_database, make_app):
    url = new_database(backend)
    upgrades = [flask(url, "db", "upgrade") for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in upgrades]
    assert [process.returncode for process in upgrades] == [0] * 4, outputs
    with make_app(url).app_context(), db.engine.connect() as connection:
        assert missing_from(connection) == []


def test_an_upgrade_waits_for_a_locked_table_and_then_reports_it(new_database, make_app):
    url = new_database("postgresql")
    process = flask(url, "db", "upgrade", "0001")
    process.communicate(timeout=60)
    holder = psycopg2.connect(url.replace("+psycopg2", ""))
    holder.cursor().execute("LOCK TABLE students IN ACCESS SHARE MODE")
    process = flask(url, "db", "downgrade", "base")
    said = next((line for line in process.stdout if "trying again" in line), None)
    holder.close()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert said is not None


def test_a_database_that_cannot_hold_every_name_is_refused(new_database):
    """PostgreSQL creates such databases on a host without a locale. Without the check, the first
    name that is not ASCII is a 500.
    """
    url = new_database("postgresql")
    server = psycopg2.connect(url.replace("+psycopg2", ""))
    server.autocommit = True
    name = f"{url.rsplit('/', 1)[1].split('?')[0]}_ascii"
    server.cursor().execute(
        f"CREATE DATABASE {name} ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0"
    )
    try:
        process = flask(
            make_url(url).set(database=name).render_as_string(hide_password=False), "db", "upgrade"
        )
        output, _ = process.communicate(timeout=60)
    finally:
        server.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.close()
    assert process.returncode == 1
    assert output.startswith(
        "The database has the encoding SQL_ASCII, which cannot store every name: create it again"
    )
    assert len(output.splitlines()) == 1


def test_an_unusable_database_is_reported_in_one_line():
    for url, says in (
        (
            "postgresql://nobody:hush@127.0.0.1:1/none",
            "The database postgresql+psycopg2://nobody:***@127.0.0.1:1/none cannot be used",
        ),
        ("sqlite:////proc/none/x.db", "cannot be used"),
    ):
        process = flask(url, "db", "upgrade")
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert says in output
        assert "Traceback" not in output
        assert "hush" not in output
        assert len(output.strip().splitlines()) == 1


def test_blocked_places_survive_an_upgrade_and_end_beside_a_free_seat_with_a_downgrade(fresh):
    """Rows of the older release are not blocked. Without the column, a place cannot stay beside a
    free seat: its history says that it ended. Other blocked places become ordinary ones.
    """
    upgrade(revision="0016")
    moment = "'2026-01-01 08:00:00.000000'"
    rows = "(created_at, updated_at, version, name, name_key"
    execute(
        *(
            f"INSERT INTO students {rows}) VALUES ({moment}, {moment}, 1, 's{i}', 's{i}')"
            for i in range(4)
        ),
        *(
            f"INSERT INTO courses {rows}, level, capacity, seats_taken, waitlist_capacity, "
            f"waitlisted, next_ticket) VALUES ({moment}, {moment}, 1, 'c{i}', 'c{i}', 'x', 1, 1, "
            "NULL, 1, 2)"
            for i in range(2)
        ),
        "INSERT INTO student_courses (student_id, course_id, state, enrolled_at, ticket) VALUES "
        f"(1, 1, 'enrolled', {moment}, NULL), (2, 1, 'waitlisted', NULL, 1), "
        f"(3, 2, 'enrolled', {moment}, NULL), (4, 2, 'waitlisted', NULL, 1)",
        "INSERT INTO enrollment_events (at, student_id, course_id, to_state, why) "
        f"SELECT {moment}, student_id, course_id, state, 'migrated' FROM student_courses",
    )
    upgrade()
    client = fresh.test_client()
    assert [s.get("blocked") for s in client.get("/courses/1/students").json] == [None, None]
    execute(
        "UPDATE courses SET blocked = 1",
        "UPDATE student_courses SET blocked = (state = 'waitlisted')",
    )
    assert client.delete("/students/3/courses/2").status_code == 204
    assert client.get("/students/4/courses/2").json["blocked"] is True
    downgrade(revision="0016")
    upgrade()
    assert [s["id"] for s in client.get("/courses/1/students").json] == [1, 2]
    assert client.get("/courses/2/students").json == []
    assert client.get("/students/4/history").json[0]["to"] is None
    assert client.delete("/students/1/courses/1").status_code == 204
    assert client.get("/students/2/courses/1").json["state"] == "enrolled"
    assert fresh.test_cli_runner().invoke(args=["audit"]).exit_code == 0
