"""The commands for operators."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa
from flask_migrate import downgrade, upgrade

from course_management.config import ROOT
from course_management.db.base import db


def run(app, *args):
    return app.test_cli_runner().invoke(args=args)


def test_load_demo_on_an_empty_database(backend, new_database, make_app):
    app = make_app(new_database(backend))
    with app.app_context():
        upgrade()
    result = run(app, "load-demo", "--students", "230", "--courses", "40", "--each", "7")
    assert result.exit_code == 0, result.output
    assert "230 students, 40 courses, 1610 enrollments." in result.stdout
    client = app.test_client()
    assert [s["id"] for s in client.get("/students").json] == list(range(1, 201))
    assert [c["id"] for c in client.get("/courses").json] == list(range(1, 41))
    for student in (1, 2, 115, 230):
        courses = [c["id"] for c in client.get(f"/students/{student}/courses").json]
        assert len(courses) == 7
        assert max(courses) <= 20
    assert (
        client.get("/courses/1").json["name"]
        == client.get("/courses/" + client.get("/courses/1").json["name"].upper()).json["name"]
    )
    # The next row gets the next id, and a second load continues after it.
    assert client.post("/students", json={"name": "Ada"}).json["id"] == 231
    assert client.post("/courses", json={"name": "Logic", "level": "x"}).json["id"] == 41
    assert run(app, "load-demo", "--students", "5", "--courses", "4", "--each", "2").exit_code == 0
    assert [c["id"] for c in client.get("/students/236/courses").json] in ([42, 43], [42], [43])
    with app.app_context(), db.engine.connect() as connection:
        assert (
            connection.execute(sa.text("SELECT count(*) FROM student_courses")).scalar()
            == 1610 + 10
        )
    assert run(app, "audit").exit_code == 0


def test_load_demo_needs_enough_courses(app):
    result = run(app, "load-demo", "--students", "5", "--courses", "4", "--each", "3")
    assert result.exit_code == 2
    assert "at most COURSES / 2" in result.output


def test_check_on_an_empty_and_on_a_filled_database(app, client, make):
    for _ in range(2):
        result = run(app, "check")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert [line.split()[0] for line in lines] == ["ok"] * 8
        assert [line[5:].split(":")[0] for line in lines] == [
            "database",
            "schema",
            "GET /courses",
            "GET /students",
            "GET /courses/{course}/students",
            "GET /students/{student_id}/courses",
            "GET /courses/{course}/history",
            "GET /students/{student_id}/history",
        ]
        student, course = make.student()["id"], make.course()["id"]
        client.post(f"/students/{student}/enroll", json={"course_ids": [course]})


def test_check_fails_on_an_older_schema(backend, new_database, make_app):
    app = make_app(new_database(backend))
    with app.app_context():
        upgrade()
        downgrade(revision="0002")
    result = run(app, "check")
    assert result.exit_code == 1
    assert (
        "FAIL schema: at revision 0002, behind this release: run `flask --app wsgi db upgrade`"
        in result.stdout
    )
    assert "FAIL GET /students/{student_id}/courses: 503" in result.stdout


def test_check_says_why_the_database_is_not_reachable():
    program = [Path(sys.executable).parent / "flask", "--app", ROOT / "wsgi", "check"]
    env = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAIL database: not reachable" in done.stdout
    said = json.loads(done.stderr)
    assert said["event"] == "not ready"
    assert "Connection refused" in said["reason"]


def test_a_command_without_a_database_prints_one_line(new_database, make_app):
    app = make_app(new_database("postgresql"))
    for command in (["forget-keys"], ["load-demo"], ["audit"]):
        result = run(app, *command)
        assert result.exit_code == 1
        assert "Error: The database refused: 42P01" in result.output
        assert "Traceback" not in result.output
