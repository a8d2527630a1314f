"""Reads of courses, and their paginated list."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from course_management.core import text
from course_management.courses.models import CourseNotFound, tag
from course_management.courses.service import (
    _table,
)
from course_management.db.base import Reader
from course_management.db.keyset import Condition, Listing, Page

SHOWN = (
    "id",
    "name",
    "level",
    "external_id",
    "capacity",
    "seats_taken",
    "waitlist_capacity",
    "waitlisted",
)


COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    name: _table.c[name] for name in (*SHOWN, "created_at", "updated_at", "version")
}


SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": _table.c.id,
    "name": _table.c.name_key,
    "level": _table.c.level,
    "created_at": _table.c.created_at,
}


FILTERS: dict[str, Condition] = {
    "id": lambda value: _table.c.id == value,
    "name": lambda value: _table.c.name_key == value,
    "level": lambda value: _table.c.level == value,
    "external_id": lambda value: _table.c.external_id == value,
    "q": lambda value: _table.c.name_key.contains(value, escape="/"),
    "open": lambda value: _table.c.is_open == value,
}


KEYS = frozenset({"id", "name", "external_id"})


PARTS: dict[str, sa.ColumnElement[Any]] = {"level": _table.c.level, "open": _table.c.is_open}


LISTING = Listing("courses", COLUMNS, _table, SORTS, FILTERS, KEYS, PARTS)


def folded(query: dict[str, Any]) -> dict[str, Any]:
    """A list's query with its filters in the form the database compares: folded, LIKE's
    wildcards taken literally.
    """
    return query | ({"q": re.sub("([/%_])", r"/\1", text.key(query["q"]))} if "q" in query else {})


def get_course_id(reader: Reader, course: int | str) -> int:
    """The id of the course that an address names; not looked up where it is one. Raises
    CourseNotFound.
    """
    return course if isinstance(course, int) else int(show_course(reader, course)["id"])


def show_course(reader: Reader, course: int | str) -> dict[str, Any]:
    """The course, by its id or its name, as it is shown, with its `etag`. Raises CourseNotFound."""
    key = {"id": course} if isinstance(course, int) else {"name": text.key(course)}
    found = LISTING.one(reader, **key)
    if found is None:
        raise CourseNotFound
    return found | {
        "etag": tag(*(found[name] for name in ("id", "version", "seats_taken", "waitlisted")))
    }


def list_courses(reader: Reader, **query: Any) -> Page:
    """A page of the courses (`paging.Listing.page`)."""
    return LISTING.page(reader, **folded(query))
