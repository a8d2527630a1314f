"""Reads of courses, and their paginated list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, cast

import orjson
import sqlalchemy as sa

from course_management.catalog.queries import entry_code
from course_management.core import text
from course_management.courses.models import Course, CourseNotFound, tag
from course_management.db import external_ids as external_ids_of
from course_management.db.base import Reader, as_number, connection_of, json_list
from course_management.db.external_ids import ExternalId
from course_management.db.keyset import Condition, Listing, Page, one_of
from course_management.db.prepared_statements import Statement, send
from course_management.terms.queries import term_and_parts

_table = cast(sa.Table, Course.__table__)

COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    name: _table.c[name]
    for name in (
        *("id", "name", "level", "external_id"),
        *("capacity", "seats_taken", "waitlist_capacity", "waitlisted", "status"),
        *("created_at", "updated_at", "version"),
    )
}


def term_column(*more: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The fields of a course of a term as the text of a JSON list, and `more`; null for another
    course. Rows have it after COLUMNS: as one column, it costs a list of other courses nothing.
    """
    own = (_table.c[name] for name in ("term", "catalog_code", "details", "blocked"))
    fields = json_list(*own, *more)
    return sa.case((_table.c.term.is_not(None), fields))


SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": _table.c.id,
    "name": _table.c.name_key,
    "level": _table.c.level,
    "created_at": _table.c.created_at,
}
FILTERS: dict[str, Condition] = {
    "id": one_of(_table.c.id),
    "name": lambda value: _table.c.name_key == value,
    "level": lambda value: _table.c.level == value,
    "external_id": one_of(_table.c.external_id),
    "q": lambda value: _table.c.name_key.contains(value, escape="/"),
    "open": lambda value: _table.c.is_open == value,
    "status": lambda value: _table.c.status == value,
    "term": lambda value: _table.c.term.in_(term_and_parts(value)),
    "catalog_code": lambda value: _table.c.catalog_code.in_(entry_code(value)),
}
SELECTIVE_FILTERS = frozenset({"id", "name", "external_id", "term", "catalog_code"})
PARTITION_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    "level": _table.c.level,
    "open": _table.c.is_open,
    "status": _table.c.status,
}


def add_term_fields(items: list[dict[str, Any]], rows: Sequence[Any]) -> None:
    """Add the fields of courses of terms to the items of a page. The last column but one of a row
    is `term_column`.
    """
    if any(map(itemgetter(-2), rows)):
        for item, row in zip(items, rows, strict=False):
            item.update(term_fields(row[-2]))


def term_fields(values: str | None) -> dict[str, Any]:
    """The fields that a `term_column` has and that are not null."""
    if values is None:
        return {}
    term, catalog_code, details, blocked, *more = orjson.loads(values)
    fields = {"term": term, "catalog_code": catalog_code, **(details or {})}
    fields["waitlist_blocked"] = blocked
    if more:
        fields["credits"] = as_number(more[0])
    return {name: value for name, value in fields.items() if value is not None}


LISTING = Listing(
    "courses",
    COLUMNS,
    _table,
    SORTS,
    FILTERS,
    SELECTIVE_FILTERS,
    PARTITION_COLUMNS,
    more=(term_column(),),
    finish=add_term_fields,
)


def folded(query: dict[str, Any]) -> dict[str, Any]:
    """`query` with its filters in the form that the database compares: `q` and codes are
    case-folded, and the wildcards of LIKE in `q` are escaped.
    """
    keys = {name: text.key(query[name]) for name in ("q", "term", "catalog_code") if name in query}
    if "q" in keys:
        keys["q"] = re.sub("([/%_])", r"/\1", keys["q"])
    return query | keys if keys else query


# The conditions that select a course by its id, by its name and by its external id.
_CONDITIONS: dict[type, sa.ColumnElement[bool]] = {
    int: _table.c.id == sa.bindparam("id"),
    str: _table.c.name_key == sa.bindparam("name_key"),
    ExternalId: _table.c.external_id == sa.bindparam("external_id"),
}
_SHOW = {
    kind: Statement(
        f"show_course_by_{kind.__name__.lower()}",
        sa.select(*COLUMNS.values(), term_column()).where(key),
    )
    for kind, key in _CONDITIONS.items()
}
_FIND = {
    kind: Statement(f"find_course_by_{kind.__name__.lower()}", sa.select(_table.c.id).where(key))
    for kind, key in _CONDITIONS.items()
}


def key_of(course: int | str) -> tuple[str, int | str]:
    """The column that identifies a course, and its value. `course` is an id, a name or an
    ExternalId.
    """
    if isinstance(course, int):
        return "id", course
    if isinstance(course, ExternalId):
        return "external_id", str(course)
    return "name_key", text.key(course)


def require_ids(reader: Reader, external_ids: Sequence[str]) -> list[int]:
    """The ids of the courses with these external ids, in the same order. Raises CourseNotFound with
    every external id that no course has.
    """
    detail = "Some of the courses do not exist."
    return external_ids_of.require_ids(reader, _table, external_ids, CourseNotFound, detail)


def show_course(reader: Reader, course: int | str) -> dict[str, Any]:
    """The fields of a response about a course, and its `etag`.

    `course` is the id, the name or the ExternalId of the course. Raises CourseNotFound.
    """
    row = _row(reader, _SHOW, course)
    found = dict(zip(COLUMNS, row, strict=False)) | term_fields(row[-1])
    names = ("id", "version", "seats_taken", "waitlisted", "waitlist_blocked")
    return found | {"etag": tag(*(found.get(name, 0) for name in names))}


def get_course_id(reader: Reader, course: int | str) -> int:
    """The id of a course, which is given by its id or its name.

    An id is returned unchanged, even if no course has it. Raises CourseNotFound for an unknown
    name.
    """
    return course if isinstance(course, int) else int(_row(reader, _FIND, course)[0])


def require_course(reader: Reader, course_id: int) -> None:
    """Raise CourseNotFound if the course does not exist."""
    _row(reader, _FIND, course_id)


def _row(reader: Reader, statements: dict[type, Statement], course: int | str) -> Any:
    column, value = key_of(course)
    rows = send(connection_of(reader), (statements[type(course)], {column: value}))
    if not rows:
        raise CourseNotFound
    return rows[0]


def list_courses(reader: Reader, **query: Any) -> Page:
    """A page of the list of courses. `query` has the arguments of `keyset.Listing.page`."""
    return LISTING.page(reader, **folded(query))


def cursor_after(course_id: int, **query: Any) -> str:
    """The cursor of the page of the list of courses that follows a course. `query` has filters."""
    return LISTING.cursor_after(course_id, **folded(query))
