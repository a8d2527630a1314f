"""Writes of courses."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, aliased

from course_management.core import text
from course_management.core.errors import Taken
from course_management.core.outcome import OUTCOME
from course_management.courses.gate import close_gate
from course_management.courses.models import Course, CourseChanges, CourseNotFound
from course_management.courses.of_terms import FIELDS, set_term_fields
from course_management.courses.queries import key_of
from course_management.courses.refusals import CANCELLED, OPEN
from course_management.courses.written import note_written_courses
from course_management.db import integrity
from course_management.db.base import now
from course_management.db.external_ids import ExternalId
from course_management.history.models import EventType
from course_management.history.recorder import record
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_table = cast(sa.Table, Course.__table__)


def create_course(
    session: Session,
    *,
    name: str,
    level: str,
    external_id: str | None = None,
    capacity: int | None = None,
    waitlist_capacity: int | None = 0,
    status: str = OPEN,
    **of_term: Any,
) -> Course:
    """Create a course.

    `capacity` is the number of seats, and `waitlist_capacity` is the number of students who may
    wait. None means unlimited. `of_term` are fields of a course of a term (of_terms.FIELDS).

    Raises CourseNameTaken or ExternalIdTaken (by the table's constraints), and the errors of
    `set_term_fields`.
    """
    course = Course(
        name=name,
        level=level,
        external_id=external_id,
        capacity=capacity,
        seats_taken=None if capacity is None else 0,
        waitlist_capacity=waitlist_capacity,
        status=status,
    )
    set_term_fields(session, course, of_term)
    session.add(course)
    session.flush()
    note_written_courses(session.connection())
    record(session, EventType.COURSE_CREATED, course_id=course.id)
    note(session, Event.COURSE_CREATED, course_id=course.id)
    return course


def find_clashes(
    connection: Connection,
    *,
    request: CourseChanges,
    course: int | str = 0,
    external_id: str = "",
) -> list[tuple[type[Taken], int]]:
    """The values of `request` that belong to other courses than `course` or the one with
    `external_id`, each as its error and the id of the other course.
    """
    column, value = key_of(ExternalId(external_id) if external_id else course)
    is_this = sa.and_(_table.c[column].is_not(None), _table.c[column] == value)
    values = {
        "name_key": text.key(request["name"]) if "name" in request else None,
        "external_id": request.get("external_id"),
    }
    return integrity.find_taken(connection, _table, values, is_this)


def lock_course(session: Session, course: int | str) -> Course:
    """The course, which is given by its id, its name or its ExternalId. No other transaction can
    change it, or enroll in it, until this one ends.

    The gate of the course is closed first, so that later enrollments wait for this transaction.
    Then the row is locked. Raises CourseNotFound.
    """
    column, value = key_of(course)
    other = aliased(Course)
    behind = sa.select(close_gate(other.id)).where(getattr(other, column) == value)
    wanted = (
        sa.select(Course)
        .where(Course.id == behind.scalar_subquery(), getattr(Course, column) == value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        raise CourseNotFound
    return found


def set_status(session: Session, course: int | str, status: str) -> Course | None:
    """Set the status of a course, unless it has that status or is cancelled: then return None, as
    for a course that does not exist.

    A plain UPDATE: it waits for no enrollment in a course without a capacity, and for one at a time
    in a course with one. So a popular course can be closed at once.
    """
    column, value = key_of(course)
    changed = (
        sa.update(Course)
        .where(getattr(Course, column) == value, Course.status.not_in((status, CANCELLED)))
        .values(status=status, version=Course.version + 1, updated_at=now())
        .returning(Course)
    )
    found = session.scalars(changed).one_or_none()
    if found is not None:
        _record_change(session, found)
    return found


def update_course(session: Session, course: Course, changes: CourseChanges) -> Course:
    """Set the fields of `changes`. Raises CourseNameTaken or ExternalIdTaken (by the table's
    constraints), and the errors of `set_term_fields`.
    """
    set_term_fields(session, course, changes)
    for name, value in changes.items():
        if name not in FIELDS:
            setattr(course, name, value)
    if session.is_modified(course):
        session.flush()
        _record_change(session, course)
    return course


def _record_change(session: Session, course: Course) -> None:
    note_written_courses(session.connection())
    record(session, EventType.COURSE_CHANGED, course_id=course.id)
    note(session, Event.COURSE_CHANGED, course_id=course.id)
    if outcome := session.info.get(OUTCOME):
        outcome.add((), [course])
