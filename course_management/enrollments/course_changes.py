"""Changes of a course that concern its students: its capacity, its cancellation, its deletion."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.core.errors import Repeat, Unavailable
from course_management.courses.models import (
    CapacityBelowEnrolled,
    Course,
    CourseChanges,
    WaitlistCapacityBelowWaitlisted,
)
from course_management.courses.queries import key_of
from course_management.courses.refusals import CANCELLED
from course_management.enrollments.allocation import Seats
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.ledger_statements import table
from course_management.enrollments.locks import CourseStates
from course_management.enrollments.models import ENROLLED, CourseHasStudents
from course_management.enrollments.recheck_queue import queue_students
from course_management.enrollments.waitlist_ends import end_passed
from course_management.history import recorder
from course_management.history.models import EventType, Why
from course_management.records.overrides.models import Override
from course_management.students.models import Student
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note


def lock_overridden(session: Session, course: int | str) -> Sequence[int]:
    """Lock the students who have overrides for a course, and return their ids. It is given by its
    id, its name or its ExternalId.

    Call it before the lock of a course that you delete: its overrides go too, and a trigger then
    locks the students to copy their records. Enrollments lock students before courses.
    """
    column, value = key_of(course)
    overridden = sa.select(Override.student_id).join(Course, Course.id == Override.course_id)
    wanted = sa.select(Student.id).where(
        Student.id.in_(overridden.where(getattr(Course, column) == value))
    )
    return session.scalars(wanted.order_by(Student.id).with_for_update(key_share=True)).all()


def delete_course(session: Session, course: Course, overridden: Collection[int]) -> None:
    """Delete a course, which the caller has locked after the students of `lock_overridden`.

    Raises CourseHasStudents if a student takes it or waits for it. Raises Repeat if other students
    got overrides in the meantime.
    """
    taken = sa.exists().where(table.c.course_id == course.id)
    others = Override.student_id.not_in(overridden)
    is_taken, has_others = session.execute(
        sa.select(taken, sa.exists().where(Override.course_id == course.id, others))
    ).one()
    if is_taken:
        raise CourseHasStudents
    if has_others:
        raise Repeat(Unavailable())
    session.delete(course)
    session.flush()
    deleted = {"external_id": course.external_id, "name": course.name}
    recorder.record(session, EventType.COURSE_DELETED, course_id=course.id, data=deleted)
    note(session, Event.COURSE_DELETED, course_id=course.id)


def empty_cancelled(
    session: Session, course: Course, reason: str | None = None
) -> tuple[list[int], list[int]]:
    """End all enrollments of a course, on which the caller has the exclusive lock, if it is
    cancelled. Nobody is promoted.

    Returns the ids of the students who had a seat, and of those who waited, in their order.
    """
    if course.status != CANCELLED:
        return [], []
    ledger = SeatLedger(session, CourseStates({course.id: _seats(course)}), reason)
    rows = ledger.remove(None, [course.id], Why.CANCELLED)
    if course.term is not None:
        queue_students(session, [row.student_id for row in rows])
    ledger.write()
    session.expire(course, ["seats_taken", "waitlisted", "blocked"])
    seated = sorted((row.enrolled_at, row.student_id) for row in rows if row.state == ENROLLED)
    waiting = sorted((row.ticket, row.student_id) for row in rows if row.state != ENROLLED)
    return [student_id for _, student_id in seated], [student_id for _, student_id in waiting]


def _seats(course: Course) -> Seats:
    return Seats(
        course.id,
        course.capacity,
        course.seats_taken,
        course.waitlist_capacity,
        course.waitlisted,
        course.next_ticket,
        course.status,
        None if course.term is None else course.version,
        course.blocked,
    )


def resize(
    session: Session, course: Course, changes: CourseChanges, reason: str | None = None
) -> None:
    """Apply a new `capacity` and `waitlist_capacity` of `changes` to a course, on which the caller
    has the exclusive lock.

    New seats go to waiting students. If the course becomes unlimited, all of them get a seat,
    except those whose place rules block. If an unlimited course gets a capacity, its students are
    counted first. Raises CapacityBelowEnrolled or WaitlistCapacityBelowWaitlisted, each with both
    numbers.
    """
    if not {"capacity", "waitlist_capacity"} & changes.keys():
        return
    capacity = changes.get("capacity", course.capacity)
    taken = None
    if capacity is not None:
        taken = course.seats_taken if course.seats_taken is not None else _count(session, course)
        if taken > capacity:
            detail = f"{taken} seats are taken."
            raise CapacityBelowEnrolled(detail, capacity=capacity, seats_taken=taken)
    limit = changes.get("waitlist_capacity", course.waitlist_capacity)
    seats = replace(
        _seats(course),
        capacity=capacity,
        seats_taken=taken,
        waitlist_capacity=limit,
        status=changes.get("status", course.status),
    )
    ledger = SeatLedger(session, CourseStates({course.id: seats}), reason)
    end_passed(ledger)
    ledger.promote()
    if limit is not None and seats.waitlisted > limit:
        raise WaitlistCapacityBelowWaitlisted(
            f"{seats.waitlisted} students are on the waitlist.",
            waitlist_capacity=limit,
            waitlisted=seats.waitlisted,
        )
    # The caller writes the counts together with the capacity in one UPDATE. Writing only one of
    # them would violate a constraint.
    course.capacity, course.seats_taken = capacity, seats.seats_taken
    course.waitlisted, course.blocked = seats.waitlisted, seats.blocked
    ledger.write_record()


def _count(session: Session, course: Course) -> int:
    rows = sa.select(sa.func.count()).where(table.c.course_id == course.id)
    return session.scalar(rows) or 0
