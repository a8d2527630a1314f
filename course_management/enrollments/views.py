"""The addresses of enrollments: a student's courses, a course's roster."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from course_management.courses.models import CourseNotFound
from course_management.courses.schemas import CourseQuery
from course_management.enrollments import schemas, service
from course_management.enrollments.models import EnrollmentNotFound
from course_management.errors import Stale
from course_management.students.models import StudentNotFound
from course_management.students.schemas import StudentQuery
from course_management.web import etags
from course_management.web.endpoint import reading, writing
from course_management.web.responses import no_content, page, show

bp = Blueprint("enrollments", __name__)

NEITHER = (StudentNotFound, CourseNotFound)


@bp.post("/students/<id:student_id>/enroll")
@writing(body=schemas.CourseIds(), answer=schemas.StudentResult, status=(200, 201), errors=NEITHER)
def enroll(session: Session, student_id: int, course_ids: list[int]) -> Response:
    """Enroll a student in all of these courses or none; 201 where something was added, 200 where all stood already."""
    result = service.enroll(session, student_id, course_ids)
    return show(schemas.StudentResult, result, 201 if result["added"] else 200)


@bp.put("/students/<id:student_id>/enroll")
@writing(body=schemas.CourseSet(), answer=schemas.StudentResult, errors=NEITHER)
def replace(session: Session, student_id: int, course_ids: list[int]) -> Response:
    """Make these courses the student's whole set: add what is missing, drop what is not named, all or nothing."""
    return show(schemas.StudentResult, service.replace(session, student_id, course_ids))


@bp.get("/students/<id:student_id>/courses")
@reading(query=CourseQuery(), answer=schemas.CourseTaken, many=True, errors=(StudentNotFound,))
def list_courses_of(session: Session, student_id: int, **query: Any) -> Response:
    """List the courses a student takes."""
    return page(service.list_courses_of(session, student_id, **query))


@bp.post("/students/<id:student_id>/courses")
@writing(body=schemas.OneCourse(), answer=schemas.EnrollmentOut, status=(200, 201), errors=NEITHER, etag=True)
def enroll_in_one(session: Session, student_id: int, course_id: int) -> Response:
    """Enroll a student in one course; 201 where it is new, 200 where it stood already."""
    status = 201 if service.enroll(session, student_id, [course_id])["added"] else 200
    enrollment = service.get_enrollment(session, student_id, course_id)
    return show(schemas.EnrollmentOut, enrollment, status, location=f"/students/{student_id}/courses/{course_id}")


@bp.get("/students/<id:student_id>/courses/<id:course_id>")
@reading(answer=schemas.EnrollmentOut, errors=(*NEITHER, EnrollmentNotFound), etag=True)
def get_enrollment(session: Session, student_id: int, course_id: int) -> Response:
    """Read one enrollment."""
    return show(schemas.EnrollmentOut, service.get_enrollment(session, student_id, course_id))


@bp.delete("/students/<id:student_id>/courses/<id:course_id>")
@writing(status=(204,), errors=(*NEITHER, EnrollmentNotFound, Stale), etag=True)
def drop(session: Session, student_id: int, course_id: int) -> Response:
    """Drop one course."""
    etags.require(service.get_enrollment(session, student_id, course_id, for_update=True))
    service.drop(session, student_id, course_id)
    return no_content()


@bp.get("/courses/<course:course>/students")
@reading(query=StudentQuery(), answer=schemas.StudentEnrolled, many=True, errors=(CourseNotFound,))
def list_students_of(session: Session, course: int | str, **query: Any) -> Response:
    """List the students who take a course: its roster."""
    return page(service.list_students_of(session, course, **query))


@bp.post("/courses/<course:course>/students")
@writing(body=schemas.StudentIds(), answer=schemas.CourseResult, status=(200, 201), errors=NEITHER)
def enroll_many(session: Session, course: int | str, student_ids: list[int]) -> Response:
    """Enroll many students in one course, all or none; 201 where somebody was added, 200 where all stood already."""
    result = service.enroll_many(session, course, student_ids)
    return show(schemas.CourseResult, result, 201 if result["added"] else 200)


@bp.post("/courses/<course:course>/drop")
@writing(body=schemas.StudentIds(), answer=schemas.DropResult, errors=(*NEITHER, EnrollmentNotFound))
def drop_many(session: Session, course: int | str, student_ids: list[int]) -> Response:
    """Drop many students from one course, all or none."""
    return show(schemas.DropResult, service.drop_many(session, course, student_ids))
