"""Refuse requests for full or closed courses early: on rows that are read without a lock, before a
transaction begins. On a registration day most requests are refused, and each refusal then costs one
statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy.engine import Connection

from course_management.courses import queries as courses
from course_management.enrollments.allocation import allocate
from course_management.enrollments.locks import read_unlocked
from course_management.enrollments.registration import forget_ended, judge, lifted, read_case
from course_management.enrollments.requests import ChangeRequest, EnrollmentRequest, RosterRequest

StudentRequest = TypeVar("StudentRequest", EnrollmentRequest, ChangeRequest)


def precheck_enrollment(
    connection: Connection, student_id: int, request: StudentRequest
) -> StudentRequest:
    """Refuse the request without taking a lock if it cannot succeed. Returns the request with its
    `capped_course_ids`.

    Raises RulesBroken and the errors of `allocation.refusal`, but only if all courses and the
    student exist. The service decides all other requests under the locks.
    """
    request.capped_course_ids = _refuse_early(connection, [student_id], request.course_ids, request)
    return request


def precheck_roster(
    connection: Connection, course: int | str, request: RosterRequest
) -> RosterRequest:
    """Refuse the request without taking a lock if it cannot succeed. Returns the request with the
    id of the course.

    Raises CourseNotFound for an unknown name. Raises RulesBroken and the errors of
    `allocation.refusal`, but only if all students exist. The service decides all other requests
    under the locks.
    """
    request.course_id = courses.get_course_id(connection, course)
    capped = _refuse_early(connection, request.student_ids, [request.course_id], request)
    request.is_capped = bool(capped)
    return request


def _refuse_early(
    connection: Connection,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    request: EnrollmentRequest | ChangeRequest | RosterRequest,
) -> list[int]:
    """The ids of the courses that have a capacity.

    Raises the errors of the request, but only if all courses and students exist: the errors about
    missing ids come first.
    """
    found = read_unlocked(connection, student_ids, course_ids)
    # Only the service finds what a replacement drops, so only it can judge that.
    unclear = request.replaces and any(course.has_term for course in found.courses.values())
    complete = len(found.courses) == len(course_ids) and found.student_count == len(student_ids)
    if complete and not unclear:
        pairs = [(s, c) for s in student_ids for c in course_ids]
        case = read_case(connection, found, student_ids, request)
        forget_ended(found, case)
        allocation, refusals = allocate(
            *(found.courses, found.states, pairs),
            waitlist=request.waitlist,
            lifted=lifted(case),
        )
        dropped = [(s, c) for s in student_ids for c in request.drop]
        judge(case, allocation, refusals, dropped)
    return [course.id for course in found.courses.values() if course.is_counted]
