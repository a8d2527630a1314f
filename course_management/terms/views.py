"""The routes of terms. An address names a term by its percent-encoded code, ignoring case."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from flask import Blueprint, Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Stale
from course_management.courses.models import TermHasCourses
from course_management.courses.of_terms import require_no_courses
from course_management.enrollments.recheck_queue import FIELDS_OF_TERM, queue_term, values_of
from course_management.terms import queries, service
from course_management.terms.models import (
    TermCodeTaken,
    TermFields,
    TermHasParts,
    TermIsPart,
    TermNotFound,
)
from course_management.terms.schemas import (
    TermIn,
    TermInChange,
    TermOut,
    TermQuery,
    WindowSet,
    WindowsOut,
)
from course_management.web import etags
from course_management.web.changes import without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content

bp = Blueprint("terms", __name__)


@bp.post("/terms", endpoint="createTerm")
@writing(
    scope="courses:write",
    body=TermIn(),
    answer=TermOut,
    status=(201,),
    errors=(TermNotFound, TermCodeTaken),
    clashes=service.find_clashes,
    etag=True,
)
def create_term(session: Session, request: dict[str, Any]) -> Response:
    """Create a term."""
    term = service.create_term(session, cast(TermFields, request))
    return json_response(TermOut, term, 201, location=f"/terms/{quote(term.code, safe='')}")


@bp.get("/terms", endpoint="listTerms")
@reading(scope="courses:read", query=TermQuery(), answer=TermOut, is_list=True)
def list_terms(connection: Connection, query: dict[str, Any]) -> Response:
    """List the terms."""
    return list_response(queries.list_terms(connection, **query))


@bp.get("/terms/<code>", endpoint="getTerm")
@reading(scope="courses:read", answer=TermOut, errors=(TermNotFound,), etag=True)
def get_term(connection: Connection, code: str) -> Response:
    """Read a term."""
    return json_response(TermOut, queries.show_term(connection, code))


@bp.put("/terms/<code>", endpoint="updateTerm")
@bp.patch("/terms/<code>", endpoint="patchTerm")
@writing(
    scope="courses:write",
    body=TermInChange(),
    answer=TermOut,
    errors=(TermNotFound, TermCodeTaken, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def update_term(session: Session, code: str, request: dict[str, Any]) -> Response:
    """Change a term. Fields that are not in the body keep their values; null clears a field."""
    term, parent = service.lock_with_parent(session, code, request.get("parent"))
    changes = without_id(term.id, request)
    etags.require(term)
    before = values_of(term, FIELDS_OF_TERM)
    changed = service.update_term(session, term, changes, parent)
    if values_of(changed, FIELDS_OF_TERM) != before:
        queue_term(session, changed.id)
    return json_response(TermOut, changed)


@bp.delete("/terms/<code>", endpoint="deleteTerm")
@writing(
    scope="courses:write",
    status=(204,),
    errors=(TermNotFound, TermHasParts, TermHasCourses, Stale),
    etag=True,
)
def delete_term(session: Session, code: str) -> Response:
    """Delete a term that has no parts and no courses, with its windows."""
    term = service.lock_term(session, code)
    etags.require(term)
    require_no_courses(session, term=term.code)
    service.delete_term(session, term)
    return no_content()


@bp.get("/terms/<code>/windows", endpoint="getTermWindows")
@reading(scope="courses:read", answer=WindowsOut, errors=(TermNotFound,), etag=True)
def get_windows(connection: Connection, code: str) -> Response:
    """Read the windows of a term. The windows of a part are those of its whole term."""
    return json_response(WindowsOut, queries.show_windows(connection, code))


@bp.put("/terms/<code>/windows", endpoint="replaceTermWindows")
@writing(
    scope="courses:write",
    body=WindowSet(),
    answer=WindowsOut,
    errors=(TermNotFound, TermIsPart, Stale),
    etag=True,
)
def replace_windows(session: Session, code: str, request: dict[str, Any]) -> Response:
    """Replace the windows of a whole term."""
    term = service.lock_term(session, code)
    etags.require(term)
    windows = service.replace_windows(session, term, request["windows"])
    return json_response(WindowsOut, {"windows": windows, "etag": term.etag})
