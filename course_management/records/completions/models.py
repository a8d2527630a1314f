"""The table of completions, and the errors of its constraints."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from course_management.core import text
from course_management.core.errors import ExternalIdTaken, NotFound
from course_management.db.base import KeyText, Model
from course_management.records.rows import StudentRow
from course_management.rules.facts import COURSE, TRANSFER, WITHDRAWN

# The kinds that may have a grade.
GRADED = (COURSE, TRANSFER, WITHDRAWN)


class CompletionNotFound(NotFound):
    """The student has no completion with this id."""

    code = "completion-not-found"
    title = "There is no such completion."
    remedy = "List the completions of the student with GET /students/{student_id}/completions."


class Completion(StudentRow, Model):
    """What a student has done, tried or begun: a catalog entry, or a test.

    `catalog_code`, `test` and `term` are texts without a foreign key, because a completion may be
    about an entry that the catalog no longer has. `catalog_key` and `test_key` ignore case
    (`text.key`). `credits` and `score` are hundredths: 300 is 3 credits.
    """

    __tablename__ = "completions"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("external_id", info={"error": ExternalIdTaken}),
        sa.CheckConstraint(
            "kind IN ('course', 'transfer', 'test', 'in-progress', 'withdrawn')", name="kind_known"
        ),
        sa.CheckConstraint("(catalog_key IS NULL) <> (test_key IS NULL)", name="one_subject"),
        sa.CheckConstraint("(kind = 'test') = (test_key IS NOT NULL)", name="kind_of_tests"),
        sa.CheckConstraint(
            "grade IS NULL OR kind IN ('course', 'transfer', 'withdrawn')", name="grade_of_courses"
        ),
        sa.CheckConstraint(
            "score IS NULL OR (kind = 'test' AND score BETWEEN 0 AND 9999999)",
            name="score_of_tests",
        ),
        sa.CheckConstraint("credits BETWEEN 0 AND 9999", name="credits_in_range"),
        sa.Index(None, "student_id", "id"),
        {"sqlite_autoincrement": True},
    )

    catalog_code: Mapped[str | None] = mapped_column(sa.Text)
    catalog_key: Mapped[str | None] = mapped_column(KeyText)
    test: Mapped[str | None] = mapped_column(sa.Text)
    test_key: Mapped[str | None] = mapped_column(KeyText)
    kind: Mapped[str] = mapped_column(sa.Text)
    grade: Mapped[str | None] = mapped_column(sa.Text)
    score: Mapped[int | None] = mapped_column(sa.Integer)
    credits: Mapped[int] = mapped_column(sa.Integer, default=0)
    term: Mapped[str | None] = mapped_column(sa.Text)
    external_id: Mapped[str | None] = mapped_column(KeyText)

    @validates("catalog_code", "test")
    def _keep_key(self, attribute: str, value: str | None) -> str | None:
        setattr(self, f"{attribute.removesuffix('_code')}_key", value and text.key(value))
        return value
