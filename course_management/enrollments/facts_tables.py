"""The tables that triggers of the database keep, so that the rules read their facts fast."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.db.base import Model


class RulesEdition(Model):
    """One row with a number that changes whenever a term, a window or a catalog entry changes."""

    __tablename__ = "rules_edition"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    token: Mapped[int] = mapped_column(sa.BigInteger)


class StudentRecords(Model):
    """A copy of the completions of a student, and of the holds and overrides in force: one row
    instead of dozens. Students without any have no row.

    Each column is the text of a JSON list, or null. Its items are lists of values, in the order
    that migration 0018 gives.
    """

    __tablename__ = "student_records"
    __table_args__ = (sa.ForeignKeyConstraint(["student_id"], ["students.id"], ondelete="CASCADE"),)

    student_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    completions: Mapped[str | None] = mapped_column(sa.Text)
    holds: Mapped[str | None] = mapped_column(sa.Text)
    overrides: Mapped[str | None] = mapped_column(sa.Text)
