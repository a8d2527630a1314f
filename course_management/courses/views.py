"""The routes of courses. An address names a course by its id, or by its percent-encoded name
ignoring case.
"""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.catalog.models import CatalogEntryNotFound
from course_management.core.errors import ExternalIdTaken, Stale
from course_management.courses import queries, service
from course_management.courses.models import (
    CapacityBelowEnrolled,
    CourseChanges,
    CourseNameTaken,
    CourseNotFound,
    WaitlistCapacityBelowWaitlisted,
)
from course_management.courses.schemas import (
    BY_EXTERNAL_ID,
    CourseByExternalId,
    CourseIn,
    CourseInChange,
    CourseOut,
    CourseQuery,
)
from course_management.db.external_ids import ExternalId
from course_management.enrollments import course_changes as enrollments
from course_management.enrollments.models import CourseHasStudents
from course_management.enrollments.recheck_queue import (
    FIELDS_OF_COURSE,
    queue_course,
    values_of,
)
from course_management.terms.models import TermNotFound
from course_management.web import etags
from course_management.web.changes import as_creation, without_external_id, without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content

bp = Blueprint("courses", __name__)

AT_EXTERNAL_ID = f"/courses/{BY_EXTERNAL_ID}/<external_id>"
NEW_COURSE = CourseIn()
TAKEN = (CourseNameTaken, ExternalIdTaken)
UNKNOWN = (TermNotFound, CatalogEntryNotFound)
TOO_SMALL = (CapacityBelowEnrolled, WaitlistCapacityBelowWaitlisted)


@bp.post("/courses", endpoint="createCourse")
@writing(
    scope="courses:write",
    body=NEW_COURSE,
    answer=CourseOut,
    status=(201,),
    errors=(*TAKEN, *UNKNOWN),
    clashes=service.find_clashes,
    etag=True,
)
def create_course(session: Session, request: dict[str, Any]) -> Response:
    """Create a course."""
    return _create(session, request)


@bp.get("/courses", endpoint="listCourses")
@reading(scope="courses:read", query=CourseQuery(), answer=CourseOut, is_list=True)
def list_courses(connection: Connection, query: dict[str, Any]) -> Response:
    """List the courses."""
    return list_response(queries.list_courses(connection, **query))


@bp.get("/courses/<course:course>", endpoint="getCourse")
@reading(scope="courses:read", answer=CourseOut, errors=(CourseNotFound,), etag=True)
def get_course(connection: Connection, course: int | str) -> Response:
    """Read a course."""
    return json_response(CourseOut, queries.show_course(connection, course))


@bp.put("/courses/<course:course>", endpoint="updateCourse")
@bp.patch("/courses/<course:course>", endpoint="patchCourse")
@writing(
    plans=True,
    scope="courses:write",
    body=CourseInChange(),
    answer=CourseOut,
    errors=(CourseNotFound, *TAKEN, *UNKNOWN, *TOO_SMALL, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def update_course(session: Session, course: int | str, request: dict[str, Any]) -> Response:
    """Change a course. Fields that are not in the body keep their values; null clears a field.

    A cancelled course becomes an empty open or closed one if the body has that `status`.
    """
    return _update(session, course, request)


@bp.delete("/courses/<course:course>", endpoint="deleteCourse")
@writing(
    scope="courses:write",
    status=(204,),
    errors=(CourseNotFound, CourseHasStudents, Stale),
    etag=True,
)
def delete_course(session: Session, course: int | str) -> Response:
    """Delete a course that has no students."""
    return _delete(session, course)


@bp.get(AT_EXTERNAL_ID, endpoint="getCourseByExternalId")
@reading(scope="courses:read", answer=CourseOut, errors=(CourseNotFound,), etag=True)
def get_by_external_id(connection: Connection, external_id: str) -> Response:
    """Read the course with an external id."""
    return json_response(CourseOut, queries.show_course(connection, ExternalId(external_id)))


@bp.put(AT_EXTERNAL_ID, endpoint="upsertCourseByExternalId")
@writing(
    plans=True,
    scope="courses:write",
    body=CourseByExternalId(),
    answer=CourseOut,
    status=(200, 201),
    errors=(*TAKEN, *UNKNOWN, *TOO_SMALL, Stale),
    clashes=service.find_clashes,
    etag=True,
    upserts=True,
)
def upsert_by_external_id(session: Session, external_id: str, request: dict[str, Any]) -> Response:
    """Create the course with an external id (201), or change it (200)."""
    changes = without_external_id(external_id, request)
    try:
        return _update(session, ExternalId(external_id), changes)
    except CourseNotFound:
        fields = as_creation(NEW_COURSE, external_id, _without_reason(changes))
        etags.require_none()
    return _create(session, fields)


@bp.patch(AT_EXTERNAL_ID, endpoint="patchCourseByExternalId")
@writing(
    plans=True,
    scope="courses:write",
    body=CourseByExternalId(),
    answer=CourseOut,
    errors=(CourseNotFound, *TAKEN, *UNKNOWN, *TOO_SMALL, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def patch_by_external_id(session: Session, external_id: str, request: dict[str, Any]) -> Response:
    """Change the course with an external id."""
    changes = without_external_id(external_id, request)
    return _update(session, ExternalId(external_id), changes)


@bp.delete(AT_EXTERNAL_ID, endpoint="deleteCourseByExternalId")
@writing(
    scope="courses:write",
    status=(204,),
    errors=(CourseNotFound, CourseHasStudents, Stale),
    etag=True,
)
def delete_by_external_id(session: Session, external_id: str) -> Response:
    """Delete the course with an external id, if it has no students."""
    return _delete(session, ExternalId(external_id))


def _create(session: Session, fields: dict[str, Any]) -> Response:
    course = service.create_course(session, **fields)
    return json_response(CourseOut, course, 201, location=f"/courses/{course.id}")


def _update(session: Session, course: int | str, given: dict[str, Any]) -> Response:
    reason, request = given.get("reason"), _without_reason(given)
    if request.keys() == {"status"} and not etags.has_preconditions():
        closed_or_opened = service.set_status(session, course, request["status"])
        if closed_or_opened is not None:
            return json_response(CourseOut, closed_or_opened)
    found = service.lock_course(session, course)
    changes = cast(CourseChanges, without_id(found.id, request))
    etags.require(found)
    enrollments.empty_cancelled(session, found)
    enrollments.resize(session, found, changes, reason)
    before = values_of(found, FIELDS_OF_COURSE)
    changed = service.update_course(session, found, changes)
    if values_of(changed, FIELDS_OF_COURSE) != before:
        queue_course(session, changed.id)
    return json_response(CourseOut, changed)


def _without_reason(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "reason"}


def _delete(session: Session, course: int | str) -> Response:
    overridden = enrollments.lock_overridden(session, course)
    found = service.lock_course(session, course)
    etags.require(found)
    enrollments.empty_cancelled(session, found)
    enrollments.delete_course(session, found, overridden)
    return no_content()
