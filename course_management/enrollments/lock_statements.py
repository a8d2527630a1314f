"""The statements with which `locks.py` locks and reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa

from course_management.courses.gate import select_gate, select_gates
from course_management.courses.models import Course
from course_management.db.base import among
from course_management.db.prepared_statements import Statement
from course_management.enrollments.models import StudentCourse
from course_management.students.models import Student

_enrollments = cast(sa.Table, StudentCourse.__table__)
_courses = cast(sa.Table, Course.__table__)
_students = cast(sa.Table, Student.__table__)
_SEATS = [
    _courses.c[name]
    for name in (
        *("id", "capacity", "seats_taken", "waitlist_capacity", "waitlisted", "next_ticket"),
        "status",
    )
] + [_courses.c.term.is_not(None)]
Condition = Callable[[Any], sa.ColumnElement[bool]]


class Statements(NamedTuple):
    """Statements about some students and some courses.

    The last three return the seats of the courses, the number of the students that exist, and their
    states in the courses: one row for each enrollment, and one row for a course without any.
    """

    lock_students: Statement
    pass_gates: Statement
    lock_students_and_gates: Statement
    read: Statement
    lock: Statement
    share: Statement


def _statements(
    suffix: str, is_student: Condition, is_course: Condition, gates: sa.Select[Any]
) -> Statements:
    lock_students = (
        sa.select(_students.c.id)
        .where(is_student(_students.c.id))
        .order_by(_students.c.id)
        .with_for_update(key_share=True)
    )
    # PostgreSQL evaluates a condition without columns first, and once ("One-Time Filter"). So the
    # gates are passed when the students are locked, in one statement instead of two.
    locked = sa.select(sa.func.count()).select_from(lock_students.subquery()).scalar_subquery()
    of_students = is_student(_enrollments.c.student_id)
    in_course = sa.and_(_enrollments.c.course_id == _courses.c.id, of_students)
    read = (
        sa.select(
            *_SEATS,
            sa.select(sa.func.count()).where(is_student(_students.c.id)).scalar_subquery(),
            _enrollments.c.student_id,
            _enrollments.c.state,
        )
        .select_from(_courses.outerjoin(_enrollments, in_course))
        .where(is_course(_courses.c.id))
        .order_by(_courses.c.id)
    )
    return Statements(
        Statement(f"lock_student{suffix}", lock_students),
        Statement(f"pass_gate{suffix}", gates),
        Statement(
            f"lock_student{suffix}_and_gate{suffix}", gates.where(locked >= sa.literal_column("0"))
        ),
        Statement(f"read_course{suffix}", read),
        Statement(f"lock_course{suffix}", read.with_for_update(key_share=True, of=_courses)),
        Statement(
            f"share_course{suffix}",
            read.with_for_update(read=True, key_share=True, of=_courses),
        ),
    )


_MANY = _statements(
    "s",
    lambda column: among(column, "students"),
    lambda column: among(column, "courses"),
    select_gates("courses"),
)
# The most frequent requests are about one student and one course. Their plans are simpler: they
# take a quarter less of PostgreSQL's time.
_ONE = _statements(
    "",
    lambda column: column == sa.bindparam("student", type_=sa.BigInteger),
    lambda column: column == sa.bindparam("course", type_=sa.BigInteger),
    select_gate("course"),
)


def about(
    student_ids: Sequence[int], course_ids: Sequence[int]
) -> tuple[Statements, dict[str, Any]]:
    """The statements about these students and courses, and their values."""
    if len(student_ids) == len(course_ids) == 1:
        return _ONE, {"student": student_ids[0], "course": course_ids[0]}
    return _MANY, {"students": student_ids, "courses": course_ids}
