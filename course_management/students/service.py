"""Writes of students."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.core.errors import Taken
from course_management.db import integrity
from course_management.history.models import EventType
from course_management.history.recorder import record
from course_management.students.groups import write_groups
from course_management.students.models import Student, StudentChanges, StudentNotFound
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_table = cast(sa.Table, Student.__table__)


def create_student(
    session: Session,
    *,
    name: str,
    email: str | None = None,
    external_id: str | None = None,
    groups: Sequence[str] = (),
) -> Student:
    """Create a student.

    Raises StudentEmailTaken or ExternalIdTaken (by the table's constraints).
    """
    student = Student(name=name, email=email, external_id=external_id, groups=list(groups))
    session.add(student)
    session.flush()
    write_groups(session, student.id, (), groups)
    record(session, EventType.STUDENT_CREATED, student_id=student.id)
    note(session, Event.STUDENT_CREATED, student_id=student.id)
    return student


def find_clashes(
    connection: Connection, *, request: StudentChanges, student_id: int = 0, external_id: str = ""
) -> list[tuple[type[Taken], int]]:
    """The values of `request` that belong to other students than that with `student_id` or with
    `external_id`, each as its error and the id of the other student.
    """
    email = request.get("email")
    values = {
        "email_key": None if email is None else text.key(email),
        "external_id": request.get("external_id"),
    }
    is_this = _table.c.id == student_id
    if external_id:
        is_this = sa.and_(_table.c.external_id.is_not(None), _table.c.external_id == external_id)
    return integrity.find_taken(connection, _table, values, is_this)


def lock_student(session: Session, student_id: int) -> Student:
    """The student, locked until the transaction ends. Raises StudentNotFound."""
    student = session.get(Student, student_id, with_for_update={"key_share": True})
    if student is None:
        raise StudentNotFound
    return student


def find_by_external_id(session: Session, external_id: str) -> Student | None:
    """The student with an external id, locked until the transaction ends, or None."""
    wanted = sa.select(Student).where(Student.external_id == external_id)
    return session.scalars(wanted.with_for_update(key_share=True)).one_or_none()


def lock_by_external_id(session: Session, external_id: str) -> Student:
    """As `find_by_external_id`. Raises StudentNotFound."""
    student = find_by_external_id(session, external_id)
    if student is None:
        raise StudentNotFound
    return student


def update_student(session: Session, student: Student, changes: StudentChanges) -> Student:
    """Set the fields of `changes`. Raises StudentEmailTaken or ExternalIdTaken (by the table's
    constraints).
    """
    groups = student.groups
    for name, value in changes.items():
        setattr(student, name, value)
    if session.is_modified(student):
        session.flush()
        write_groups(session, student.id, groups, student.groups)
        record(session, EventType.STUDENT_CHANGED, student_id=student.id)
        note(session, Event.STUDENT_CHANGED, student_id=student.id)
    return student
