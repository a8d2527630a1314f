"""The routes of overrides."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Stale
from course_management.courses.models import CourseNotFound
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.rule_schemas import rules_context
from course_management.history.schemas import ReasonOnly
from course_management.records.overrides import service
from course_management.records.overrides.models import OverrideNotFound
from course_management.records.overrides.queries import OVERRIDES
from course_management.records.overrides.schemas import OverrideIn, OverrideOut, OverrideQuery
from course_management.students.models import StudentNotFound
from course_management.web import access, etags
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response

bp = Blueprint("overrides", __name__)

LIST = "/students/<id:student_id>/overrides"
ONE = f"{LIST}/<id:override_id>"
NEITHER = (StudentNotFound, OverrideNotFound)


@bp.post(LIST, endpoint="createOverride")
@writing(
    scope="overrides:write",
    body=OverrideIn(),
    answer=OverrideOut,
    status=(201,),
    errors=(StudentNotFound, CourseNotFound),
    etag=True,
)
def create_override(session: Session, student_id: int, request: dict[str, Any]) -> Response:
    """Lift one rule for a student."""
    override = service.create_override(session, student_id, request)
    recheck(session, student_id, rules_context(), again_at=override.expires_at)
    location = f"/students/{student_id}/overrides/{override.id}"
    return json_response(OverrideOut, OVERRIDES.response(override), 201, location=location)


@bp.get(LIST, endpoint="listOverrides")
@reading(
    scope="overrides:read",
    allow_self=True,
    query=OverrideQuery(),
    answer=OverrideOut,
    is_list=True,
    errors=(StudentNotFound,),
)
def list_overrides(connection: Connection, student_id: int, query: dict[str, Any]) -> Response:
    """List the overrides of a student, also those that are revoked."""
    return list_response(OVERRIDES.page(connection, student_id, access.own_name(), **query))


@bp.get(ONE, endpoint="getOverride")
@reading(scope="overrides:read", allow_self=True, answer=OverrideOut, errors=NEITHER, etag=True)
def get_override(connection: Connection, student_id: int, override_id: int) -> Response:
    """Read an override."""
    override = OVERRIDES.show(connection, student_id, override_id, access.own_name())
    return json_response(OverrideOut, override)


@bp.post(f"{ONE}/revoke", endpoint="revokeOverride")
@writing(
    scope="overrides:write",
    body=ReasonOnly(),
    answer=OverrideOut,
    errors=(*NEITHER, Stale),
    etag=True,
    conditional=True,
)
def revoke_override(
    session: Session, student_id: int, override_id: int, request: dict[str, Any]
) -> Response:
    """Revoke an override. Revoking it again changes nothing."""
    override = OVERRIDES.lock(session, student_id, override_id)
    etags.require(override)
    revoked = service.revoke_override(session, override, request["reason"])
    recheck(session, student_id, rules_context())
    return json_response(OverrideOut, OVERRIDES.response(revoked))
