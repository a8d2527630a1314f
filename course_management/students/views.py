"""The routes of students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import ExternalIdTaken, Stale
from course_management.enrollments import service as enrollments
from course_management.enrollments.recheck_queue import queue_students
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.rule_schemas import rules_context
from course_management.history.schemas import ReasonOnly
from course_management.students import batch, queries, service
from course_management.students.models import (
    Student,
    StudentChanges,
    StudentEmailTaken,
    StudentNotFound,
)
from course_management.students.schemas import (
    StudentByExternalId,
    StudentIn,
    StudentInChange,
    StudentItems,
    StudentOut,
    StudentQuery,
)
from course_management.web import access, etags
from course_management.web.batches import BatchOut
from course_management.web.changes import as_creation, without_external_id, without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content

bp = Blueprint("students", __name__)

BY_EXTERNAL_ID = "/students/by-external-id/<external_id>"
NEW_STUDENT = StudentIn()
TAKEN = (StudentEmailTaken, ExternalIdTaken)


@bp.post("/students", endpoint="createStudent")
@writing(
    scope="students:write",
    body=NEW_STUDENT,
    answer=StudentOut,
    status=(201,),
    errors=TAKEN,
    clashes=service.find_clashes,
    etag=True,
)
def create_student(session: Session, request: dict[str, Any]) -> Response:
    """Create a student."""
    return _create(session, request)


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
    return _update(session, service.lock_student(session, student_id), request)


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
    return _delete(session, service.lock_student(session, student_id), request)


@bp.get(BY_EXTERNAL_ID, endpoint="getStudentByExternalId")
@reading(scope="students:read", answer=StudentOut, errors=(StudentNotFound,), etag=True)
def get_by_external_id(connection: Connection, external_id: str) -> Response:
    """Read the student with an external id."""
    return json_response(StudentOut, queries.show_by_external_id(connection, external_id))


@bp.put(BY_EXTERNAL_ID, endpoint="upsertStudentByExternalId")
@writing(
    scope="students:write",
    body=StudentByExternalId(),
    answer=StudentOut,
    status=(200, 201),
    errors=(*TAKEN, Stale),
    clashes=service.find_clashes,
    etag=True,
    upserts=True,
)
def upsert_by_external_id(session: Session, external_id: str, request: StudentChanges) -> Response:
    """Create the student with an external id (201), or change them (200)."""
    student = service.find_by_external_id(session, external_id)
    changes = without_external_id(external_id, request)
    if student is not None:
        return _update(session, student, changes)
    fields = as_creation(NEW_STUDENT, external_id, changes)
    etags.require_none()
    return _create(session, fields)


@bp.patch(BY_EXTERNAL_ID, endpoint="patchStudentByExternalId")
@writing(
    scope="students:write",
    body=StudentByExternalId(),
    answer=StudentOut,
    errors=(StudentNotFound, *TAKEN, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def patch_by_external_id(session: Session, external_id: str, request: StudentChanges) -> Response:
    """Change the student with an external id."""
    student = service.lock_by_external_id(session, external_id)
    return _update(session, student, without_external_id(external_id, request))


@bp.delete(BY_EXTERNAL_ID, endpoint="deleteStudentByExternalId")
@writing(
    scope="students:write",
    body=ReasonOnly(),
    status=(204,),
    errors=(StudentNotFound, Stale),
    etag=True,
)
def delete_by_external_id(session: Session, external_id: str, request: dict[str, Any]) -> Response:
    """Delete the student with an external id, as by the id."""
    return _delete(session, service.lock_by_external_id(session, external_id), request)


@bp.post("/students/batch", endpoint="upsertStudents")
@writing(
    scope="students:write",
    body=StudentItems(),
    answer=BatchOut,
    errors=TAKEN,
    clashes=batch.find_clashes,
    upserts=True,
)
def upsert_students(session: Session, request: dict[str, Any]) -> Response:
    """Create and change students by external id, all or none."""
    found = batch.prepare(session, request["items"])
    for student, values in found.pairs():
        access.refuse_new_identity(values, student)
        access.refuse_new_groups(values, student)
    result = batch.write(session, found)
    queue_students(session, result.regrouped)
    return json_response(BatchOut, result)


def _create(session: Session, fields: dict[str, Any]) -> Response:
    access.refuse_new_identity(fields)
    access.refuse_new_groups(fields)
    student = service.create_student(session, **fields)
    return json_response(StudentOut, student, 201, location=f"/students/{student.id}")


def _update(session: Session, student: Student, request: Mapping[str, Any]) -> Response:
    changes = cast(StudentChanges, without_id(student.id, request))
    etags.require(student)
    access.refuse_new_identity(changes, student)
    access.refuse_new_groups(changes, student)
    groups = student.groups
    changed = service.update_student(session, student, changes)
    if changed.groups != groups:
        recheck(session, student.id, rules_context())
    return json_response(StudentOut, changed)


def _delete(session: Session, student: Student, request: dict[str, Any]) -> Response:
    etags.require(student)
    enrollments.delete_student(session, student, request["reason"])
    return no_content()
