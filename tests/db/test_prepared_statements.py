"""PostgreSQL plans a statement once per connection, and the responses stay the same."""

from __future__ import annotations

import psycopg2
import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.db.connections import use_connection

pytestmark = pytest.mark.fast_parts


@pytest.mark.parametrize(("prepare", "count"), [(True, 2), (False, 0)])
def test_a_statement_is_prepared_once_unless_the_setting_is_off(
    new_database, make_app, prepare, count
):
    app = make_app(new_database("postgresql"), prepare=prepare)
    with app.app_context():
        upgrade()
    client = app.test_client()
    courses = [
        client.post("/courses", json={"name": f"C {i}", "level": "100%", "capacity": 1}).json["id"]
        for i in range(3)
    ]
    for name in ("Ada", "Bo"):
        student = client.post("/students", json={"name": name}).json["id"]
        for ids in (courses[:1], courses[1:], courses):
            answer = client.post(f"/students/{student}/enroll", json={"course_ids": ids})
            assert answer.status_code == {"Ada": 201 if ids != courses else 200, "Bo": 409}[name]
    with app.app_context(), use_connection() as connection:
        locks = connection.execute(
            sa.text(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement ILIKE '%from "
                "students%for no key update'"
            )
        ).scalar()
    assert locks == count  # a statement for one course, and one for several


def test_a_new_connection_prepares_its_statements(new_database, make_app):
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    client = app.test_client()
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    course = client.post("/courses", json={"name": "Logic", "level": "x"}).json["id"]
    for status in (201, 200):
        assert (
            client.post(f"/students/{student}/enroll", json={"course_ids": [course]}).status_code
            == status
        )
        with app.app_context(), use_connection() as connection:
            connection.invalidate()


def test_statements_cannot_be_deferred_outside_a_transaction(new_database, make_app):
    app = make_app(new_database("postgresql"))
    with (
        app.app_context(),
        use_connection() as connection,
        pytest.raises(psycopg2.ProgrammingError),
    ):
        connection.connection.dbapi_connection.defer("SELECT 1", [])
