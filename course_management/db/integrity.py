"""Turns errors of the database into errors of this service: the error that the model attached to
the violated constraint, or Unavailable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from sqlalchemy.engine import Connection

from course_management.core.errors import Error, Taken, Unavailable
from course_management.db.base import Base

# Classes of SQLSTATE (PostgreSQL, appendix A) of failures that somebody can end while the service
# runs: connection, authorization, a missing database, transaction rollback, resources, lock not
# available, operator intervention, system error (I/O).
_UNAVAILABLE_CLASSES = frozenset({"08", "28", "3D", "40", "53", "55", "57", "58"})
# Single states of that kind: undefined table, column or schema (the migrations did not run), a
# read-only transaction (a standby), no privilege on a table.
_UNAVAILABLE_STATES = frozenset({"42P01", "42703", "3F000", "25006", "42501"})
# SQLite's result codes of such failures. A missing table or column is an SQLITE_ERROR.
_UNAVAILABLE_SQLITE = (
    "BUSY",
    "LOCKED",
    "CANTOPEN",
    "READONLY",
    "FULL",
    "IOERR",
    "PROTOCOL",
    "NOTADB",
    "CORRUPT",
    "PERM",
    "ERROR",
)


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's SQLSTATE or SQLite's name of the error; None if the driver gave none."""
    orig = getattr(error, "orig", None)
    return getattr(orig, "pgcode", None) or getattr(orig, "sqlite_errorname", None)


def reason(error: BaseException) -> str:
    """Return one line for the log: the SQLSTATE and the driver's text, which no client sees."""
    text = str(getattr(error, "orig", None) or error or type(error).__name__)
    return " ".join([sqlstate(error) or "", *text.split()]).strip()


def explain(error: BaseException) -> Error | None:
    """Return this service's error for an error of the database; None if the error shows a bug."""
    if not isinstance(error, sa_exc.DBAPIError):
        # The pool's TimeoutError. Any other SQLAlchemyError is a mistake in the code.
        return Unavailable() if isinstance(error, sa_exc.TimeoutError) else None
    if isinstance(error, sa_exc.IntegrityError):
        constraint = _constraint(error.orig)
        kind = constraint.info.get("error") if constraint is not None else None
        return kind() if kind else None
    return Unavailable() if error.connection_invalidated or _is_unavailable(error) else None


def find_taken(
    connection: Connection, table: sa.Table, values: Mapping[str, Any], but: sa.ColumnElement[bool]
) -> list[tuple[type[Taken], int]]:
    """Return the `values` that other rows have: for each, the error of its unique constraint and
    the id of the other row.

    `values` maps names of unique columns to values, and the result has their order. Rows for which
    `but` is true are left out: the request is about them. Sends one statement.
    """
    wanted = {name: value for name, value in values.items() if value is not None}
    if not wanted:
        return []
    either = sa.or_(*(table.c[name] == value for name, value in wanted.items()))
    rows = (
        connection.execute(
            sa.select(table.c.id, *(table.c[name] for name in wanted)).where(either, ~but)
        )
        .mappings()
        .all()
    )
    kinds = {
        name: _by_columns()[frozenset({f"{table.name}.{name}"})].info["error"] for name in wanted
    }
    return [
        (kinds[name], row["id"])
        for name, value in wanted.items()
        for row in rows
        if row[name] == value
    ]


def is_read_only(error: sa_exc.DBAPIError) -> bool:
    """Whether the database cannot be written to: a standby, a role without the privilege, or a
    file opened for reading.
    """
    return (sqlstate(error) or "").startswith(("25006", "42501", "SQLITE_READONLY"))


def _is_unavailable(error: sa_exc.DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        name = getattr(error.orig, "sqlite_errorname", "")
        return any(name.startswith(f"SQLITE_{code}") for code in _UNAVAILABLE_SQLITE)
    state = sqlstate(error)
    if state is None:  # psycopg2 had no connection, or lost it
        return isinstance(error, (sa_exc.OperationalError, sa_exc.InterfaceError))
    return state in _UNAVAILABLE_STATES or state[:2] in _UNAVAILABLE_CLASSES


def _constraint(orig: Any) -> sa.Constraint | sa.Index | None:
    """Return the declared constraint that was violated, or None if no declared one was found.

    PostgreSQL names the constraint. SQLite names a CHECK, but only the columns of a UNIQUE.
    """
    diag = getattr(orig, "diag", None)
    if diag is not None:
        return _by_name().get(diag.constraint_name)
    _, _, named = str(orig.args[0]).partition(": ")
    return _by_name().get(named) or _by_columns().get(frozenset(named.split(", ")))


def _all() -> list[sa.Constraint]:
    return [
        constraint for table in Base.metadata.tables.values() for constraint in table.constraints
    ]


def _by_name() -> dict[str, sa.Constraint]:
    return {str(constraint.name): constraint for constraint in _all()}


def _by_columns() -> dict[frozenset[str], sa.Constraint]:
    unique = (c for c in _all() if isinstance(c, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)))
    return {frozenset(f"{c.table.name}.{column.name}" for column in c.columns): c for c in unique}
