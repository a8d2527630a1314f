"""The routes of holds."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Stale
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.rule_schemas import rules_context
from course_management.history.schemas import ReasonOnly
from course_management.records.holds import service
from course_management.records.holds.models import HoldNotFound
from course_management.records.holds.queries import HOLDS
from course_management.records.holds.schemas import HoldIn, HoldInChange, HoldOut, HoldQuery
from course_management.students.models import StudentNotFound
from course_management.web import access, etags
from course_management.web.changes import without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response

bp = Blueprint("holds", __name__)

LIST = "/students/<id:student_id>/holds"
ONE = f"{LIST}/<id:hold_id>"
NEITHER = (StudentNotFound, HoldNotFound)


@bp.post(LIST, endpoint="createHold")
@writing(
    scope="holds:write",
    body=HoldIn(),
    answer=HoldOut,
    status=(201,),
    errors=(StudentNotFound,),
    etag=True,
)
def create_hold(session: Session, student_id: int, request: dict[str, Any]) -> Response:
    """Place a hold on a student."""
    hold = service.create_hold(session, student_id, request)
    recheck(session, student_id, rules_context(), again_at=hold.until)
    location = f"/students/{student_id}/holds/{hold.id}"
    return json_response(HoldOut, HOLDS.response(hold), 201, location=location)


@bp.get(LIST, endpoint="listHolds")
@reading(
    scope="holds:read",
    allow_self=True,
    query=HoldQuery(),
    answer=HoldOut,
    is_list=True,
    errors=(StudentNotFound,),
)
def list_holds(connection: Connection, student_id: int, query: dict[str, Any]) -> Response:
    """List the holds of a student, also those that are released."""
    return list_response(HOLDS.page(connection, student_id, access.own_name(), **query))


@bp.get(ONE, endpoint="getHold")
@reading(scope="holds:read", allow_self=True, answer=HoldOut, errors=NEITHER, etag=True)
def get_hold(connection: Connection, student_id: int, hold_id: int) -> Response:
    """Read a hold."""
    hold = HOLDS.show(connection, student_id, hold_id, access.own_name())
    return json_response(HoldOut, hold)


@bp.patch(ONE, endpoint="patchHold")
@writing(
    scope="holds:write",
    body=HoldInChange(),
    answer=HoldOut,
    errors=(*NEITHER, Stale),
    etag=True,
)
def update_hold(
    session: Session, student_id: int, hold_id: int, request: dict[str, Any]
) -> Response:
    """Change a hold. Fields that are not in the body keep their values; null clears a field."""
    hold = HOLDS.lock(session, student_id, hold_id)
    changes = without_id(hold.id, request)
    etags.require(hold)
    changed = service.update_hold(session, hold, changes)
    recheck(session, student_id, rules_context(), again_at=changed.until)
    return json_response(HoldOut, HOLDS.response(changed))


@bp.post(f"{ONE}/release", endpoint="releaseHold")
@writing(
    scope="holds:write",
    body=ReasonOnly(),
    answer=HoldOut,
    errors=(*NEITHER, Stale),
    etag=True,
    conditional=True,
)
def release_hold(
    session: Session, student_id: int, hold_id: int, request: dict[str, Any]
) -> Response:
    """Release a hold. Releasing it again changes nothing."""
    hold = HOLDS.lock(session, student_id, hold_id)
    etags.require(hold)
    released = service.release_hold(session, hold, request["reason"])
    recheck(session, student_id, rules_context())
    return json_response(HoldOut, HOLDS.response(released))
