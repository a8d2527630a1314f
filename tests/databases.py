"""The databases of tests: connections beside the service's own, and what they tell of it."""

from __future__ import annotations

import psycopg2
import sqlalchemy as sa
from flask import Flask

from course_management.config import database_url
from course_management.db.transaction import transaction


def libpq_url(database: Flask | str) -> str:
    """The address of an app's PostgreSQL, or of one named as SQLAlchemy does, for libpq."""
    given = (
        database_url(database)
        if isinstance(database, str)
        else database.config["SQLALCHEMY_DATABASE_URI"]
    )
    return str(given.set(drivername="postgresql").render_as_string(hide_password=False))


def connect(database: Flask | str) -> psycopg2.extensions.connection:
    """A connection of one's own to the same PostgreSQL."""
    return psycopg2.connect(libpq_url(database))


def run(app: Flask, *statements: str) -> None:
    """Execute the statements in one transaction."""
    with app.app_context(), transaction(writing=True) as session:
        for statement in statements:
            session.execute(sa.text(statement))


def waiting_for_locks(database: Flask | str) -> int:
    """How many connections to this PostgreSQL database wait for a lock."""
    connection = connect(database)
    try:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])
    finally:
        connection.close()


def audit(app: Flask) -> None:
    """Assert that the auditor finds nothing wrong."""
    result = app.test_cli_runner().invoke(args=["audit"])
    assert result.exit_code == 0, result.output
