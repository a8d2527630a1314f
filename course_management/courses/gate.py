"""The gate of a course: an advisory lock of PostgreSQL that lets an edit have its turn while
students enroll without a pause.

Rows alone do not: PostgreSQL lets every new `FOR KEY SHARE` pass a `FOR UPDATE` that waits
(heapam's tuple lock is taken only by those who must wait), so an edit of a popular course would
wait as long as enrollments overlap. An advisory lock has a queue in which nobody overtakes
(docs/decisions/0005-seats.md). The gate only orders requests: what may not happen together is still
excluded by the locks on the rows. SQLite has one writer at a time and needs no gate.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles


def select_gates(ids: str) -> sa.Select[Any]:
    """A SELECT that passes the gates of the courses in the parameter `ids`, beside other students
    who enroll. PostgreSQL only.

    The keys are below zero, where the service has no other advisory lock (migrations/env.py). The
    ids must rise: then no two requests wait for each other.
    """
    course = sa.func.unnest(sa.bindparam(ids, type_=ARRAY(sa.BigInteger))).column_valued("course")
    return sa.select(sa.func.pg_advisory_xact_lock_shared(-course))


# reads as an SQL function: close_gate(course.id)
class close_gate(sa.sql.expression.FunctionElement[int]):  # noqa: N801
    """Close the gate of a course until the transaction ends, wait for the transactions that passed
    it, and return the id of the course.
    """

    inherit_cache = True
    type = sa.BigInteger()


@compiles(close_gate)
def _as_it_is(element: close_gate, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(close_gate, "postgresql")
def _once_locked(element: close_gate, compiler: Any, **kw: Any) -> str:
    course = compiler.process(element.clauses, **kw)
    return f"CASE WHEN pg_advisory_xact_lock(-{course}) IS NOT NULL THEN {course} END"
