"""Loads demo data: plausible students, courses and enrollments, to try or measure the service."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.courses.models import Course
from course_management.db.base import now
from course_management.enrollments.models import ENROLLED, StudentCourse
from course_management.history.models import EnrollmentEvent, Why
from course_management.students.models import Student

FIRST = (
    "Ada Alan Barbara Chinua Dmitri Emmy Fatima Grace Hedy Jun Katherine Leonhard Maryam "
    "Noor Olga Ravi Sofia Tomás Zoë"
).split()
LAST = (
    "Achebe Berg Çelik Diallo Euler Fernández García Haddad Ito Kim Lovelace Noether Okafor "
    "Patel Rossi Sato Turing Wang"
).split()
SUBJECTS = (
    "Algebra Anatomy Biology Chemistry Drawing Ethics Geology History Linguistics Logic "
    "Music Optics Physics"
).split()
LEVELS = ("freshman", "sophomore", "junior", "senior", "graduate")

CHUNK_ROWS = 10_000


def load(
    session: Session, students: int, courses: int, each: int, progress: Callable[[int], None]
) -> None:
    """Insert this many students and courses; each student takes `each` courses of the first half.

    On an empty database their ids are 1..students and 1..courses. `progress` is called with the
    number of rows that were inserted since its last call. Raises RuntimeError if another client
    inserts students or courses at the same time.
    """
    moment = now()
    first_course, first_student = (
        _reserve(session, Course, courses),
        _reserve(session, Student, students),
    )

    def course_rows() -> Iterator[tuple[Any, ...]]:
        for i in range(first_course, first_course + courses):
            name = f"{SUBJECTS[i % len(SUBJECTS)]} {100 + i}"
            yield i, name, text.key(name), LEVELS[i % len(LEVELS)], 0, 0, 1, moment, moment, 1

    def student_rows() -> Iterator[tuple[Any, ...]]:
        for i in range(first_student, first_student + students):
            name = f"{FIRST[i % len(FIRST)]} {LAST[i // len(FIRST) % len(LAST)]}"
            email = f"student{i}@example.edu"
            yield i, name, text.key(name), email, email, moment, moment, 1

    def enrollment_rows() -> Iterator[tuple[Any, ...]]:
        half = courses // 2
        for i in range(first_student, first_student + students):
            yield from (
                (i, first_course + (i * 7 + k) % half, ENROLLED, moment) for k in range(each)
            )

    def event_rows() -> Iterator[tuple[Any, ...]]:
        yield from (
            (moment, student, course, ENROLLED, Why.LOADED.value)
            for student, course, _, _ in enrollment_rows()
        )

    waitlist = ("waitlist_capacity", "waitlisted", "next_ticket")
    common = ("created_at", "updated_at", "version")
    _insert(
        session,
        Course,
        ("id", "name", "name_key", "level", *waitlist, *common),
        course_rows(),
        progress,
    )
    _insert(
        session,
        Student,
        ("id", "name", "name_key", "email", "email_key", *common),
        student_rows(),
        progress,
    )
    _insert(
        session,
        StudentCourse,
        ("student_id", "course_id", "state", "enrolled_at"),
        enrollment_rows(),
        progress,
    )
    _insert(
        session,
        EnrollmentEvent,
        ("at", "student_id", "course_id", "to_state", "why"),
        event_rows(),
        progress,
    )


def analyze(session: Session) -> None:
    """Update the database's statistics, so that it plans queries well from the first request."""
    session.execute(sa.text("ANALYZE"))


def _reserve(session: Session, model: Any, count: int) -> int:
    """Reserve `count` consecutive ids; returns the first. Raises RuntimeError."""
    # This transaction holds the write lock, and AUTOINCREMENT continues after the highest id.
    if session.get_bind().dialect.name == "sqlite":
        return (
            session.scalar(
                sa.text("SELECT seq FROM sqlite_sequence WHERE name = :t"),
                {"t": model.__tablename__},
            )
            or 0
        ) + 1
    sequence = sa.select(
        sa.func.pg_get_serial_sequence(model.__tablename__, "id")
    ).scalar_subquery()
    taken = sa.select(sa.func.nextval(sa.cast(sequence, postgresql.REGCLASS)).label("id"))
    taken_ids = taken.select_from(sa.func.generate_series(1, count)).subquery()
    first, last = session.execute(
        sa.select(sa.func.min(taken_ids.c.id), sa.func.max(taken_ids.c.id))
    ).one()
    if last - first + 1 != count:
        raise RuntimeError(
            "Another client inserted rows meanwhile. Stop all clients and load the demo again."
        )
    return int(first)


def _insert(
    session: Session,
    model: Any,
    columns: Sequence[str],
    rows: Iterator[tuple[Any, ...]],
    progress: Callable[[int], None],
) -> None:
    connection = session.connection()
    while chunk := list(islice(rows, CHUNK_ROWS)):
        if connection.dialect.name == "sqlite":
            connection.execute(
                sa.insert(model.__table__), [dict(zip(columns, row, strict=True)) for row in chunk]
            )
        else:  # COPY: five times as fast as INSERT
            lines = io.StringIO("".join("\t".join(map(str, row)) + "\n" for row in chunk))
            names = ", ".join(columns)
            cursor: Any = connection.connection.cursor()
            cursor.copy_expert(f"COPY {model.__tablename__} ({names}) FROM STDIN", lines)
        progress(len(chunk))
