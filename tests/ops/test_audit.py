"""The audit finds every kind of violation after the rows were changed directly in the database."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from course_management.db.base import db, now
from course_management.db.transaction import transaction
from course_management.ops.audit import MAX_RUNS, AuditRun


def audit(app):
    return app.test_cli_runner().invoke(args=["audit"])


@pytest.fixture
def school(client, make):
    """A course with two seats and two waitlisted students, and a course without capacity. The first
    of the four students takes both.
    """
    students = [make.student()["id"] for _ in range(4)]
    course, other = make.course(capacity=2, waitlist_capacity=5)["id"], make.course()["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students, "waitlist": True})
    client.post(f"/courses/{other}/students", json={"student_ids": students[:1]})
    client.delete(f"/students/{students[1]}/courses/{course}")
    client.patch(f"/students/{students[0]}", json={"groups": ["a_b", "c:d"]})
    client.post("/groups/c:d/add", json={"student_ids": students[:2]})
    done = {"catalog_code": "É 1", "kind": "course", "grade": "A", "credits": 1.5}
    client.post(f"/students/{students[0]}/completions", json=done)
    hold = {"code": '"x"', "detail": "\\", "blocks": ["add"], "until": "2126-01-01T00:00:00Z"}
    client.post(f"/students/{students[0]}/holds", json=hold)
    return {
        "c": course,
        "o": other,
        "a": students[0],
        "b": students[1],
        "d": students[2],
        "e": students[3],
    }


def test_the_audit_of_correct_data_finds_nothing(app, school):
    result = audit(app)
    assert result.exit_code == 0
    assert [line[:4] for line in result.stdout.splitlines()] == ["ok  "] * 14


FALSE = [
    ("UPDATE courses SET blocked = 1 WHERE id = :c", "blocked = blocked rows"),
    (
        "UPDATE student_courses SET blocked = NOT blocked WHERE student_id = :e",
        "blocked = blocked rows",
    ),
    (
        "UPDATE courses SET seats_taken = 1, waitlisted = 0 WHERE id = :c",
        "seats taken = enrolled rows",
    ),
    (
        "UPDATE student_courses SET state = 'enrolled', enrolled_at = '2026-01-01' WHERE "
        "student_id = :e",
        "seats taken <= capacity",
    ),
    (
        "DELETE FROM student_courses WHERE student_id = :a AND course_id = :c",
        "no free seat while students wait",
    ),
    ("UPDATE courses SET waitlisted = 3 WHERE id = :c", "waitlisted = waitlisted rows"),
    ("UPDATE student_courses SET ticket = 1 WHERE student_id = :e", "tickets in order"),
    ("UPDATE courses SET next_ticket = 1 WHERE id = :c", "tickets in order"),
    (
        "UPDATE enrollment_events SET from_state = 'waitlisted' WHERE student_id = :a",
        "each event begins with the state in which the one before ended",
    ),
    (
        "DELETE FROM student_courses WHERE course_id = :o",
        "the last event of each student and course = the enrollment",
    ),
    (
        "DELETE FROM enrollment_events WHERE course_id = :o",
        "the last event of each student and course = the enrollment",
    ),
    *(
        (statement, "the words of each student = the words of their name")
        for statement in (
            "DELETE FROM student_words WHERE student_id = :a",
            "INSERT INTO student_words (student_id, word, name_key) VALUES (:b, 'x', 'x')",
            "UPDATE student_words SET name_key = 'y' WHERE student_id = :a",
            "UPDATE student_words SET word = 'y' WHERE student_id = :a AND word = 'student'",
        )
    ),
    *(
        (statement, "the copy of the records of each student = the rows")
        for statement in (
            "DELETE FROM student_records WHERE student_id = :a",
            "UPDATE student_records SET completions = NULL WHERE student_id = :a",
            "UPDATE student_records SET holds = '[]' WHERE student_id = :a",
            "INSERT INTO student_records (student_id, overrides) VALUES (:b, '[[1]]')",
        )
    ),
    *(
        (statement, "the groups of each student = the rows of their groups")
        for statement in (
            "DELETE FROM student_groups WHERE student_id = :b",
            "DELETE FROM student_groups WHERE student_id = :a AND group_name = 'c:d'",
            "INSERT INTO student_groups (student_id, group_name) VALUES (:b, 'd')",
            "INSERT INTO student_groups (student_id, group_name) VALUES (:e, 'new')",
            "UPDATE student_groups SET group_name = 'axb' WHERE group_name = 'a_b'",
            "UPDATE student_groups SET group_name = 'c' WHERE student_id = :b",
            "UPDATE students SET groups = '[]' WHERE id = :a",
            'UPDATE students SET groups = \'["a_b", "a_b"]\' WHERE id = :a',
            "UPDATE students SET groups = '[\"new\"]' WHERE id = :e",
        )
    ),
]


@pytest.mark.parametrize(("statement", "finding"), FALSE)
def test_every_violation_is_found(app, school, statement, finding):
    with app.app_context(), transaction(writing=True) as session:
        session.execute(sa.text(statement), school)
    result = audit(app)
    assert result.exit_code == 1
    assert any(line.startswith(f"FAIL {finding}") for line in result.stdout.splitlines()), (
        result.stdout
    )
    assert "       " in result.stdout


def test_an_enrollment_without_its_student_is_found(app, school, backend):
    with app.app_context(), db.engine.connect() as connection:
        off, on = {
            "sqlite": ("PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys=ON"),
            "postgresql": (
                "SET session_replication_role = replica",
                "SET session_replication_role = origin",
            ),
        }[backend]
        connection.exec_driver_sql(off)
        connection.execute(sa.text("DELETE FROM students WHERE id = :a"), school)
        connection.exec_driver_sql(on)
    result = audit(app)
    assert result.exit_code == 1
    assert "FAIL no enrollment without its student and its course: 2" in result.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE courses SET seats_taken = 3 WHERE id = :c",
        "UPDATE courses SET seats_taken = 1 WHERE id = :c",
        "UPDATE courses SET waitlisted = 6 WHERE id = :c",
        "UPDATE courses SET capacity = 1 WHERE id = :c",
        "UPDATE courses SET capacity = NULL WHERE id = :c",
        "UPDATE student_courses SET ticket = NULL WHERE student_id = :e",
        "UPDATE student_courses SET ticket = 2 WHERE student_id IN (:d, :e)",
        "UPDATE student_courses SET state = 'gone' WHERE student_id = :e",
        "UPDATE student_courses SET blocked = NOT blocked WHERE student_id = :a",
        "UPDATE courses SET blocked = 2 WHERE id = :c",
        "UPDATE courses SET blocked = -1 WHERE id = :c",
        "DELETE FROM students WHERE id = :a",
        "DELETE FROM courses WHERE id = :c",
    ],
)
def test_constraints_refuse_invalid_rows(app, school, statement):
    def falsify():
        with app.app_context(), transaction(writing=True) as session:
            if "ticket = 2" in statement:
                waiting = (
                    "UPDATE student_courses SET state = 'waitlisted', enrolled_at = NULL WHERE "
                    "student_id = :d"
                )
                session.execute(sa.text(waiting), school)
            session.execute(sa.text(statement), school)

    with pytest.raises(sa.exc.IntegrityError):
        falsify()


def verdicts(app):
    with app.app_context(), db.engine.connect() as connection:
        return connection.execute(
            sa.select(AuditRun.violations, AuditRun.duration_ms, AuditRun.at).order_by(AuditRun.id)
        ).all()


def test_the_result_is_stored(app, school):
    audit(app)
    with app.app_context(), transaction(writing=True) as session:
        session.execute(sa.text("UPDATE courses SET waitlisted = 3 WHERE id = :c"), school)
    assert audit(app).exit_code == 1
    (well, ill) = verdicts(app)
    assert (well.violations, ill.violations) == (0, 1)
    assert 0 <= ill.duration_ms < 10_000
    assert timedelta() <= now() - ill.at < timedelta(minutes=1)


def test_only_the_last_results_are_stored(app):
    with app.app_context(), transaction(writing=True) as session:
        session.add_all(AuditRun(violations=i, duration_ms=1) for i in range(MAX_RUNS + 5))
    audit(app)
    assert [run.violations for run in verdicts(app)] == [*range(6, MAX_RUNS + 5), 0]


def test_a_read_only_database_can_be_audited(app, school, backend, make_app):
    """On a standby or a read-only file the audit succeeds and does not store its result."""
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    if backend == "sqlite":
        reading = f"sqlite:///file:{url.database}?mode=ro&uri=true"
    else:
        reading = url.update_query_dict(
            {"options": "-c default_transaction_read_only=on"}
        ).render_as_string(hide_password=False)
    result = audit(make_app(reading))
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 14)
    assert (
        result.stderr
        == "This database accepts no writes: the result is not recorded for /metrics.\n"
    )
    assert verdicts(app) == []
