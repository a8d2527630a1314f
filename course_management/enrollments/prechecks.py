"""Refuse requests for full courses early: on rows that are read without a lock, before a
transaction begins. On a registration day most requests are refused, and each refusal then costs one
statement.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from sqlalchemy.engine import Connection

from course_management.courses import queries as courses
from course_management.enrollments.allocation import allocate
from course_management.enrollments.locks import CourseStates, read_unlocked
from course_management.enrollments.requests import ChangeRequest, EnrollmentRequest, RosterRequest


def precheck_enrollment(
    connection: Connection, student_id: int, request: EnrollmentRequest
) -> EnrollmentRequest:
    """Refuse the request without taking a lock if it cannot succeed. Returns the request with its
    `capped_course_ids`.

    Raises the errors of `allocation.allocate`, but only if all courses and the student exist. The
    service decides all other requests under the locks.
    """
    found = read_unlocked(connection, [student_id], request.course_ids)
    capped = _refuse_without_room(found, [student_id], request.course_ids, request.waitlist)
    request.capped_course_ids = capped
    return request


def precheck_changes(
    connection: Connection, student_id: int, request: ChangeRequest
) -> ChangeRequest:
    """As `precheck_enrollment`, for the courses to add. Those that the request drops are others, so
    their seats make no difference.
    """
    found = read_unlocked(connection, [student_id], request.course_ids)
    capped = _refuse_without_room(found, [student_id], request.course_ids, request.waitlist)
    request.capped_course_ids = capped
    return request


def precheck_roster(
    connection: Connection, course: int | str, request: RosterRequest
) -> RosterRequest:
    """Refuse the request without taking a lock if it cannot succeed. Returns the request with the
    id of the course.

    Raises CourseNotFound for an unknown name. Raises the errors of `allocation.allocate`, but only
    if all students exist. The service decides all other requests
    under the locks.
    """
    course_id = courses.get_course_id(connection, course)
    found = read_unlocked(connection, request.student_ids, [course_id])
    capped = _refuse_without_room(found, request.student_ids, [course_id], request.waitlist)
    request.course_id, request.is_capped = course_id, bool(capped)
    return request


def _refuse_without_room(
    found: CourseStates,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    waitlist: bool | Container[int],
) -> list[int]:
    """The ids of the courses that have a capacity.

    Raises the errors of `allocation.allocate`, but only if all courses and students exist: the
    errors about missing ids come first.
    """
    capped = [course.id for course in found.courses.values() if course.capacity is not None]
    complete = len(found.courses) == len(course_ids) and found.student_count == len(student_ids)
    if complete:
        pairs = [(s, c) for s in student_ids for c in course_ids]
        allocate(found.courses, found.states, pairs, waitlist=waitlist)
    return capped
