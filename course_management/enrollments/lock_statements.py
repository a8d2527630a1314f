"""The statements with which `locks.py` locks and reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa

from course_management.courses.gate import select_gate, select_gates
from course_management.courses.models import Course
from course_management.db.base import among
from course_management.db.prepared_statements import Statement
from course_management.enrollments.facts_statement import facts_of_student
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
] + [sa.case((_courses.c.term.is_not(None), _courses.c.version)), _courses.c.blocked]
Condition = Callable[[Any], sa.ColumnElement[bool]]


class Statements(NamedTuple):
    """Statements about some students and some courses.

    The last three return the seats of the courses, the number of the students that exist, and their
    states in the courses: one row for each enrollment, and one row for a course without any. With
    `has_facts`, each row begins with the facts about the one student.
    """

    lock_students: Statement
    pass_gates: Statement
    lock_students_and_gates: Statement
    read: Statement
    lock: Statement
    share: Statement
    has_facts: bool


def _statements(
    suffix: str,
    is_student: Condition,
    is_course: Condition,
    gates: sa.Select[Any],
    *,
    has_facts: bool = False,
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
            *([facts_of_student(is_student)] if has_facts else []),
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
        has_facts,
    )


def _is_among(name: str) -> Condition:
    return lambda column: among(column, name)


def _is(name: str) -> Condition:
    return lambda column: column == sa.bindparam(name, type_=sa.BigInteger)


_MANY = _statements("s", _is_among("students"), _is_among("courses"), select_gates("courses"))
# The most frequent requests are about one student and one course. Their plans are simpler: they
# take a quarter less of PostgreSQL's time.
_ONE = _statements("", _is("student"), _is("course"), select_gate("course"))
# Of one student, and courses of terms.
_RULED_COURSE = _statements(
    "_ruled", _is("student"), _is("course"), select_gate("course"), has_facts=True
)
_RULED_COURSES = _statements(
    "s_ruled", _is("student"), _is_among("courses"), select_gates("courses"), has_facts=True
)


def about(
    student_ids: Sequence[int], course_ids: Sequence[int], *, ruled: bool = False
) -> tuple[Statements, dict[str, Any]]:
    """The statements about these students and courses, and their values. If the courses are `ruled`
    and the student is one, they also read the facts for the rules.
    """
    if len(student_ids) == 1 and len(course_ids) == 1:
        values = {"student": student_ids[0], "course": course_ids[0]}
        return (_RULED_COURSE if ruled else _ONE), values
    if ruled and len(student_ids) == 1:
        return _RULED_COURSES, {"student": student_ids[0], "courses": course_ids}
    return _MANY, {"students": student_ids, "courses": course_ids}
