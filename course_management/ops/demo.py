"""Loads demo data: plausible students, courses and enrollments, to try or measure the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.courses.models import Course
from course_management.db.base import now
from course_management.enrollments.models import ENROLLED, StudentCourse
from course_management.history.models import EnrollmentEvent, Why
from course_management.ops import rows
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


def load(
    session: Session, students: int, courses: int, each: int, progress: Callable[[int], None]
) -> None:
    """Insert this many students and courses; each student takes `each` courses of the first half.

    On an empty database their ids are 1..students and 1..courses. `progress` is called with the
    number of rows that were inserted since its last call. Raises CannotLoad if another client
    inserts students or courses at the same time.
    """
    moment = now()
    first_course, first_student = (
        rows.reserve(session, Course, courses),
        rows.reserve(session, Student, students),
    )

    def course_rows() -> Iterator[tuple[Any, ...]]:
        for i in range(first_course, first_course + courses):
            name = f"{SUBJECTS[i % len(SUBJECTS)]} {100 + i}"
            yield i, name, text.key(name), LEVELS[i % len(LEVELS)], 0, 0, 1, moment, moment, 1

    def student_rows() -> Iterator[tuple[Any, ...]]:
        for i in range(first_student, first_student + students):
            yield (*student(i), moment, moment, 1)

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
    rows.insert(
        session,
        Course,
        ("id", "name", "name_key", "level", *waitlist, *common),
        course_rows(),
        progress,
    )
    rows.insert(
        session,
        Student,
        ("id", "name", "name_key", "email", "email_key", *common),
        student_rows(),
        progress,
    )
    rows.insert(
        session,
        StudentCourse,
        ("student_id", "course_id", "state", "enrolled_at"),
        enrollment_rows(),
        progress,
    )
    rows.insert(
        session,
        EnrollmentEvent,
        ("at", "student_id", "course_id", "to_state", "why"),
        event_rows(),
        progress,
    )


def student(student_id: int) -> tuple[int, str, str, str, str]:
    """The id, the name, the e-mail address, and the keys of both, of a student."""
    name = f"{FIRST[student_id % len(FIRST)]} {LAST[student_id // len(FIRST) % len(LAST)]}"
    email = f"student{student_id}@example.edu"
    return student_id, name, text.key(name), email, email


def analyze(session: Session) -> None:
    """Update the database's statistics, so that it plans queries well from the first request."""
    session.execute(sa.text("ANALYZE"))
