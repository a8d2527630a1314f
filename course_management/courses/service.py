"""Writes of courses."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, aliased

from course_management.core import text
from course_management.core.errors import Taken
from course_management.courses.gate import close_gate
from course_management.courses.models import Course, CourseNotFound
from course_management.db import integrity
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_table = cast(sa.Table, Course.__table__)


def create_course(session: Session, *, waitlist_capacity: int | None = 0, **given: Any) -> Course:
    """A new course of the `name` and `level` given, and of `external_id` and `capacity` (seats)
    where they are.

    Raises CourseNameTaken or ExternalIdTaken (by the table's constraints).
    """
    seats_taken = None if given.get("capacity") is None else 0
    course = Course(waitlist_capacity=waitlist_capacity, seats_taken=seats_taken, **given)
    session.add(course)
    session.flush()
    note(session, Event.COURSE_CREATED, course_id=course.id)
    return course


def find_clashes(
    connection: Connection, course: int | str = 0, **given: Any
) -> list[tuple[type[Taken], int]]:
    """What of `given` belongs to other courses than this one, and to which."""
    own = (
        _table.c.id == course if isinstance(course, int) else _table.c.name_key == text.key(course)
    )
    values = {
        "name_key": given.get("name") and text.key(given["name"]),
        "external_id": given.get("external_id"),
    }
    return integrity.find_taken(connection, _table, values, own)


def get_course_by_id(session: Session, course_id: int, *, for_update: bool = False) -> Course:
    """The course; where it is to be changed, locked until the transaction ends. Raises
    CourseNotFound.
    """
    return (
        _locked(session, "id", course_id) if for_update else _found(session.get(Course, course_id))
    )


def get_course_by_name(session: Session, name: str, *, for_update: bool = False) -> Course:
    """The course with this name, ignoring case; locked likewise. Raises CourseNotFound."""
    if for_update:
        return _locked(session, "name_key", text.key(name))
    return _found(
        session.scalars(sa.select(Course).where(Course.name_key == text.key(name))).one_or_none()
    )


def _locked(session: Session, by: str, value: int | str) -> Course:
    """The course with this key, locked against everybody: first its gate, so that those who
    enroll queue behind, then its row.
    """
    other = aliased(Course)
    behind = sa.select(close_gate(other.id)).where(getattr(other, by) == value).scalar_subquery()
    wanted = (
        sa.select(Course).where(Course.id == behind, getattr(Course, by) == value).with_for_update()
    )
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


def update_course(session: Session, course: Course, **changes: Any) -> Course:
    """Set what `changes` names. Raises CourseNameTaken or ExternalIdTaken (by the table's
    constraints).
    """
    for name, value in changes.items():
        setattr(course, name, value)
    if session.is_modified(course):
        session.flush()
        note(session, Event.COURSE_CHANGED, course_id=course.id)
    return course
