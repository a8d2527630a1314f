"""The connections that requests use, with BATCHING on and off."""

from __future__ import annotations

import threading

import psycopg2
import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.db import batching
from course_management.db.base import db
from course_management.db.connections import SNAPSHOT, begin, use_connection
from course_management.db.transaction import read, transaction
from course_management.students.models import Student


@pytest.fixture(params=[True, False], ids=["batching", "stock"])
def batches(request):
    """With and without our connections."""
    return request.param


@pytest.fixture
def own(backend, batches, new_database, make_app):
    """The app on a database of its own."""
    app = make_app(new_database(backend), batching=batches, prepare=batches)
    with app.app_context():
        upgrade()
        yield app


def names():
    statement = sa.text("SELECT name FROM students ORDER BY id")
    return read(lambda connection: connection.scalars(statement).all())


def add(session, name, **fields):
    session.add(Student(name=name, **fields))
    session.flush()


def add_twice(session, name):
    for _ in range(2):
        add(session, name, external_id="S-1")


def test_returning_commits_and_raising_rolls_back(own):
    with transaction(writing=True) as session:
        add(session, "Ada")
    with pytest.raises(sa.exc.DBAPIError), transaction(writing=True) as session:
        add_twice(session, "Bo")
    assert names() == ["Ada"]


def test_a_snapshot_is_consistent_and_read_only(own):
    with use_connection() as connection, begin(connection, SNAPSHOT):
        count = sa.text("SELECT count(*) FROM students")
        assert connection.scalar(count) == 0
        with transaction(writing=True) as session:
            add(session, "Ada")
        assert connection.scalar(count) == 0
    if db.engine.dialect.name == "postgresql":
        with (
            pytest.raises(sa.exc.DBAPIError, match="read-only"),
            use_connection() as connection,
            begin(connection, SNAPSHOT),
        ):
            connection.execute(sa.text("DELETE FROM students"))
    assert names() == ["Ada"]
    with transaction(writing=True) as session:  # the connection writes again
        add(session, "Bo")
    assert names() == ["Ada", "Bo"]


def test_a_connection_returns_to_the_pool_unless_the_thread_keeps_it(own, batches):
    names()
    assert db.engine.pool.checkedout() == (1 if batches else 0)


def test_without_batching_psycopg2_has_its_own_connections(new_database, make_app, batches):
    app = make_app(new_database("postgresql"), batching=batches)
    with app.app_context(), use_connection() as connection:
        dbapi = connection.connection.dbapi_connection
        assert type(dbapi) is (batching.Connection if batches else psycopg2.extensions.connection)


def test_a_thread_that_ends_gives_its_connection_back(own):
    """Fails if anything keeps the connection alive: the pool is then empty after four threads."""

    def enroll():
        with own.app_context(), transaction(writing=True) as session:
            session.connection().execute(sa.text("SELECT 1"))

    for _ in range(6):
        thread = threading.Thread(target=enroll)
        thread.start()
        thread.join()
    with own.app_context():
        assert db.engine.pool.checkedout() == 0
