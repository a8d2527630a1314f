"""Finds the courses and students that the body of a request names by external id, before the
request is checked. A request with ids costs no statement more.
"""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.engine import Connection

from course_management.courses import queries as courses
from course_management.db.base import Reader
from course_management.enrollments import prechecks
from course_management.enrollments.requests import ChangeRequest, EnrollmentRequest, RosterRequest
from course_management.students import queries as students
from course_management.web.external_ids import resolve

StudentRequest = TypeVar("StudentRequest", EnrollmentRequest, ChangeRequest)


def find_students(reader: Reader, request: RosterRequest) -> None:
    """Set the ids of the request, if it has external ids. Raises StudentNotFound."""
    if request.external_ids is not None:
        request.student_ids = resolve(reader, students.require_ids, request.external_ids)


def precheck_enrollment(
    connection: Connection, student_id: int, request: StudentRequest
) -> StudentRequest:
    """As `prechecks.precheck_enrollment`, with the ids of the courses. Raises CourseNotFound."""
    if request.external_ids is not None:
        request.course_ids = resolve(connection, courses.require_ids, request.external_ids)
    return prechecks.precheck_enrollment(connection, student_id, request)


def precheck_roster(
    connection: Connection, course: int | str, request: RosterRequest
) -> RosterRequest:
    """As `prechecks.precheck_roster`, with the ids of the students. Raises StudentNotFound."""
    find_students(connection, request)
    return prechecks.precheck_roster(connection, course, request)
