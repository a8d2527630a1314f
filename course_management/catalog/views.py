"""The routes of the catalog. An address names an entry by its percent-encoded code."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from flask import Blueprint, Response, current_app
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.catalog import queries, service, warnings
from course_management.catalog.models import (
    CatalogChanges,
    CatalogCodeTaken,
    CatalogEntry,
    CatalogEntryNotFound,
)
from course_management.catalog.schemas import (
    CatalogIn,
    CatalogInChange,
    CatalogOut,
    CatalogQuery,
    CatalogWritten,
)
from course_management.core.errors import Stale
from course_management.courses.models import CatalogEntryHasCourses
from course_management.courses.of_terms import require_no_courses
from course_management.enrollments.recheck_queue import FIELDS_OF_ENTRY, queue_entry, values_of
from course_management.web import etags
from course_management.web.changes import without_id
from course_management.web.endpoint import reading, writing
from course_management.web.rendering import json_response, list_response, no_content, render

bp = Blueprint("catalog", __name__)


@bp.post("/catalog", endpoint="createCatalogEntry")
@writing(
    scope="courses:write",
    body=CatalogIn(),
    answer=CatalogWritten,
    status=(201,),
    errors=(CatalogCodeTaken,),
    clashes=service.find_clashes,
    etag=True,
)
def create_entry(session: Session, request: CatalogChanges) -> Response:
    """Create a catalog entry."""
    entry = service.create_entry(session, request)
    if entry.excludes or entry.same_as:
        queue_entry(session, _related_codes(entry))
    return _written(session, entry, created=True)


@bp.get("/catalog", endpoint="listCatalog")
@reading(scope="courses:read", query=CatalogQuery(), answer=CatalogOut, is_list=True)
def list_entries(connection: Connection, query: dict[str, Any]) -> Response:
    """List the catalog."""
    return list_response(queries.list_entries(connection, **query))


@bp.get("/catalog/<code>", endpoint="getCatalogEntry")
@reading(scope="courses:read", answer=CatalogOut, errors=(CatalogEntryNotFound,), etag=True)
def get_entry(connection: Connection, code: str) -> Response:
    """Read a catalog entry."""
    return json_response(CatalogOut, queries.show_entry(connection, code))


@bp.put("/catalog/<code>", endpoint="updateCatalogEntry")
@bp.patch("/catalog/<code>", endpoint="patchCatalogEntry")
@writing(
    scope="courses:write",
    body=CatalogInChange(),
    answer=CatalogWritten,
    errors=(CatalogEntryNotFound, CatalogCodeTaken, Stale),
    clashes=service.find_clashes,
    etag=True,
)
def update_entry(session: Session, code: str, request: dict[str, Any]) -> Response:
    """Change a catalog entry. Fields that are not in the body keep their values."""
    entry = service.lock_entry(session, code)
    changes = cast(CatalogChanges, without_id(entry.id, request))
    etags.require(entry)
    before, codes = values_of(entry, FIELDS_OF_ENTRY), _related_codes(entry)
    changed = service.update_entry(session, entry, changes)
    if values_of(changed, FIELDS_OF_ENTRY) != before:
        queue_entry(session, codes | _related_codes(changed))
    return _written(session, changed)


@bp.delete("/catalog/<code>", endpoint="deleteCatalogEntry")
@writing(
    scope="courses:write",
    status=(204,),
    errors=(CatalogEntryNotFound, CatalogEntryHasCourses, Stale),
    etag=True,
)
def delete_entry(session: Session, code: str) -> Response:
    """Delete a catalog entry that no course names."""
    entry = service.lock_entry(session, code)
    etags.require(entry)
    require_no_courses(session, catalog_code=entry.code)
    queue_entry(session, _related_codes(entry))
    service.delete_entry(session, entry)
    return no_content()


def _related_codes(entry: CatalogEntry) -> set[str]:
    return {entry.code, *entry.excludes, *entry.same_as}


def _written(session: Session, entry: CatalogEntry, *, created: bool = False) -> Response:
    shown = render(CatalogOut, entry) | {"etag": entry.etag}
    grades = current_app.config["GRADES"].order
    found = warnings.warnings_about(session, entry, grades)
    location = f"/catalog/{quote(entry.code, safe='')}" if created else None
    return json_response(
        CatalogWritten,
        shown | ({"warnings": found} if found else {}),
        201 if created else 200,
        location,
    )
