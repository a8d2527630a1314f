"""The gate of a course: an advisory lock of PostgreSQL. With it, an edit gets its turn even while
students enroll without a pause.

Row locks are not enough: PostgreSQL lets every new `FOR KEY SHARE` overtake a `FOR UPDATE` that
waits. So an edit of a popular course would wait for as long as enrollments overlap. Requests for an
advisory lock are served in their order (docs/decisions/0005-seats.md). The gate only orders
requests; the locks on the rows exclude changes that must not happen together. SQLite has one writer
at a time and needs no gate.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles


def select_gates(ids: str) -> sa.Select[Any]:
    """A SELECT that passes the gates of the courses in the parameter `ids`, which other enrollments
    may pass at the same time. PostgreSQL only.

    The number of a lock is the negative id of the course: no other advisory lock of the service is
    negative (migrations/env.py). The ids must be sorted, so that requests cannot deadlock.
    """
    course = sa.func.unnest(sa.bindparam(ids, type_=ARRAY(sa.BigInteger))).column_valued("course")
    return sa.select(sa.func.pg_advisory_xact_lock_shared(-course))


def select_gate(course: str) -> sa.Select[Any]:
    """As `select_gates`, for the one id in the parameter `course`."""
    number = sa.cast(sa.bindparam(course), sa.BigInteger)
    return sa.select(sa.func.pg_advisory_xact_lock_shared(-number))


# An SQL function: close_gate(course.id).
class close_gate(sa.sql.expression.FunctionElement[int]):  # noqa: N801 - reads as a function
    """Close the gate of a course until the transaction ends, wait for the transactions that passed
    it, and return the id of the course.
    """

    inherit_cache = True
    type = sa.BigInteger()


@compiles(close_gate)
def _only_the_id(element: close_gate, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(close_gate, "postgresql")
def _lock_and_return_id(element: close_gate, compiler: Any, **kw: Any) -> str:
    course = compiler.process(element.clauses, **kw)
    return f"CASE WHEN pg_advisory_xact_lock(-{course}) IS NOT NULL THEN {course} END"
