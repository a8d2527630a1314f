"""The routes of groups."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Response
from marshmallow import ValidationError
from sqlalchemy.orm import Session

from course_management.core.errors import Invalid
from course_management.enrollments.recheck_queue import queue_students
from course_management.records.groups import schemas
from course_management.students import groups, queries
from course_management.students.models import StudentNotFound, TooManyGroups
from course_management.web.endpoint import writing
from course_management.web.external_ids import chosen_ids
from course_management.web.fields import Group
from course_management.web.rendering import json_response

bp = Blueprint("groups", __name__)
_GROUP = Group()


def _decoded(segment: str) -> str:
    """The group that a segment of the address names. Raises Invalid."""
    try:
        return str(_GROUP.deserialize(unquote(segment)))
    except ValidationError:
        raise Invalid([{"parameter": "group", "detail": Group.RULE}]) from None


def _students(session: Session, request: dict[str, Any]) -> list[int]:
    return chosen_ids(session, queries.require_ids, request, "student_ids")


@bp.post("/groups/<group>/add", endpoint="addStudentsToGroup")
@writing(
    scope="records:write",
    body=schemas.GroupMembers(),
    answer=schemas.GroupResult,
    errors=(StudentNotFound, TooManyGroups),
)
def add(session: Session, group: str, request: dict[str, Any]) -> Response:
    """Add students to a group, all or none. A group exists while a student is in it."""
    result = groups.add_to_group(session, _decoded(group), _students(session, request))
    queue_students(session, result.changed)
    return json_response(schemas.GroupResult, result)


@bp.post("/groups/<group>/remove", endpoint="removeStudentsFromGroup")
@writing(
    scope="records:write",
    body=schemas.GroupMembers(),
    answer=schemas.GroupResult,
    errors=(StudentNotFound,),
)
def remove(session: Session, group: str, request: dict[str, Any]) -> Response:
    """Remove students from a group, all or none."""
    result = groups.remove_from_group(session, _decoded(group), _students(session, request))
    queue_students(session, result.changed)
    return json_response(schemas.GroupResult, result)
