"""The table of holds."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.core.errors import NotFound
from course_management.db.base import Model, UTCDateTime
from course_management.records.rows import StudentRow

ACTS = ("add", "drop")  # what a hold can block


class HoldNotFound(NotFound):
    """The student has no hold with this id."""

    code = "hold-not-found"
    title = "There is no such hold."
    remedy = "List the holds of the student with GET /students/{student_id}/holds."


class Hold(StudentRow, Model):
    """A hold blocks acts of a student (`blocks`) until it is released, or until `until`.

    A hold is never deleted. `created_by` and `released_by` are the names of principals; null if the
    service did not ask for one.
    """

    __tablename__ = "holds"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], ondelete="CASCADE"),
        sa.CheckConstraint(
            "released_by IS NULL OR released_at IS NOT NULL", name="released_by_somebody"
        ),
        sa.Index(None, "student_id", "id"),
        {"sqlite_autoincrement": True},
    )

    code: Mapped[str] = mapped_column(sa.Text)
    detail: Mapped[str] = mapped_column(sa.Text)
    contact: Mapped[str | None] = mapped_column(sa.Text)
    blocks: Mapped[list[str]] = mapped_column(sa.JSON)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_by: Mapped[str | None] = mapped_column(sa.Text)
    released_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    released_by: Mapped[str | None] = mapped_column(sa.Text)
