"""Connections of tests to their databases, beside those of the service, and checks of the data."""

from __future__ import annotations

import psycopg2
import sqlalchemy as sa
from flask import Flask

from course_management.config import database_url
from course_management.db.transaction import transaction


def libpq_url(database: Flask | str) -> str:
    """The address of a PostgreSQL database for libpq, from an app or in SQLAlchemy's form."""
    given = (
        database_url(database)
        if isinstance(database, str)
        else database.config["SQLALCHEMY_DATABASE_URI"]
    )
    return str(given.set(drivername="postgresql").render_as_string(hide_password=False))


def connect(database: Flask | str) -> psycopg2.extensions.connection:
    """A new connection to the same PostgreSQL database."""
    return psycopg2.connect(libpq_url(database))


def run(app: Flask, *statements: str) -> None:
    """Execute the statements in one transaction."""
    with app.app_context(), transaction(writing=True) as session:
        for statement in statements:
            session.execute(sa.text(statement))


def waiting_for_locks(database: Flask | str) -> int:
    """The number of connections to this PostgreSQL database that wait for a lock."""
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
    """Assert that the audit finds no violation."""
    result = app.test_cli_runner().invoke(args=["audit"])
    assert result.exit_code == 0, result.output
