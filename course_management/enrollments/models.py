"""The table of enrollments, and the errors of its constraints."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.core.errors import Conflict, NotFound
from course_management.core.problem_fields import MISSING
from course_management.db.base import Model, UTCDateTime
from course_management.history.models import STATES

ENROLLED, WAITLISTED = STATES


class EnrollmentNotFound(NotFound):
    """The student neither takes the course nor waits for it. If the body lists students, `missing`
    lists all of them without an enrollment.
    """

    code = "enrollment-not-found"
    title = "The student does not take this course."
    remedy = (
        "List the courses of the student with GET /students/{id}/courses, or enroll the student "
        "with POST /students/{id}/courses."
    )
    sometimes = MISSING


class CourseHasStudents(Conflict):
    """A course cannot be deleted while students take it or wait for it."""

    code = "course-has-students"
    title = "Students take this course or wait for it."
    remedy = (
        "Drop the students first: read their ids with GET /courses/{course}/students and send "
        "them to POST /courses/{course}/drop."
    )


class StudentCourse(Model):
    """An enrollment: a student takes a course (`enrolled`) or waits for a seat (`waitlisted`).

    Of the students who wait, the one with the lowest `ticket` is next. `credits` are those of an
    enrollment in a course of a term, in hundredths.
    """

    __tablename__ = "student_courses"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"]),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], info={"error": CourseHasStudents}),
        sa.CheckConstraint("state IN ('enrolled', 'waitlisted')", name="state_known"),
        sa.CheckConstraint("(state = 'enrolled') = (enrolled_at IS NOT NULL)", name="seat_since"),
        sa.CheckConstraint("state = 'enrolled' OR ticket IS NOT NULL", name="line_by_ticket"),
        sa.Index(None, "course_id", "student_id"),
        sa.Index(
            "ix_student_courses_line",
            "course_id",
            "ticket",
            unique=True,
            sqlite_where=sa.text("state = 'waitlisted'"),
            postgresql_where=sa.text("state = 'waitlisted'"),
        ),
    )

    student_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    course_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    enrolled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    state: Mapped[str] = mapped_column(sa.Text, default=ENROLLED)
    ticket: Mapped[int | None] = mapped_column(sa.BigInteger)
    credits: Mapped[int | None] = mapped_column(sa.Integer)
