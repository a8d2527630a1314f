"""What can be done with enrollments. Who gets a seat is decided in allocation.py, and recorded
in ledger.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.courses import queries as courses
from course_management.courses.models import (
    CapacityBelowEnrolled,
    Course,
    CourseNotFound,
    WaitlistCapacityBelowWaitlisted,
)
from course_management.db.base import Reader, connection_of
from course_management.db.prepared_statements import Statement, send
from course_management.enrollments import allocation
from course_management.enrollments import ledger as moving
from course_management.enrollments.allocation import Allocation, Seats
from course_management.enrollments.ledger import (
    IS_WAITLISTED,
    SeatLedger,
    Standing,
    lock,
    lock_students,
    require_all,
    table,
)
from course_management.enrollments.models import WAITLISTED, CourseHasStudents, EnrollmentNotFound
from course_management.students import queries as students
from course_management.students.models import Student
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_ONE = Statement(
    "enrollment",
    sa.select(table.c.enrolled_at, table.c.state, table.c.ticket).where(
        table.c.student_id == sa.bindparam("student_id"),
        table.c.course_id == sa.bindparam("course_id"),
    ),
)
_POSITION = Statement(
    "position",
    sa.select(sa.func.count()).where(
        table.c.course_id == sa.bindparam("course_id"),
        IS_WAITLISTED,
        table.c.ticket <= sa.bindparam("ticket"),
    ),
)

# Courses that a look without a lock showed to have a capacity: whoever knows them saves a
# statement.
Limited = Collection[int]


def look(
    connection: Connection, student_ids: Sequence[int], course_ids: Sequence[int], *, waitlist: bool
) -> list[int]:
    """The courses that have a capacity, read without a lock. Raises CourseFull or WaitlistFull
    where that shows already.

    Whatever is also wrong in another way, or may yet succeed, is left to the request itself.
    """
    found = moving.look(connection, student_ids, course_ids)
    limited = [course.id for course in found.courses.values() if course.capacity is not None]
    if limited and len(found.courses) == len(course_ids) and found.students == len(student_ids):
        allocation.allocate(
            found.courses,
            found.states,
            [(s, c) for s in student_ids for c in course_ids],
            waitlist=waitlist,
        )
    return limited


def enroll(
    session: Session,
    student_id: int,
    course_ids: Sequence[int],
    *,
    waitlist: bool = False,
    limited: Limited = (),
) -> dict[str, Any]:
    """Enroll a student in all of `course_ids` or in none; with `waitlist`, a place in line will do
    where the seats are gone.

    Returns the ids `added`, `kept`, `removed` (none) and, with `waitlist`, `waitlisted`, in the
    order given, and whether anything is `new`. Raises StudentNotFound, CourseNotFound with every
    missing id, CourseFull or WaitlistFull with every such course.
    """
    found = lock(session, [student_id], course_ids, limited)
    if found.students != 1:
        lock_students(session, [student_id])
    return _set_courses(session, student_id, course_ids, [], waitlist, found)


def replace(
    session: Session,
    student_id: int,
    course_ids: Sequence[int],
    *,
    waitlist: bool = False,
    limited: Limited = (),
) -> dict[str, Any]:
    """Make `course_ids` the student's whole set, or change nothing: an old seat is given up only if
    every new one is had.

    Returns and raises what `enroll` does; `removed` lists the courses dropped.
    """
    lock_students(session, [student_id])
    others = _others(session, student_id, course_ids)
    found = lock(session, [student_id], [*course_ids, *others], limited, locked=True)
    return _set_courses(session, student_id, course_ids, others, waitlist, found)


def enroll_many(
    session: Session,
    course: int | str,
    student_ids: Sequence[int],
    *,
    waitlist: bool = False,
    limited: Limited = (),
) -> dict[str, Any]:
    """Enroll all of `student_ids` in a course or none; seats go in the order given.

    Returns the ids `added`, `kept` and, with `waitlist`, `waitlisted`, and whether anything is
    `new`. Raises CourseNotFound, StudentNotFound with every missing id, CourseFull or WaitlistFull.
    """
    course_id = courses.get_course_id(session, course)
    found = _lock_many(session, course_id, student_ids, limited)
    moves = SeatLedger(found.courses)
    placed = allocation.allocate(
        found.courses, found.states, [(s, course_id) for s in student_ids], waitlist=waitlist
    )
    moves.place(placed)
    moves.write(session)
    return {"course_id": course_id, **_result(placed, 0, waitlist=waitlist)}


def drop_many(session: Session, course: int | str, student_ids: Sequence[int]) -> dict[str, Any]:
    """Drop all of `student_ids` from a course, seat or place in line, or none. Returns the ids
    `removed`, in the order given.

    Raises CourseNotFound, StudentNotFound or EnrollmentNotFound, the latter two with every missing
    id.
    """
    course_id = courses.get_course_id(session, course)
    moves = SeatLedger(_lock_many(session, course_id, student_ids).courses)
    gone = {
        student_id for student_id, _ in moves.remove(session, student_ids, [course_id], "dropped")
    }
    require_all(
        student_ids, gone, EnrollmentNotFound, "Some of the students do not take the course."
    )
    moves.write(session)
    return {"course_id": course_id, "removed": list(student_ids)}


def drop(session: Session, student_id: int, course_id: int) -> None:
    """End one enrollment, or leave the line; the student is locked by the caller."""
    moves = SeatLedger(lock(session, [student_id], [course_id], locked=True).courses)
    moves.remove(session, [student_id], [course_id], "dropped")
    moves.write(session)


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One student takes one course, or waits for it at `position` in its line."""

    student_id: int
    course_id: int
    enrolled_at: datetime | None
    state: str
    ticket: int | None
    position: int | None

    @property
    def etag(self) -> str:
        since = (
            f"{self.enrolled_at.timestamp():.6f}".replace(".", "")
            if self.enrolled_at
            else f"line-{self.ticket}"
        )
        return since if self.position is None else f"{since}.{self.position}"


def get_enrollment(reader: Reader, student_id: int, course_id: int) -> Enrollment:
    """The one enrollment. Raises EnrollmentNotFound, StudentNotFound or CourseNotFound."""
    connection = connection_of(reader)
    rows = send(connection, (_ONE, {"student_id": student_id, "course_id": course_id}))
    if not rows:
        students.show_student(reader, student_id)
        courses.show_course(reader, course_id)
        raise EnrollmentNotFound
    (enrolled_at, state, ticket), position = rows[0], None
    if state == WAITLISTED:
        position = send(connection, (_POSITION, {"course_id": course_id, "ticket": ticket}))[0][0]
    return Enrollment(student_id, course_id, enrolled_at, state, ticket, position)


def delete_student(session: Session, student: Student) -> None:
    """Remove a student, locked by the caller, end its enrollments and leave its lines."""
    ids = _others(session, student.id, [])
    moves = SeatLedger(lock(session, [student.id], ids, locked=True).courses)
    moves.remove(session, [student.id], ids, "student-deleted")
    moves.write(session)
    session.delete(student)
    session.flush()
    note(session, Event.STUDENT_DELETED, student_id=student.id)


def delete_course(session: Session, course: Course) -> None:
    """Remove a course, locked by the caller. Raises CourseHasStudents where somebody takes it or
    waits for it.
    """
    if session.scalar(sa.select(table.c.student_id).where(table.c.course_id == course.id).limit(1)):
        raise CourseHasStudents
    session.delete(course)
    session.flush()
    note(session, Event.COURSE_DELETED, course_id=course.id)


def resize(session: Session, course: Course, **changes: Any) -> None:
    """Fit seats and line of a course, locked by the caller against everybody, to the `capacity` and
    `waitlist_capacity` given.

    More seats go to the first in line; a course made unlimited empties its line into seats, one
    made limited is counted first. Raises CapacityBelowEnrolled or WaitlistCapacityBelowWaitlisted,
    each with both numbers.
    """
    if not {"capacity", "waitlist_capacity"} & set(changes):
        return
    capacity = changes.get("capacity", course.capacity)
    taken = course.seats_taken
    if capacity is not None and taken is None:
        taken = (
            session.scalar(sa.select(sa.func.count()).where(table.c.course_id == course.id)) or 0
        )
    if capacity is not None and taken is not None and taken > capacity:
        raise CapacityBelowEnrolled(
            f"{taken} seats are taken.", capacity=capacity, seats_taken=taken
        )
    limit = changes.get("waitlist_capacity", course.waitlist_capacity)
    seats = Seats(
        course.id,
        capacity,
        taken if capacity is not None else None,
        limit,
        course.waitlisted,
        course.next_ticket,
    )
    moves = SeatLedger({course.id: seats})
    moves.promote(session)
    if limit is not None and seats.waitlisted > limit:
        detail = f"{seats.waitlisted} students are in line."
        raise WaitlistCapacityBelowWaitlisted(
            detail, waitlist_capacity=limit, waitlisted=seats.waitlisted
        )
    # The counts go with the capacity in one UPDATE, by the caller: apart, one of the two would
    # break a constraint.
    course.capacity, course.seats_taken, course.waitlisted = (
        capacity,
        seats.seats_taken,
        seats.waitlisted,
    )
    moves.write_record(session)


def _lock_many(
    session: Session, course_id: int, student_ids: Sequence[int], limited: Limited = ()
) -> Standing:
    found = lock(session, student_ids, [course_id], limited)
    if not found.courses:  # what the address names comes before what the body names
        raise CourseNotFound
    if found.students != len(student_ids):
        lock_students(session, student_ids, in_body=True)
    return found


def _set_courses(
    session: Session,
    student_id: int,
    course_ids: Sequence[int],
    removed: list[int],
    waitlist: bool,
    found: Standing,
) -> dict[str, Any]:
    require_all(course_ids, set(found.courses), CourseNotFound, "Some of the courses do not exist.")
    moves = SeatLedger(found.courses)
    if removed:
        moves.remove(session, [student_id], removed, "dropped")
    placed = allocation.allocate(
        found.courses, found.states, [(student_id, c) for c in course_ids], waitlist=waitlist
    )
    moves.place(placed)
    moves.write(session)
    return {"student_id": student_id, **_result(placed, 1, waitlist=waitlist), "removed": removed}


def _others(session: Session, student_id: int, but: Sequence[int]) -> list[int]:
    """The courses a locked student takes or waits for, but those."""
    had = session.scalars(
        sa.select(table.c.course_id)
        .where(table.c.student_id == student_id)
        .order_by(table.c.course_id)
    )
    return [course_id for course_id in had if course_id not in set(but)]


def _result(placed: Allocation, of: int, *, waitlist: bool) -> dict[str, Any]:
    """The ids of what was placed: of the students (0) or of the courses (1); and whether
    anything is `new`.
    """
    result: dict[str, Any] = {
        "added": [pair[of] for pair in placed.added],
        "kept": [pair[of] for pair in placed.kept],
    }
    if waitlist:
        result["waitlisted"] = [pair[of] for pair in placed.in_line]
    return result | {"new": bool(placed.added or placed.joined)}
