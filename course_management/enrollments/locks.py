"""The locks of an enrollment, and the rows that are read once they are held.

Every request takes its locks in one order: the students by id, then the courses by id. A course
without a capacity is locked only against edits and deletion, so that students can enroll in it at
the same time. A course with a capacity is locked against all other requests.
docs/decisions/0005-seats.md explains why enrollments cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import NotFound
from course_management.courses.gate import select_gates
from course_management.courses.models import Course
from course_management.courses.refusals import OPEN
from course_management.db.base import among
from course_management.db.prepared_statements import Call, Statement, send
from course_management.enrollments.allocation import Pair, Seats
from course_management.enrollments.models import StudentCourse
from course_management.students.models import Student, StudentNotFound

_enrollments = cast(sa.Table, StudentCourse.__table__)
_courses = cast(sa.Table, Course.__table__)
_students = cast(sa.Table, Student.__table__)
# Key of a connection's info: the ids of courses that were open and had no capacity when this
# connection last read them. The precheck does not read these courses again.
_UNLIMITED = "courses without a capacity"

_lock_students = (
    sa.select(_students.c.id)
    .where(among(_students.c.id, "students"))
    .order_by(_students.c.id)
    .with_for_update(key_share=True)
)


def _after_students(statement: sa.Select[Any]) -> sa.Select[Any]:
    """`statement`, which begins once the students are locked: one statement instead of two.

    PostgreSQL evaluates a condition without columns first, and once ("One-Time Filter").
    """
    locked = sa.select(sa.func.count()).select_from(_lock_students.subquery())
    return statement.where(locked.scalar_subquery() >= sa.literal_column("0"))


_LOCK_STUDENTS = Statement("lock_students", _lock_students)
_PASS_GATES = Statement("pass_gates", select_gates("ids"))
_LOCK_STUDENTS_AND_GATES = Statement(
    "lock_students_and_gates", _after_students(select_gates("ids"))
)
_SEATS = [
    _courses.c[name]
    for name in (
        *("id", "capacity", "seats_taken", "waitlist_capacity", "waitlisted", "next_ticket"),
        "status",
    )
]
_of_students = among(_enrollments.c.student_id, "students")

# The seats of the courses, the number of the given students that exist, and their states in the
# courses. The result has one row for each enrollment, and one row for a course without any.
_READ = (
    sa.select(
        *_SEATS,
        sa.select(sa.func.count()).where(among(_students.c.id, "students")).scalar_subquery(),
        _enrollments.c.student_id,
        _enrollments.c.state,
    )
    .select_from(
        _courses.outerjoin(
            _enrollments, sa.and_(_enrollments.c.course_id == _courses.c.id, _of_students)
        )
    )
    .where(among(_courses.c.id, "ids"))
    .order_by(_courses.c.id)
)
_READ_COURSES = Statement("read_courses", _READ)
_LOCK_COURSES = Statement("lock_courses", _READ.with_for_update(key_share=True, of=_courses))
_SHARE_COURSES = Statement(
    "share_courses", _READ.with_for_update(read=True, key_share=True, of=_courses)
)


@dataclass
class CourseStates:
    """The seats of some courses, the states of some students in them, and the number of these
    students that exist (None if no course was read).
    """

    courses: dict[int, Seats] = field(default_factory=dict)
    states: dict[Pair, str] = field(default_factory=dict)
    student_count: int | None = None

    def read(
        self,
        connection: Connection,
        student_ids: Sequence[int],
        course_ids: Sequence[int],
        statement: Statement,
        *before: Call,
    ) -> None:
        """Read these courses. The statements of `before` are sent first, in the same message."""
        unlimited = connection.info.setdefault(_UNLIMITED, set())
        values = {"students": student_ids, "ids": course_ids}
        rows: Any = send(connection, *before, (statement, values))
        for *seats, self.student_count, student_id, state in rows:
            course = Seats(*seats)
            self.courses[course.id] = course
            takes_all = course.capacity is None and course.status == OPEN
            (unlimited.add if takes_all else unlimited.discard)(course.id)
            if student_id is not None:
                self.states[(student_id, course.id)] = state


def read_unlocked(
    connection: Connection, student_ids: Sequence[int], course_ids: Sequence[int]
) -> CourseStates:
    """Read the courses without a lock. If none of them had a capacity when this connection last
    read it, read nothing.
    """
    found = CourseStates()
    if not connection.info.get(_UNLIMITED, set()).issuperset(course_ids):
        found.read(connection, student_ids, course_ids, _READ_COURSES)
    return found


def lock_students(session: Session, student_ids: Sequence[int], *, in_body: bool = False) -> None:
    """Lock the students, so that requests about one student take turns.

    Raises StudentNotFound. With `in_body`, the request's body has the ids, and the error lists
    every missing one.
    """
    rows = send(session.connection(), (_LOCK_STUDENTS, {"students": student_ids}))
    found = {row[0] for row in rows}
    if in_body:
        require_all(student_ids, found, StudentNotFound, "Some of the students do not exist.")
    elif not found:
        raise StudentNotFound


def lock(
    session: Session,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    capped_course_ids: Collection[int] = (),
    *,
    students_locked: bool = False,
) -> CourseStates:
    """Lock the students, unless they are locked already, then the courses. Returns the rows that
    were read under the locks, without courses that do not exist.

    `capped_course_ids` are the courses that had a capacity in the precheck. They get the exclusive
    lock immediately. The others are locked against edits only: first their gates, then FOR KEY
    SHARE. So a course that is read as unlimited stays unlimited. Courses among them that have a
    capacity after all then get the exclusive lock. If the precheck was wrong, this costs a stronger
    lock or one more statement, and nothing else.

    A statement that waits for a lock returns the rows of other tables as they were before it
    waited. So a statement that locks courses starts after the students are locked, when no
    enrollment of theirs can appear. If it returns one, that may have been promoted or removed
    meanwhile, and it is read again.
    """
    connection, found = session.connection(), CourseStates()
    others = sorted(set(course_ids).difference(capped_course_ids))
    if others:
        gates = _before_sharing(connection, student_ids, others, students_locked)
        found.read(connection, student_ids, others, _SHARE_COURSES, *gates)
        students_locked = True
    capped = [i for i in course_ids if i in capped_course_ids]
    capped += [course.id for course in found.courses.values() if course.capacity is not None]
    if capped:
        before = [] if students_locked else [(_LOCK_STUDENTS, {"students": student_ids})]
        found.read(connection, student_ids, capped, _LOCK_COURSES, *before)
        may_be_old = [pair for pair in found.states if pair[1] in capped]
        if may_be_old:
            for pair in may_be_old:
                del found.states[pair]
            found.read(connection, student_ids, capped, _READ_COURSES)
    return found


def _before_sharing(
    connection: Connection,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    students_locked: bool,
) -> list[Call]:
    """The statement that locks the students, unless they are locked, and passes the gates. SQLite,
    where one transaction writes at a time, has no gates.
    """
    values = {"students": student_ids, "ids": course_ids}
    if connection.dialect.name == "postgresql":
        return [(_PASS_GATES if students_locked else _LOCK_STUDENTS_AND_GATES, values)]
    return [] if students_locked else [(_LOCK_STUDENTS, values)]


def require_all(ids: Iterable[int], found: set[int], error: type[NotFound], detail: str) -> None:
    """Raise `error` with the `ids` that are not in `found`."""
    missing = [i for i in ids if i not in found]
    if missing:
        raise error(detail, missing=missing)
