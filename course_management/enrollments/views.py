"""The routes of enrollments: a student's courses, a course's roster, and the history of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Stale
from course_management.courses.models import CourseNotFound
from course_management.courses.refusals import (
    CourseCancelled,
    CourseClosed,
    CourseFull,
    EnrollmentRefused,
    WaitlistFull,
)
from course_management.enrollments import named_rows, queries, schemas, service
from course_management.enrollments.locks import lock_students
from course_management.enrollments.models import EnrollmentNotFound
from course_management.enrollments.refusal_documents import render_broken, render_refused
from course_management.enrollments.refusals import RulesBroken
from course_management.enrollments.requests import (
    ChangeRequest,
    EnrollmentRequest,
    RosterRequest,
    RuledRequest,
)
from course_management.history.schemas import EventOut, HistoryQuery
from course_management.students.models import StudentNotFound
from course_management.terms.models import TermNotFound
from course_management.web import access, etags
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content

bp = Blueprint("enrollments", __name__)

NEITHER = (StudentNotFound, CourseNotFound)
SEATS = (CourseFull, WaitlistFull, CourseClosed, CourseCancelled)
REFUSALS = (*NEITHER, *SEATS, RulesBroken)


bp.app_errorhandler(EnrollmentRefused)(render_refused)
bp.app_errorhandler(RulesBroken)(render_broken)


@bp.post("/students/<id:student_id>/enroll", endpoint="enrollStudent")
@writing(
    ruled=True,
    scope="enrollments:write",
    allow_self=True,
    precheck=named_rows.precheck_enrollment,
    body=schemas.CourseIds(),
    answer=schemas.StudentResult,
    status=(200, 201),
    errors=REFUSALS,
)
def enroll(session: Session, student_id: int, request: EnrollmentRequest) -> Response:
    """Enroll a student in courses, all or none: 201 if a seat or position is new, else 200."""
    result = service.enroll(session, student_id, request)
    return json_response(schemas.StudentResult, result, 201 if result.changed else 200)


@bp.put("/students/<id:student_id>/enroll", endpoint="replaceStudentCourses")
@writing(
    ruled=True,
    scope="enrollments:write",
    allow_self=True,
    precheck=named_rows.precheck_enrollment,
    body=schemas.CourseSet(),
    answer=schemas.StudentResult,
    errors=(*REFUSALS, TermNotFound, Stale),
    etag=True,
)
def replace_courses(session: Session, student_id: int, request: EnrollmentRequest) -> Response:
    """Replace courses of a student by these: add and drop, all or nothing.

    With `term`, the courses of this whole term are replaced. Without, those without a term, and
    those of the whole terms of the courses in the body.

    Mind two traps. Without `"waitlist": true`, a course for which the student waits is refused.
    With it, the student may give up a seat for a waitlist position. `changes` has neither.
    """
    _compare_set(session, student_id)
    result = service.replace_courses(session, student_id, request)
    return json_response(schemas.StudentResult, result)


@bp.get("/students/<id:student_id>/enroll", endpoint="getStudentCourseSet")
@reading(
    scope="enrollments:read",
    allow_self=True,
    answer=schemas.CourseSetOut,
    errors=(StudentNotFound,),
    etag=True,
)
def get_course_set(connection: Connection, student_id: int) -> Response:
    """Read all courses of a student as one resource, with an ETag for its writes."""
    return json_response(schemas.CourseSetOut, queries.get_course_set(connection, student_id))


@bp.post("/students/<id:student_id>/changes", endpoint="changeStudentCourses")
@writing(
    ruled=True,
    scope="enrollments:write",
    allow_self=True,
    precheck=named_rows.precheck_enrollment,
    body=schemas.Changes(),
    answer=schemas.StudentResult,
    errors=(*REFUSALS, EnrollmentNotFound, Stale),
    etag=True,
    conditional=True,
)
def change_courses(session: Session, student_id: int, request: ChangeRequest) -> Response:
    """Add and drop courses of a student: all or nothing. Courses that are not named stay."""
    _compare_set(session, student_id)
    result = service.change_courses(session, student_id, request)
    return json_response(schemas.StudentResult, result)


def _compare_set(session: Session, student_id: int) -> None:
    """Compare the preconditions of the request, if it has any, with all courses of the student."""
    if etags.has_preconditions():
        lock_students(session, [student_id])
        etags.require(queries.get_course_set(session, student_id))


@bp.get("/students/<id:student_id>/courses", endpoint="listStudentCourses")
@reading(
    scope="enrollments:read",
    allow_self=True,
    query=schemas.TakenQuery(),
    answer=schemas.CourseTaken,
    is_list=True,
    errors=(StudentNotFound,),
)
def list_courses_of(connection: Connection, student_id: int, query: dict[str, Any]) -> Response:
    """List the courses that a student takes or waits for."""
    return list_response(queries.list_courses_of(connection, student_id, **query))


@bp.post("/students/<id:student_id>/courses", endpoint="enrollStudentInCourse")
@writing(
    ruled=True,
    scope="enrollments:write",
    allow_self=True,
    precheck=named_rows.precheck_enrollment,
    body=schemas.OneCourse(),
    answer=schemas.EnrollmentWritten,
    status=(200, 201),
    errors=REFUSALS,
    etag=True,
)
def enroll_in_one(session: Session, student_id: int, request: EnrollmentRequest) -> Response:
    """Enroll a student in one course: 201 if the enrollment is new, 200 if it existed."""
    (course_id,) = request.course_ids
    result = service.enroll(session, student_id, request)
    enrollment = queries.get_enrollment(session, student_id, course_id)
    if result.warnings:
        enrollment = replace(enrollment, warnings=result.warnings)
    location = f"/students/{student_id}/courses/{course_id}"
    return json_response(
        schemas.EnrollmentWritten, enrollment, 201 if result.changed else 200, location
    )


@bp.get("/students/<id:student_id>/courses/<id:course_id>", endpoint="getEnrollment")
@reading(
    scope="enrollments:read",
    allow_self=True,
    answer=schemas.EnrollmentOut,
    errors=(*NEITHER, EnrollmentNotFound),
    etag=True,
)
def get_enrollment(connection: Connection, student_id: int, course_id: int) -> Response:
    """Read one enrollment."""
    enrollment = queries.get_enrollment(connection, student_id, course_id)
    return json_response(schemas.EnrollmentOut, enrollment)


@bp.delete("/students/<id:student_id>/courses/<id:course_id>", endpoint="deleteEnrollment")
@writing(
    ruled=True,
    scope="enrollments:write",
    allow_self=True,
    body=schemas.DropOne(),
    status=(204,),
    errors=(*NEITHER, EnrollmentNotFound, RulesBroken, Stale),
    etag=True,
)
def drop(session: Session, student_id: int, course_id: int, request: RuledRequest) -> Response:
    """Drop one course, or leave its waitlist. A freed seat goes to the next waiting student."""
    lock_students(session, [student_id])
    etags.require(queries.get_enrollment(session, student_id, course_id))
    service.drop(session, student_id, course_id, request)
    return no_content()


@bp.get("/students/<id:student_id>/history", endpoint="listStudentHistory")
@reading(
    scope="enrollments:read",
    allow_self=True,
    query=HistoryQuery(),
    answer=EventOut,
    is_list=True,
    errors=(StudentNotFound,),
)
def student_history(connection: Connection, student_id: int, query: dict[str, Any]) -> Response:
    """List the changes of a student's enrollments, newest first; also for a deleted student."""
    seen_by = access.own_name()
    return list_response(queries.student_history(connection, student_id, seen_by=seen_by, **query))


@bp.get("/courses/<course:course>/students", endpoint="listCourseStudents")
@reading(
    scope="enrollments:read",
    query=schemas.RosterQuery(),
    answer=schemas.StudentEnrolled,
    is_list=True,
    errors=(CourseNotFound,),
)
def list_students_of(connection: Connection, course: int | str, query: dict[str, Any]) -> Response:
    """List the students who take a course or wait for it: its roster."""
    return list_response(queries.list_students_of(connection, course, **query))


@bp.post("/courses/<course:course>/students", endpoint="enrollStudents")
@writing(
    plans=True,
    ruled=True,
    scope="enrollments:write",
    precheck=named_rows.precheck_roster,
    body=schemas.StudentIdsToEnroll(),
    answer=schemas.CourseResult,
    status=(200, 201),
    errors=REFUSALS,
)
def enroll_many(session: Session, course: int | str, request: RosterRequest) -> Response:
    """Enroll students in a course, all or none: 201 if a seat or position is new, else 200."""
    result = service.enroll_many(session, course, request)
    return json_response(schemas.CourseResult, result, 201 if result.changed else 200)


@bp.post("/courses/<course:course>/drop", endpoint="dropStudents")
@writing(
    plans=True,
    ruled=True,
    scope="enrollments:write",
    body=schemas.StudentIds(),
    answer=schemas.DropResult,
    errors=(*NEITHER, EnrollmentNotFound, RulesBroken),
)
def drop_many(session: Session, course: int | str, request: RosterRequest) -> Response:
    """Drop many students from one course, all or none. Freed seats go to waiting students."""
    named_rows.find_students(session, request)
    course_id = service.drop_many(session, course, request)
    result = {"course_id": course_id, "removed": request.student_ids}
    return json_response(schemas.DropResult, result)


@bp.get("/courses/<course:course>/history", endpoint="listCourseHistory")
@reading(
    scope="enrollments:read",
    query=HistoryQuery(),
    answer=EventOut,
    is_list=True,
    errors=(CourseNotFound,),
)
def course_history(connection: Connection, course: int | str, query: dict[str, Any]) -> Response:
    """List the changes of a course's enrollments, newest first; also for a deleted course."""
    return list_response(queries.course_history(connection, course, **query))
