"""The routes of students."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import ExternalIdTaken, Stale
from course_management.enrollments import service as enrollments
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.rule_schemas import rules_context
from course_management.history.schemas import ReasonOnly
from course_management.students import queries, service
from course_management.students.models import StudentChanges, StudentEmailTaken, StudentNotFound
from course_management.students.schemas import StudentIn, StudentInChange, StudentOut, StudentQuery
from course_management.web import access, etags
from course_management.web.changes import without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content

bp = Blueprint("students", __name__)

TAKEN = (StudentEmailTaken, ExternalIdTaken)


@bp.post("/students", endpoint="createStudent")
@writing(
    scope="students:write",
    body=StudentIn(),
    answer=StudentOut,
    status=(201,),
    errors=TAKEN,
    clashes=service.find_clashes,
    etag=True,
)
def create_student(session: Session, request: dict[str, Any]) -> Response:
    """Create a student."""
    access.refuse_new_identity(request)
    access.refuse_new_groups(request)
    student = service.create_student(session, **request)
    return json_response(StudentOut, student, 201, location=f"/students/{student.id}")


@bp.get("/students", endpoint="listStudents")
@reading(scope="students:read", query=StudentQuery(), answer=StudentOut, is_list=True)
def list_students(connection: Connection, query: dict[str, Any]) -> Response:
    """List the students."""
    return list_response(queries.list_students(connection, **query))


@bp.get("/students/<id:student_id>", endpoint="getStudent")
@reading(
    scope="students:read", allow_self=True, answer=StudentOut, errors=(StudentNotFound,), etag=True
)
def get_student(connection: Connection, student_id: int) -> Response:
    """Read a student."""
    return json_response(StudentOut, queries.show_student(connection, student_id))


@bp.put("/students/<id:student_id>", endpoint="updateStudent")
@bp.patch("/students/<id:student_id>", endpoint="patchStudent")
@writing(
    scope="students:write",
    body=StudentInChange(),
    answer=StudentOut,
    errors=(StudentNotFound, *TAKEN, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def update_student(session: Session, student_id: int, request: StudentChanges) -> Response:
    """Change a student. Fields that are not in the body keep their values; null clears a field."""
    student = service.lock_student(session, student_id)
    changes = without_id(student.id, request)
    etags.require(student)
    access.refuse_new_identity(changes, student)
    access.refuse_new_groups(changes, student)
    groups = student.groups
    changed = service.update_student(session, student, changes)
    if changed.groups != groups:
        recheck(session, student_id, rules_context())
    return json_response(StudentOut, changed)


@bp.delete("/students/<id:student_id>", endpoint="deleteStudent")
@writing(
    scope="students:write",
    body=ReasonOnly(),
    status=(204,),
    errors=(StudentNotFound, Stale),
    etag=True,
)
def delete_student(session: Session, student_id: int, request: dict[str, Any]) -> Response:
    """Delete a student and end their enrollments. Freed seats go to waiting students."""
    student = service.lock_student(session, student_id)
    etags.require(student)
    enrollments.delete_student(session, student, request["reason"])
    return no_content()
