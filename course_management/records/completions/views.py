"""The routes of completions."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import ExternalIdTaken, Stale
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.rule_schemas import rules_context
from course_management.records.completions import service
from course_management.records.completions.models import CompletionNotFound
from course_management.records.completions.queries import COMPLETIONS
from course_management.records.completions.schemas import (
    CompletionIn,
    CompletionInChange,
    CompletionOut,
    CompletionQuery,
)
from course_management.students.models import StudentNotFound
from course_management.web import etags
from course_management.web.changes import without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content

bp = Blueprint("completions", __name__)

LIST = "/students/<id:student_id>/completions"
ONE = f"{LIST}/<id:completion_id>"
NEITHER = (StudentNotFound, CompletionNotFound)


@bp.post(LIST, endpoint="createCompletion")
@writing(
    scope="records:write",
    body=CompletionIn(),
    answer=CompletionOut,
    status=(201,),
    errors=(StudentNotFound, ExternalIdTaken),
    clashes=service.find_clashes,
    etag=True,
)
def create_completion(session: Session, student_id: int, request: dict[str, Any]) -> Response:
    """Add a completion to a student."""
    completion = service.create_completion(session, student_id, request)
    recheck(session, student_id, rules_context())
    location = f"/students/{student_id}/completions/{completion.id}"
    return json_response(CompletionOut, COMPLETIONS.response(completion), 201, location=location)


@bp.get(LIST, endpoint="listCompletions")
@reading(
    scope="records:read",
    allow_self=True,
    query=CompletionQuery(),
    answer=CompletionOut,
    is_list=True,
    errors=(StudentNotFound,),
)
def list_completions(connection: Connection, student_id: int, query: dict[str, Any]) -> Response:
    """List the completions of a student."""
    return list_response(COMPLETIONS.page(connection, student_id, **query))


@bp.get(ONE, endpoint="getCompletion")
@reading(scope="records:read", allow_self=True, answer=CompletionOut, errors=NEITHER, etag=True)
def get_completion(connection: Connection, student_id: int, completion_id: int) -> Response:
    """Read a completion."""
    return json_response(CompletionOut, COMPLETIONS.show(connection, student_id, completion_id))


@bp.put(ONE, endpoint="updateCompletion")
@bp.patch(ONE, endpoint="patchCompletion")
@writing(
    scope="records:write",
    body=CompletionInChange(),
    answer=CompletionOut,
    errors=(*NEITHER, ExternalIdTaken, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def update_completion(
    session: Session, student_id: int, completion_id: int, request: dict[str, Any]
) -> Response:
    """Change a completion. Fields that are not in the body keep their values; null clears one."""
    completion = COMPLETIONS.lock(session, student_id, completion_id)
    changes = without_id(completion.id, request)
    etags.require(completion)
    changed = service.update_completion(session, completion, changes)
    recheck(session, student_id, rules_context())
    return json_response(CompletionOut, COMPLETIONS.response(changed))


@bp.delete(ONE, endpoint="deleteCompletion")
@writing(scope="records:write", status=(204,), errors=(*NEITHER, Stale), etag=True)
def delete_completion(session: Session, student_id: int, completion_id: int) -> Response:
    """Delete a completion."""
    completion = COMPLETIONS.lock(session, student_id, completion_id)
    etags.require(completion)
    service.delete_completion(session, completion)
    recheck(session, student_id, rules_context())
    return no_content()
