"""Writes of enrollments. `locks.py` locks and reads, `allocation.py` decides who gets a seat,
`ledger.py` changes the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.courses import queries as courses
from course_management.courses.models import CourseNotFound
from course_management.enrollments import registration
from course_management.enrollments.allocation import Allocation
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.ledger_statements import table
from course_management.enrollments.locks import (
    CourseStates,
    lock,
    lock_students,
    require_all,
)
from course_management.enrollments.models import EnrollmentNotFound
from course_management.enrollments.queries import get_course_set
from course_management.enrollments.replaced_courses import find_replaced
from course_management.enrollments.requests import (
    ChangeRequest,
    CourseResult,
    CourseSet,
    EnrollmentRequest,
    RosterRequest,
    RuledRequest,
    StudentResult,
)
from course_management.enrollments.waitlist_ends import end_passed
from course_management.history import recorder
from course_management.history.models import EventType, Why
from course_management.students.models import Student
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note


def enroll(session: Session, student_id: int, request: EnrollmentRequest) -> StudentResult:
    """Enroll a student in all courses of the request or in none.

    Raises StudentNotFound, CourseNotFound with every missing id, RulesBroken, or the errors of
    `allocation.refusal`.
    """
    found = lock(
        session,
        [student_id],
        request.course_ids,
        request.capped_course_ids,
        ruled=request.facts is not None,
    )
    if found.student_count != 1:
        lock_students(session, [student_id])
    return _change(session, student_id, request, [], found)


def replace_courses(session: Session, student_id: int, request: EnrollmentRequest) -> StudentResult:
    """Replace courses of the student by those of the request, or change nothing: all courses
    without a term, and those of the terms that `find_replaced` names. The student gives up an old
    seat only if they get every new one.

    Raises the errors of `enroll`. `removed` lists the dropped courses.
    """
    lock_students(session, [student_id])
    others = find_replaced(session, student_id, request)
    wanted = [*request.course_ids, *others]
    found = lock(session, [student_id], wanted, request.capped_course_ids, students_locked=True)
    # The student may be out of a course that was cancelled while this request waited for it.
    held = [course_id for course_id in others if (student_id, course_id) in found.states]
    result = _change(session, student_id, request, held, found)
    if any(course.has_term for course in found.courses.values()) or request.term:
        whole = get_course_set(session, student_id)  # the student may have courses of other terms
    else:
        whole = CourseSet(student_id, [*result.added, *result.kept], result.waitlisted or ())
    return replace(result, etag=whole.etag)


def change_courses(session: Session, student_id: int, request: ChangeRequest) -> StudentResult:
    """Add and drop courses of a student, all or nothing. The student gives up the courses of `drop`
    only if they get every course of `add`.

    Raises the errors of `enroll`, and EnrollmentNotFound with every course of `drop` that the
    student neither takes nor waits for.
    """
    lock_students(session, [student_id])
    courses = [*request.course_ids, *request.drop]
    found = lock(session, [student_id], courses, request.capped_course_ids, students_locked=True)
    held = {course_id for _, course_id in found.states}
    require_all(courses, set(found.courses), CourseNotFound, "Some of the courses do not exist.")
    detail = "The student neither takes nor waits for some of the courses to drop."
    require_all(request.drop, held, EnrollmentNotFound, detail)
    result = _change(session, student_id, request, request.drop, found)
    return replace(result, etag=get_course_set(session, student_id).etag)


def enroll_many(session: Session, course: int | str, request: RosterRequest) -> CourseResult:
    """Enroll all students of the request in a course, or none.

    Raises CourseNotFound, StudentNotFound with every missing id, RulesBroken, or the errors of
    `allocation.refusal`.
    """
    course_id = _course_id(session, course, request)
    found = _lock_roster(session, course_id, request)
    case = registration.read_case(session.connection(), found, request.student_ids, request)
    ledger = SeatLedger(session, found, request.reason)
    registration.end_waitlists(ledger, case)
    pairs = [(student_id, course_id) for student_id in request.student_ids]
    allocation, refusals = ledger.allocate(
        pairs, waitlist=request.waitlist, lifted=registration.lifted(case)
    )
    judgement = registration.judge(case, allocation, refusals)
    registration.write(ledger, case, judgement)
    added, kept, waitlisted = _ids(allocation, 0)
    shown = waitlisted if request.waitlist else None
    warnings = registration.shown(judgement.warnings)
    return CourseResult(course_id, added, kept, shown, allocation.changed, warnings)


def drop_many(session: Session, course: int | str, request: RosterRequest) -> int:
    """End the enrollments of all students of the request in a course, or of none. Returns the id of
    the course.

    Raises CourseNotFound, or StudentNotFound or EnrollmentNotFound with every missing id, or
    RulesBroken.
    """
    course_id = _course_id(session, course, request)
    found = _lock_roster(session, course_id, request)
    held = {student_id for student_id, _ in found.states}
    detail = "Some of the students do not take the course."
    require_all(request.student_ids, held, EnrollmentNotFound, detail)
    _drop(session, found, request.student_ids, course_id, request, Why.REMOVED)
    return course_id


def drop(session: Session, student_id: int, course_id: int, request: RuledRequest) -> None:
    """End one enrollment. The caller has locked the student. Raises RulesBroken."""
    found = lock(session, [student_id], [course_id], students_locked=True)
    _drop(session, found, [student_id], course_id, request, Why.DROPPED)


def delete_student(session: Session, student: Student, reason: str | None = None) -> None:
    """Delete a student, whom the caller has locked, and end their enrollments.

    The history keeps `reason` for the students who are promoted, and for nobody else.
    """
    taken = sa.select(table.c.course_id).where(table.c.student_id == student.id)
    course_ids = list(session.scalars(taken.order_by(table.c.course_id)))
    found = lock(session, [student.id], course_ids, students_locked=True)
    ledger = SeatLedger(session, found, reason)
    end_passed(ledger)
    ledger.remove([student.id], course_ids, Why.STUDENT_DELETED)
    ledger.write()
    session.delete(student)
    session.flush()
    recorder.clear_reasons(session, student.id)
    deleted = {"external_id": student.external_id}
    recorder.record(session, EventType.STUDENT_DELETED, student_id=student.id, data=deleted)
    note(session, Event.STUDENT_DELETED, student_id=student.id)


def _course_id(session: Session, course: int | str, request: RosterRequest) -> int:
    """The id of the course: the one that the precheck found, if there was a precheck."""
    return request.course_id or courses.get_course_id(session.connection(), course)


def _lock_roster(session: Session, course_id: int, request: RosterRequest) -> CourseStates:
    capped = [course_id] if request.is_capped else []
    found = lock(session, request.student_ids, [course_id], capped)
    if not found.courses:  # a missing course is reported before missing students
        raise CourseNotFound
    if found.student_count != len(request.student_ids):
        lock_students(session, request.student_ids, in_body=True)
    return found


def _change(
    session: Session,
    student_id: int,
    request: EnrollmentRequest | ChangeRequest,
    drop: Sequence[int],
    found: CourseStates,
) -> StudentResult:
    """Drop these courses and add those of the request. All of them are locked."""
    detail = "Some of the courses do not exist."
    require_all(request.course_ids, set(found.courses), CourseNotFound, detail)
    case = registration.read_case(session.connection(), found, [student_id], request)
    ledger = SeatLedger(session, found, request.reason)
    registration.end_waitlists(ledger, case)
    if drop:
        ledger.remove([student_id], drop, Why.DROPPED)
    pairs = [(student_id, course_id) for course_id in request.course_ids]
    allocation, refusals = ledger.allocate(
        pairs, waitlist=request.waitlist, lifted=registration.lifted(case)
    )
    dropped = [(student_id, course_id) for course_id in drop]
    judgement = registration.judge(case, allocation, refusals, dropped)
    registration.write(ledger, case, judgement)
    added, kept, waitlisted = _ids(allocation, 1)
    return StudentResult(
        student_id,
        added,
        kept,
        list(drop),
        waitlisted if request.waitlist else None,
        allocation.changed,
        warnings=registration.shown(judgement.warnings),
    )


def _drop(
    session: Session,
    found: CourseStates,
    student_ids: Sequence[int],
    course_id: int,
    request: RuledRequest,
    why: Why,
) -> None:
    """End the enrollments of these students in a course, which is locked."""
    case = registration.read_case(session.connection(), found, student_ids, request)
    ledger = SeatLedger(session, found, request.reason)
    registration.end_waitlists(ledger, case)
    dropped = [(student_id, course_id) for student_id in student_ids]
    judgement = registration.judge(case, Allocation(), [], dropped)
    ledger.remove(student_ids, [course_id], why)
    registration.write(ledger, case, judgement)


def _ids(allocation: Allocation, position: int) -> tuple[list[int], list[int], list[int]]:
    """The ids of the students (position 0 of a pair) or of the courses (1) with a new seat, with a
    seat they had before, and on the waitlist.
    """
    return (
        [pair[position] for pair in allocation.added],
        [pair[position] for pair in allocation.already_enrolled],
        [pair[position] for pair in allocation.waitlisted],
    )
