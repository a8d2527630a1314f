"""The meaning of database failures, found from the driver's error alone."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from course_management.core.errors import Unavailable
from course_management.courses.models import CourseNameTaken
from course_management.db import integrity


class Refused(Exception):
    """An error as psycopg2 raises it: with a SQLSTATE."""

    def __init__(self, pgcode=None, text="refused\n  by the driver"):
        super().__init__(text)
        self.pgcode = pgcode


def failure(orig, kind=sa_exc.OperationalError, **given):
    return kind("SELECT 1", {}, orig, **given)


def sqlite_failure(*statements):
    """The error of the last statement, as SQLAlchemy raises it."""
    with sa.create_engine("sqlite://").connect() as connection:
        for statement in statements[:-1]:
            connection.exec_driver_sql(statement)
        with pytest.raises(sa_exc.DBAPIError) as caught:
            connection.exec_driver_sql(statements[-1])
    return caught.value


@pytest.mark.parametrize(
    "state",
    ["08006", "28P01", "3D000", "40001", "53300", "55P03", "57014", "58030"]
    + ["42P01", "42703", "3F000", "25006", "42501"],
)
def test_temporary_states_mean_unavailable(state):
    assert isinstance(integrity.explain(failure(Refused(state))), Unavailable)


@pytest.mark.parametrize("state", ["42601", "22P02", "42883", "XX000", "0A000"])
def test_states_of_a_bug_are_not_explained(state):
    assert integrity.explain(failure(Refused(state))) is None


def test_an_error_without_a_state_means_a_lost_connection():
    assert isinstance(integrity.explain(failure(Refused())), Unavailable)
    assert isinstance(integrity.explain(failure(Refused(), sa_exc.InterfaceError)), Unavailable)
    assert integrity.explain(failure(Refused(), sa_exc.DataError)) is None
    broken = failure(Refused("42601"), connection_invalidated=True)
    assert isinstance(integrity.explain(broken), Unavailable)


def test_of_sqlalchemys_own_errors_only_the_pool_timeout_is_explained():
    assert isinstance(integrity.explain(sa_exc.TimeoutError()), Unavailable)
    assert integrity.explain(sa_exc.InvalidRequestError("a mistake in the code")) is None
    assert integrity.explain(ValueError()) is None


def test_the_columns_in_sqlites_message_find_the_constraint():
    table = "CREATE TABLE courses (name_key TEXT UNIQUE)"
    insert = "INSERT INTO courses VALUES ('a')"
    assert isinstance(integrity.explain(sqlite_failure(table, insert, insert)), CourseNameTaken)
    other = (table.replace("courses", "strangers"), *[insert.replace("courses", "strangers")] * 2)
    assert integrity.explain(sqlite_failure(*other)) is None


def test_a_missing_table_and_a_read_only_file_of_sqlite_mean_unavailable():
    missing = sqlite_failure("SELECT * FROM nothing")
    assert isinstance(integrity.explain(missing), Unavailable)
    assert not integrity.is_read_only(missing)
    read_only = sqlite_failure("PRAGMA query_only = on", "CREATE TABLE t (x)")
    assert integrity.is_read_only(read_only)
    assert isinstance(integrity.explain(read_only), Unavailable)
    mistake = failure(sqlite3.ProgrammingError("Incorrect number of bindings supplied."))
    assert integrity.explain(mistake) is None


@pytest.mark.parametrize(("state", "is_so"), [("25006", True), ("42501", True), ("40001", False)])
def test_a_standby_is_read_only(state, is_so):
    assert integrity.is_read_only(failure(Refused(state))) is is_so


def test_the_reason_in_the_log_has_the_state_and_the_message_in_one_line():
    assert integrity.reason(failure(Refused("40001"))) == "40001 refused by the driver"
    assert integrity.reason(failure(Refused())) == "refused by the driver"
    assert integrity.reason(ValueError("it broke")) == "it broke"
    assert integrity.reason(sqlite_failure("SELECT x")) == "SQLITE_ERROR no such column: x"
