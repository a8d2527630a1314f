"""Rules and queries of courses."""

from __future__ import annotations

import re
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, aliased

from course_management import constraints, text
from course_management.courses.gate import close_gate
from course_management.courses.models import Course, CourseNotFound, tag
from course_management.errors import Taken
from course_management.extensions import Reader
from course_management.logs import note
from course_management.paging import Condition, Listing, Page

_table = cast(sa.Table, Course.__table__)

SHOWN = ("id", "name", "level", "external_id", "capacity", "seats_taken", "waitlist_capacity", "waitlisted")
COLUMNS: dict[str, sa.ColumnElement[Any]] = {name: _table.c[name] for name in (*SHOWN, "created_at", "updated_at", "version")}
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
    """A list's query with its filters in the form the database compares: folded, LIKE's wildcards taken literally."""
    return query | ({"q": re.sub("([/%_])", r"/\1", text.key(query["q"]))} if "q" in query else {})


def create_course(session: Session, *, waitlist_capacity: int | None = 0, **given: Any) -> Course:
    """A new course of the `name` and `level` given, and of `external_id` and `capacity` (seats) where they are.

    Raises CourseNameTaken or ExternalIdTaken (by the table's constraints).
    """
    seats_taken = None if given.get("capacity") is None else 0
    course = Course(waitlist_capacity=waitlist_capacity, seats_taken=seats_taken, **given)
    session.add(course)
    session.flush()
    note(session, "course created", course_id=course.id)
    return course


def find_clashes(connection: Connection, course: int | str = 0, **given: Any) -> list[tuple[type[Taken], int]]:
    """What of `given` belongs to other courses than this one, and to which."""
    own = _table.c.id == course if isinstance(course, int) else _table.c.name_key == text.key(course)
    values = {"name_key": given.get("name") and text.key(given["name"]), "external_id": given.get("external_id")}
    return constraints.find_taken(connection, _table, values, own)


def get_course_by_id(session: Session, course_id: int, *, for_update: bool = False) -> Course:
    """The course; where it is to be changed, locked until the transaction ends. Raises CourseNotFound."""
    return _locked(session, "id", course_id) if for_update else _found(session.get(Course, course_id))


def get_course_by_name(session: Session, name: str, *, for_update: bool = False) -> Course:
    """The course with this name, ignoring case; locked likewise. Raises CourseNotFound."""
    if for_update:
        return _locked(session, "name_key", text.key(name))
    return _found(session.scalars(sa.select(Course).where(Course.name_key == text.key(name))).one_or_none())


def _locked(session: Session, by: str, value: int | str) -> Course:
    """The course with this key, locked against everybody: first its gate, so that those who enroll queue behind, then its row."""
    other = aliased(Course)
    behind = sa.select(close_gate(other.id)).where(getattr(other, by) == value).scalar_subquery()
    wanted = sa.select(Course).where(Course.id == behind, getattr(Course, by) == value).with_for_update()
    return _found(session.scalars(wanted.execution_options(populate_existing=True)).one_or_none())


def _found(course: Course | None) -> Course:
    if course is None:
        raise CourseNotFound
    return course


def get_course(session: Session, course: int | str, *, for_update: bool = False) -> Course:
    """The course by its id or its name, as an address names it. Raises CourseNotFound."""
    if isinstance(course, int):
        return get_course_by_id(session, course, for_update=for_update)
    return get_course_by_name(session, course, for_update=for_update)


def get_course_id(reader: Reader, course: int | str) -> int:
    """The id of the course that an address names; not looked up where it is one. Raises CourseNotFound."""
    return course if isinstance(course, int) else int(show_course(reader, course)["id"])


def show_course(reader: Reader, course: int | str) -> dict[str, Any]:
    """The course, by its id or its name, as it is shown, with its `etag`. Raises CourseNotFound."""
    key = {"id": course} if isinstance(course, int) else {"name": text.key(course)}
    found = LISTING.one(reader, **key)
    if found is None:
        raise CourseNotFound
    return found | {"etag": tag(*(found[name] for name in ("id", "version", "seats_taken", "waitlisted")))}


def list_courses(reader: Reader, **query: Any) -> Page:
    """A page of the courses (`paging.Listing.page`)."""
    return LISTING.page(reader, **folded(query))


def update_course(session: Session, course: Course, **changes: Any) -> Course:
    """Set what `changes` names. Raises CourseNameTaken or ExternalIdTaken (by the table's constraints)."""
    for name, value in changes.items():
        setattr(course, name, value)
    if session.is_modified(course):
        session.flush()
        note(session, "course changed", course_id=course.id)
    return course
