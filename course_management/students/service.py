"""Writes of students."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.core.errors import Taken
from course_management.db import integrity
from course_management.students.models import Student, StudentNotFound
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_table = cast(sa.Table, Student.__table__)


def create_student(
    session: Session, *, name: str, email: str | None = None, external_id: str | None = None
) -> Student:
    """A new student. Raises StudentEmailTaken or ExternalIdTaken (by the table's constraints)."""
    student = Student(name=name, email=email, external_id=external_id)
    session.add(student)
    session.flush()
    note(session, Event.STUDENT_CREATED, student_id=student.id)
    return student


def find_clashes(
    connection: Connection, student_id: int = 0, **given: Any
) -> list[tuple[type[Taken], int]]:
    """What of `given` belongs to other students than this one, and to whom."""
    values = {
        "email_key": given.get("email") and text.key(given["email"]),
        "external_id": given.get("external_id"),
    }
    return integrity.find_taken(connection, _table, values, _table.c.id == student_id)


def get_student(session: Session, student_id: int, *, for_update: bool = False) -> Student:
    """The student; locked until the transaction ends where it is to be changed. Raises
    StudentNotFound.
    """
    student = session.get(
        Student, student_id, with_for_update={"key_share": True} if for_update else None
    )
    if student is None:
        raise StudentNotFound
    return student


def update_student(session: Session, student: Student, **changes: Any) -> Student:
    """Set what `changes` names. Raises StudentEmailTaken or ExternalIdTaken (by the table's
    constraints).
    """
    for name, value in changes.items():
        setattr(student, name, value)
    if session.is_modified(student):
        session.flush()
        note(session, Event.STUDENT_CHANGED, student_id=student.id)
    return student
