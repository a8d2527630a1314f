"""The table of enrollments, and the errors of its constraints."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.core.errors import Conflict, NotFound
from course_management.core.problem_fields import MISSING
from course_management.db.base import BigId, Model, UTCDateTime
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

    Of the students who wait, the one with the lowest `ticket` is next. Promotions pass over a place
    that rules of registration have `blocked`. `credits` are those of an enrollment in a course of a
    term, in hundredths.
    """

    __tablename__ = "student_courses"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"]),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], info={"error": CourseHasStudents}),
        sa.CheckConstraint("state IN ('enrolled', 'waitlisted')", name="state_known"),
        sa.CheckConstraint("(state = 'enrolled') = (enrolled_at IS NOT NULL)", name="seat_since"),
        sa.CheckConstraint("state = 'enrolled' OR ticket IS NOT NULL", name="line_by_ticket"),
        sa.CheckConstraint("state = 'waitlisted' OR NOT blocked", name="no_blocked_seat"),
        sa.Index(None, "course_id", "student_id"),
        sa.Index(
            "ix_student_courses_line",
            "course_id",
            "ticket",
            unique=True,
            sqlite_where=sa.text("state = 'waitlisted'"),
            postgresql_where=sa.text("state = 'waitlisted'"),
        ),
        # The places that a promotion may take: a range of tickets.
        sa.Index(
            "ix_student_courses_promotable",
            "course_id",
            "ticket",
            sqlite_where=sa.text("state = 'waitlisted' AND NOT blocked"),
            postgresql_where=sa.text("state = 'waitlisted' AND NOT blocked"),
        ),
    )

    student_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    course_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    enrolled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    state: Mapped[str] = mapped_column(sa.Text, default=ENROLLED)
    ticket: Mapped[int | None] = mapped_column(sa.BigInteger)
    credits: Mapped[int | None] = mapped_column(sa.Integer)
    # The default is for releases that do not know the column.
    blocked: Mapped[bool] = mapped_column(server_default=sa.false())


class WaitlistRecheck(Model):
    """From `due_at` on, the rules judge the waitlist places of a student again (`flask tick`).

    Rows are only added and deleted. A student may have several, so that a request never waits for
    the one that works through them.
    """

    __tablename__ = "waitlist_rechecks"
    __table_args__ = (sa.Index(None, "due_at", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, sa.Identity(), primary_key=True)
    student_id: Mapped[int] = mapped_column(sa.BigInteger)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
