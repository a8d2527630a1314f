"""Health checks, also while the database is not reachable."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask_migrate import downgrade, upgrade

from course_management.db.base import db
from course_management.db.transaction import transaction
from course_management.ops import health
from devtools.gunicorn import Gunicorn
from devtools.postgres import Server
from tests.web.problems import problem


def run(app, *statements):
    with app.app_context(), transaction(writing=True) as session:
        for statement in statements:
            session.execute(sa.text(statement))


@pytest.fixture
def own(backend, new_database, make_app):
    """The app on a migrated database of its own."""
    app = make_app(new_database(backend))
    with app.app_context():
        upgrade()
    return app


def test_a_migrated_database_is_ready(client):
    for path in ("/health", "/health/ready", "/api/v1/health"):
        answer = client.get(path)
        assert (answer.status_code, answer.json["status"]) == (200, "ok")
        assert {name: check["ok"] for name, check in answer.json["checks"].items()} == {
            "database": True,
            "schema": True,
        }
    assert client.get("/health/live").json["status"] == "ok"


def test_an_empty_database_is_not_ready_and_answers_503(backend, new_database, make_app):
    app = make_app(new_database(backend))
    client = app.test_client()
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["checks"]["database"]["ok"] is True
    assert "db upgrade" in answer.json["checks"]["schema"]["detail"]
    for refused in (
        client.get("/courses"),
        client.post("/courses", json={"name": "a", "level": "b"}),
        client.get("/students/1"),
    ):
        assert problem(refused) == (503, "service-unavailable")
    assert client.get("/health/live").status_code == 200
    with app.app_context():
        upgrade()
    assert client.get("/health").status_code == 200
    assert client.get("/courses").status_code == 200


def test_an_older_schema_is_not_ready(own):
    with own.app_context():
        downgrade(revision="0003")
    answer = own.test_client().get("/health")
    assert answer.status_code == 503
    assert "at revision 0003, behind this release" in answer.json["checks"]["schema"]["detail"]


def test_a_newer_schema_is_ready_if_it_has_everything_needed(own):
    client = own.test_client()
    run(
        own,
        "UPDATE alembic_version SET version_num = '9999'",
        "ALTER TABLE courses ADD COLUMN color TEXT",
    )
    assert client.get("/health").status_code == 200
    run(
        own,
        "UPDATE alembic_version SET version_num = '9999b'",
        "ALTER TABLE courses RENAME COLUMN level TO grade",
    )
    answer = client.get("/health")
    assert answer.status_code == 503
    assert "column courses.level" in answer.json["checks"]["schema"]["detail"]
    run(own, "UPDATE alembic_version SET version_num = '9999c'", "DROP TABLE student_courses")
    assert "table student_courses" in client.get("/health").json["checks"]["schema"]["detail"]


def test_a_newer_schema_is_read_once(own, statements):
    """Fails if each request reads the whole schema, which takes 93 ms on PostgreSQL."""
    client = own.test_client()
    run(own, "UPDATE alembic_version SET version_num = '9999'")
    for revision, status in (("9999", 200), ("9999b", 503)):
        if status == 503:
            run(
                own,
                f"UPDATE alembic_version SET version_num = '{revision}'",
                "ALTER TABLE courses RENAME COLUMN level TO grade",
            )
        assert client.get("/health").status_code == status
        with statements(own) as sent:
            assert {client.get("/health").status_code for _ in range(5)} == {status}
        assert len(sent) == 10  # one checks the database, one reads its revision


def test_a_schema_that_lacks_something_is_read_again_after_a_while(own, monkeypatch):
    """An operator may restore a missing column by hand."""
    client = own.test_client()
    run(
        own,
        "UPDATE alembic_version SET version_num = '9999'",
        "ALTER TABLE courses RENAME COLUMN level TO grade",
    )
    assert client.get("/health").status_code == 503
    run(own, "ALTER TABLE courses RENAME COLUMN grade TO level")
    assert client.get("/health").status_code == 503
    monkeypatch.setattr(health, "SCHEMA_RECHECK_SECONDS", 0)
    assert client.get("/health").status_code == 200


def test_a_newer_schema_without_a_constraint_is_not_ready(new_database, make_app):
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    run(
        app,
        "UPDATE alembic_version SET version_num = '9999'",
        "ALTER TABLE courses DROP CONSTRAINT uq_courses_name_key",
    )
    assert (
        "constraint uq_courses_name_key"
        in app.test_client().get("/health").json["checks"]["schema"]["detail"]
    )


def test_postgresql_goes_away_and_comes_back(tmp_path, make_app):
    server = Server()
    try:
        with make_app(server.url).app_context():
            upgrade()
        with Gunicorn({"DATABASE_URL": server.url}, log=tmp_path / "log") as service:

            def ask(method="GET", path="/courses", **more):
                return service.request(method, path, **more)

            assert ask("POST", "/courses", body={"name": "Logic", "level": "x"}).status == 201
            for mode in ("fast", "immediate"):
                server.stop(mode)
                for answer in (
                    ask(),
                    ask("POST", "/courses", body={"name": "Ethics", "level": "x"}),
                ):
                    assert answer.status == 503
                    assert answer.json["type"] == "/problems/service-unavailable"
                    assert int(answer.headers["Retry-After"]) > 0
                    assert b"psycopg2" not in answer.body
                health = ask(path="/health")
                assert (health.status, health.json["checks"]["database"]["ok"]) == (503, False)
                assert ask(path="/health/live").status == 200
                server.start()
                # Every thread of every worker has a dead connection; no client notices.
                for _ in range(40):
                    assert ask().status == 200
                assert (
                    ask("POST", "/courses", body={"name": f"After {mode}", "level": "x"}).status
                    == 201
                )
    finally:
        server.remove()


def test_the_pool_recovers_from_a_restart_without_an_error(make_app):
    """Fails without the retry in `transaction.read`: the first response is then a 503."""
    server = Server()
    try:
        app = make_app(server.url)
        with app.app_context():
            upgrade()
        client = app.test_client()
        assert client.post("/courses", json={"name": "Logic", "level": "x"}).status_code == 201
        server.stop()
        server.start()
        assert client.post("/courses", json={"name": "Ethics", "level": "x"}).status_code == 201
        server.stop()
        server.start()
        assert client.get("/courses").status_code == 200
        with app.app_context():
            db.engine.dispose()
    finally:
        server.remove()


def test_a_file_that_cannot_be_written_is_reported(make_app, tmp_path):
    path = tmp_path / "school.db"
    app = make_app(f"sqlite:///{path}")
    with app.app_context():
        upgrade()
        db.engine.dispose()
    client = app.test_client()
    path.rename(tmp_path / "away.db")
    path.mkdir()
    assert problem(client.get("/courses")) == (503, "service-unavailable")
    path.rmdir()
    (tmp_path / "away.db").rename(path)
    assert client.get("/courses").status_code == 200
