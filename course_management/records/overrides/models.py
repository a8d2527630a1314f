"""The table of overrides."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.core.errors import NotFound
from course_management.courses.models import CourseNotFound
from course_management.db.base import Model, UTCDateTime
from course_management.records.rows import StudentRow
from course_management.rules.evaluator import CODES

# The rules whose override has a value: the limit for this student.
LIMITS_OF_CREDITS = ("credits-exceeded", "credits-below-minimum")
LIMITS_OF_COUNTS = ("courses-exceeded", "repeat-limit")
LIMITS = (*LIMITS_OF_CREDITS, *LIMITS_OF_COUNTS)
# The rules that an override can lift: all but course-cancelled.
RULES = (*CODES, "course-closed", "course-full", "waitlist-full")
# What an override is for: exactly one of these fields is set.
TARGETS = ("course_id", "catalog_code", "term")


class OverrideNotFound(NotFound):
    """The student has no override with this id."""

    code = "override-not-found"
    title = "There is no such override."
    remedy = "List the overrides of the student with GET /students/{student_id}/overrides."


class Override(StudentRow, Model):
    """An override lifts one rule for one student, for a course, a catalog entry or a term, until it
    is revoked or until `expires_at`.

    `value` is the limit for this student: hundredths of credits, or a number of courses or
    attempts. An override is never deleted while its course exists. `granted_by` and `revoked_by`
    are the names of principals; null if the service did not ask for one.
    """

    __tablename__ = "overrides"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["course_id"], ["courses.id"], ondelete="CASCADE", info={"error": CourseNotFound}
        ),
        sa.CheckConstraint(
            "(CASE WHEN course_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN catalog_code IS NULL "
            "THEN 0 ELSE 1 END) + (CASE WHEN term IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_target",
        ),
        sa.CheckConstraint("value >= 0", name="value_not_negative"),
        sa.CheckConstraint(
            "revoked_by IS NULL OR revoked_at IS NOT NULL", name="revoked_by_somebody"
        ),
        sa.Index(None, "student_id", "id"),
        sa.Index(None, "course_id"),
        {"sqlite_autoincrement": True},
    )

    rule: Mapped[str] = mapped_column(sa.Text)
    course_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    catalog_code: Mapped[str | None] = mapped_column(sa.Text)
    term: Mapped[str | None] = mapped_column(sa.Text)
    value: Mapped[int | None] = mapped_column(sa.Integer)
    reason: Mapped[str] = mapped_column(sa.Text)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    granted_by: Mapped[str | None] = mapped_column(sa.Text)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_by: Mapped[str | None] = mapped_column(sa.Text)
