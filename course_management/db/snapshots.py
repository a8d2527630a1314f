"""Tells whether anything was committed between two statements, so that a statement can skip what
an earlier one has read.

A snapshot of PostgreSQL is the text "xmin:xmax:" and the transactions between them that were still
going on (PostgreSQL's documentation, "Transaction ID and Snapshot Information Functions"). `xmax`
rises when a transaction ends that wrote something. So if none was going on at the first statement,
and the second one has the same snapshot, no transaction has ended in between.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles


class snapshot(sa.sql.expression.FunctionElement[str]):  # noqa: N801 - reads as a function
    """The snapshot of the statement, as a text. On SQLite, an empty text."""

    type = sa.Text()
    inherit_cache = True


@compiles(snapshot)
def _compile_snapshot(element: Any, compiler: Any, **options: Any) -> str:
    return "''"


@compiles(snapshot, "postgresql")
def _compile_snapshot_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(pg_current_snapshot() AS TEXT)"


def is_new(seen: str) -> sa.ColumnElement[bool]:
    """A condition: something may have been committed since the statement whose snapshot is the
    parameter `seen`. It needs no columns, so PostgreSQL evaluates it once.
    """
    parameter: Any = sa.bindparam(seen, type_=sa.Text())
    return sa.or_(parameter == sa.literal_column("''"), snapshot() != parameter)


def if_quiet(found: str) -> str:
    """This snapshot, or an empty text if transactions were going on: they may end unnoticed."""
    xmin, _, others = found.partition(":")
    return found if others == f"{xmin}:" else ""
