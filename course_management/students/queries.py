"""Reads of students, and their paginated list."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from course_management.core import text
from course_management.db.base import Reader
from course_management.db.keyset import Condition, Listing, Page
from course_management.students.models import StudentNotFound, tag
from course_management.students.service import (
    _table,
)

COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    name: _table.c[name]
    for name in ("id", "name", "email", "external_id", "created_at", "updated_at", "version")
}


SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": _table.c.id,
    "name": _table.c.name_key,
    "created_at": _table.c.created_at,
}


FILTERS: dict[str, Condition] = {
    "id": lambda value: _table.c.id == value,
    "email": lambda value: _table.c.email_key == value,
    "external_id": lambda value: _table.c.external_id == value,
    # A range of the index, where LIKE would use it on one database only.
    "q": lambda value: sa.and_(
        _table.c.name_key >= value, _table.c.name_key < value.concat("\U0010ffff")
    ),
}


KEYS = frozenset({"id", "email", "external_id"})


LISTING = Listing("students", COLUMNS, _table, SORTS, FILTERS, KEYS)


def folded(query: dict[str, Any]) -> dict[str, Any]:
    """A list's query with the filters that ignore case in the form the database compares."""
    return query | {name: text.key(query[name]) for name in ("email", "q") if name in query}


def find_student(connection: Connection, by: str, value: str) -> int | None:
    """The id of the student known by an `id`, `external_id` or `email`; None where there is none.

    Who somebody is goes by ASCII alone, and only the case of an address makes no difference:
    Unicode's folding and normalisation take straße for strasse and the Kelvin sign for a K, which
    may be two people.
    """
    value = value.strip()
    # so it fits a bigint
    if not value.isascii() or (by == "id" and not (value.isdigit() and len(value) < 19)):
        return None
    conditions = {
        "id": lambda: _table.c.id == int(value),
        "external_id": lambda: _table.c.external_id == value,
        "email": lambda: _table.c.email_key == value.lower(),
    }
    found = connection.execute(
        sa.select(_table.c.id, _table.c.email).where(conditions[by]())
    ).first()
    if found is None or (
        by == "email" and not (found.email.isascii() and found.email.lower() == value.lower())
    ):
        return None
    return int(found.id)


def show_student(reader: Reader, student_id: int) -> dict[str, Any]:
    """The student as it is shown, with its `etag`. Raises StudentNotFound."""
    found = LISTING.one(reader, id=student_id)
    if found is None:
        raise StudentNotFound
    return found | {"etag": tag(found["id"], found["version"])}


def list_students(reader: Reader, **query: Any) -> Page:
    """A page of the students (`paging.Listing.page`)."""
    return LISTING.page(reader, **folded(query))
