"""The statements of `ledger.py`, the only module that sends them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from course_management.courses.models import Course
from course_management.db.prepared_statements import Call, Insert, Statement
from course_management.enrollments.allocation import COUNTS, Pair
from course_management.enrollments.models import ENROLLED, WAITLISTED, StudentCourse

table = cast(sa.Table, StudentCourse.__table__)
courses = cast(sa.Table, Course.__table__)
# Literals, not parameters: only then does PostgreSQL use the partial indexes of waitlists. SQLite
# compares the text of a condition with that of the index, so both say NOT.
IS_WAITLISTED = table.c.state == sa.literal_column(f"'{WAITLISTED}'")
_IS_PROMOTABLE = sa.and_(IS_WAITLISTED, sa.literal_column(f"NOT {table.name}.blocked"))
REMOVED = (
    *("student_id", "course_id", "state", "ticket", "enrolled_at", "credits"),
    "blocked",
)
UNEDITED = {"updated_at": courses.c.updated_at}  # an enrollment is not an edit of the course

# Only enrollments in courses of terms have credits, or are blocked. Each column costs time.
_INSERT = Insert(table, without=("credits", "blocked"))
_INSERT_OF_TERM = Insert(table)
_MORE = [f"more_{name}" for name in COUNTS]


def _add_counts(*names: str) -> Statement:
    more = {name: courses.c[name] + sa.bindparam(f"more_{name}") for name in names}
    update = sa.update(courses).where(courses.c.id == sa.bindparam("course"))
    return Statement(f"count_{names[-1]}", update.values(more | UNEDITED))


_ADD_COUNTS, _ADD_ALL_COUNTS = _add_counts(*COUNTS[:-1]), _add_counts(*COUNTS)


def insert(rows: Sequence[dict[str, Any]]) -> Call:
    """Insert enrollments. If one of them has `credits` or is `blocked`, all have both values."""
    statement = _INSERT_OF_TERM if "credits" in rows[0] else _INSERT
    return statement, list(rows) if len(rows) > 1 else rows[0]


def add_counts(course_id: int, more: Sequence[int]) -> Call:
    """Add to the COUNTS of a course."""
    values = {"course": course_id} | dict(zip(_MORE, more, strict=True))
    return (_ADD_ALL_COUNTS if more[-1] else _ADD_COUNTS), values


def add_many_counts(changes: Mapping[int, Sequence[int]]) -> sa.Update:
    """Add to the COUNTS of several courses."""
    counts = {
        name: courses.c[name]
        + sa.case({c: more[i] for c, more in changes.items()}, value=courses.c.id)
        for i, name in enumerate(COUNTS)
        if any(more[i] for more in changes.values())
    }
    return sa.update(courses).where(courses.c.id.in_(changes)).values(counts | UNEDITED)


def set_credits(pair: Pair, number: int) -> sa.Update:
    """Set the credits of an enrollment, in hundredths."""
    of_pair = sa.and_(table.c.student_id == pair[0], table.c.course_id == pair[1])
    return sa.update(table).where(of_pair).values(credits=number)


def delete(
    student_ids: Sequence[int] | None, course_ids: Sequence[int], *, only_waiting: bool = False
) -> Any:
    """Delete the enrollments of these students (None: of all) in these courses; with
    `only_waiting`, only waitlist places. Returns the columns REMOVED.
    """
    deleted = sa.delete(table).where(table.c.course_id.in_(course_ids))
    if student_ids is not None:
        deleted = deleted.where(table.c.student_id.in_(student_ids))
    if only_waiting:
        deleted = deleted.where(IS_WAITLISTED)
    return deleted.returning(*(table.c[name] for name in REMOVED))


def last_tickets(numbers: Iterable[tuple[int, int]]) -> sa.CompoundSelect[Any]:
    """For each course, given with the number of seats for its waitlist, the last ticket that gets
    one. A waitlist may be long, so the promotion selects a range of tickets and not a list.
    """
    return sa.union_all(
        *(
            sa.select(table.c.course_id, table.c.ticket)
            .where(table.c.course_id == course_id, _IS_PROMOTABLE)
            .order_by(table.c.ticket)
            .limit(1)
            .offset(number - 1)
            .subquery()
            .select()
            for course_id, number in numbers
        )
    )


def promote(last: Iterable[Any], moment: datetime) -> Any:
    """Give seats to the places with tickets up to the `last` of each course that are not blocked.

    Returns the ticket, the student and the course of each.
    """
    ranges = [
        sa.and_(table.c.course_id == course_id, table.c.ticket <= ticket)
        for course_id, ticket in last
    ]
    return (
        sa.update(table)
        .where(_IS_PROMOTABLE, sa.or_(*ranges))
        .values(state=ENROLLED, enrolled_at=moment)
        .returning(table.c.ticket, table.c.student_id, table.c.course_id)
    )


def set_blocked(
    student_id: int, course_ids: Collection[int], blocked_course_ids: Collection[int]
) -> Any:
    """Block the places of a student in `blocked_course_ids`, and clear the others of `course_ids`.
    Returns the course and the ticket of each.
    """
    return (
        sa.update(table)
        .where(table.c.student_id == student_id, table.c.course_id.in_(course_ids), IS_WAITLISTED)
        .values(blocked=table.c.course_id.in_(blocked_course_ids))
        .returning(table.c.course_id, table.c.ticket)
    )
