"""The addresses of enrollments: a student's courses, a course's roster, and the record of both."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Stale
from course_management.courses.models import CourseFull, CourseNotFound, NoRoom, WaitlistFull
from course_management.courses.queries import get_course_id
from course_management.enrollments import queries, schemas, service
from course_management.enrollments.ledger import lock_students
from course_management.enrollments.models import EnrollmentNotFound
from course_management.students.models import StudentNotFound
from course_management.web import access, etags
from course_management.web.endpoint import reading, writing
from course_management.web.problems import from_error
from course_management.web.rendering import json_response, list_response, no_content, prefers_count
from course_management.web.request_context import BODY_KEY, current

bp = Blueprint("enrollments", __name__)

Known = dict[str, Any]

NEITHER = (StudentNotFound, CourseNotFound)
REFUSALS = (*NEITHER, CourseFull, WaitlistFull)


@bp.app_errorhandler(NoRoom)
def refuse(error: NoRoom) -> Response:
    """The problem of courses without room, with where in the body each was asked for first what
    it could not give.
    """
    body = orjson.loads(current().environ.get(BODY_KEY, b"{}"))
    faults = [
        {"pointer": _pointer(body, *one.pair), "code": error.code, "detail": one.detail}
        for one in error.refusals
    ]
    error.fields |= {"errors": faults} if faults else {}
    return from_error(error)


def _pointer(body: dict[str, Any], student_id: int, course_id: int) -> str:
    if "student_ids" in body:
        return f"/student_ids/{body['student_ids'].index(student_id)}"
    return (
        f"/course_ids/{body['course_ids'].index(course_id)}"
        if "course_ids" in body
        else "/course_id"
    )


def look_at_courses(
    connection: Connection, student_id: int, course_ids: list[int], waitlist: bool
) -> Known:
    """Refuse full courses before anything is locked."""
    return {"limited": service.look(connection, [student_id], course_ids, waitlist=waitlist)}


def look_at_course(
    connection: Connection, student_id: int, course_id: int, waitlist: bool
) -> Known:
    """Refuse a full course before anything is locked."""
    return {"limited": service.look(connection, [student_id], [course_id], waitlist=waitlist)}


def look_at_students(
    connection: Connection, course: int | str, student_ids: list[int], waitlist: bool
) -> Known:
    """Refuse students for whom a course has no seats before anything is locked."""
    course_id = get_course_id(connection, course)
    return {
        "course": course_id,
        "limited": service.look(connection, student_ids, [course_id], waitlist=waitlist),
    }


@bp.post("/students/<id:student_id>/enroll", endpoint="enrollStudent")
@writing(
    scope="enrollments:write",
    allow_self=True,
    first=look_at_courses,
    body=schemas.CourseIds(),
    answer=schemas.StudentResult,
    status=(200, 201),
    errors=REFUSALS,
)
def enroll(
    session: Session, student_id: int, course_ids: list[int], waitlist: bool, limited: list[int]
) -> Response:
    """Enroll a student in all of these courses or none; 201 where something was added, 200 where
    all stood already.
    """
    result = service.enroll(session, student_id, course_ids, waitlist=waitlist, limited=limited)
    return json_response(schemas.StudentResult, result, 201 if result["new"] else 200)


@bp.put("/students/<id:student_id>/enroll", endpoint="replaceStudentCourses")
@writing(
    scope="enrollments:write",
    allow_self=True,
    first=look_at_courses,
    body=schemas.CourseSet(),
    answer=schemas.StudentResult,
    errors=REFUSALS,
)
def replace(
    session: Session, student_id: int, course_ids: list[int], waitlist: bool, limited: list[int]
) -> Response:
    """Make these courses the student's whole set: add what is missing, drop what is not named,
    all or nothing.
    """
    return json_response(
        schemas.StudentResult,
        service.replace(session, student_id, course_ids, waitlist=waitlist, limited=limited),
    )


@bp.get("/students/<id:student_id>/courses", endpoint="listStudentCourses")
@reading(
    scope="enrollments:read",
    allow_self=True,
    query=schemas.TakenQuery(),
    answer=schemas.CourseTaken,
    is_list=True,
    errors=(StudentNotFound,),
)
def list_courses_of(connection: Connection, student_id: int, **query: Any) -> Response:
    """List the courses a student takes or waits for."""
    return list_response(queries.list_courses_of(connection, student_id, **query))


@bp.post("/students/<id:student_id>/courses", endpoint="enrollStudentInCourse")
@writing(
    scope="enrollments:write",
    allow_self=True,
    first=look_at_course,
    body=schemas.OneCourse(),
    answer=schemas.EnrollmentOut,
    status=(200, 201),
    errors=REFUSALS,
    etag=True,
)
def enroll_in_one(
    session: Session, student_id: int, course_id: int, waitlist: bool, limited: list[int]
) -> Response:
    """Enroll a student in one course; 201 where it is new, 200 where it stood already."""
    status = (
        201
        if service.enroll(session, student_id, [course_id], waitlist=waitlist, limited=limited)[
            "new"
        ]
        else 200
    )
    enrollment = service.get_enrollment(session, student_id, course_id)
    return json_response(
        schemas.EnrollmentOut,
        enrollment,
        status,
        location=f"/students/{student_id}/courses/{course_id}",
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
    return json_response(
        schemas.EnrollmentOut, service.get_enrollment(connection, student_id, course_id)
    )


@bp.delete("/students/<id:student_id>/courses/<id:course_id>", endpoint="deleteEnrollment")
@writing(
    scope="enrollments:write",
    allow_self=True,
    status=(204,),
    errors=(*NEITHER, EnrollmentNotFound, Stale),
    etag=True,
)
def drop(session: Session, student_id: int, course_id: int) -> Response:
    """Drop one course, or leave its line; a freed seat goes to the first in line."""
    lock_students(session, [student_id])
    etags.require(service.get_enrollment(session, student_id, course_id))
    service.drop(session, student_id, course_id)
    return no_content()


@bp.get("/students/<id:student_id>/history", endpoint="listStudentHistory")
@reading(
    scope="enrollments:read",
    allow_self=True,
    query=schemas.HistoryQuery(),
    answer=schemas.EventOut,
    is_list=True,
    errors=(StudentNotFound,),
)
def student_history(connection: Connection, student_id: int, **query: Any) -> Response:
    """List a student's moves, the newest first; a deleted student's too."""
    return list_response(
        queries.student_history(connection, student_id, seen_by=access.own_name(), **query)
    )


@bp.get("/courses/<course:course>/students", endpoint="listCourseStudents")
@reading(
    scope="enrollments:read",
    query=schemas.RosterQuery(),
    answer=schemas.StudentEnrolled,
    is_list=True,
    counts=True,
    errors=(CourseNotFound,),
)
def list_students_of(connection: Connection, course: int | str, **query: Any) -> Response:
    """List the students who take a course or wait for it: its roster."""
    answer = list_response(
        queries.list_students_of(connection, course, counted=prefers_count(), **query)
    )
    answer.vary.add("Prefer")
    return answer


@bp.post("/courses/<course:course>/students", endpoint="enrollStudents")
@writing(
    scope="enrollments:write",
    first=look_at_students,
    body=schemas.StudentIdsToEnroll(),
    answer=schemas.CourseResult,
    status=(200, 201),
    errors=REFUSALS,
)
def enroll_many(
    session: Session, course: int | str, student_ids: list[int], waitlist: bool, limited: list[int]
) -> Response:
    """Enroll many students in one course, all or none, seats in this order; 201 where somebody
    was added, else 200.
    """
    result = service.enroll_many(session, course, student_ids, waitlist=waitlist, limited=limited)
    return json_response(schemas.CourseResult, result, 201 if result["new"] else 200)


@bp.post("/courses/<course:course>/drop", endpoint="dropStudents")
@writing(
    scope="enrollments:write",
    body=schemas.StudentIds(),
    answer=schemas.DropResult,
    errors=(*NEITHER, EnrollmentNotFound),
)
def drop_many(session: Session, course: int | str, student_ids: list[int]) -> Response:
    """Drop many students from one course, seat or place in line, all or none; freed seats go to
    the first in line.
    """
    return json_response(schemas.DropResult, service.drop_many(session, course, student_ids))


@bp.get("/courses/<course:course>/history", endpoint="listCourseHistory")
@reading(
    scope="enrollments:read",
    query=schemas.HistoryQuery(),
    answer=schemas.EventOut,
    is_list=True,
    errors=(CourseNotFound,),
)
def course_history(connection: Connection, course: int | str, **query: Any) -> Response:
    """List the moves in a course, the newest first; by its id, a deleted course's too."""
    return list_response(queries.course_history(connection, course, **query))
