"""The table of students, and the errors of its constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from course_management.core import text
from course_management.core.errors import Conflict, ExternalIdTaken, NotFound, Taken
from course_management.core.problem_fields import ID, MISSING
from course_management.db.base import KeyText, Model, Versioned

if TYPE_CHECKING:
    from course_management.courses.models import Course

MAX_GROUPS = 50  # of a student


class StudentNotFound(NotFound):
    """A student that the request names does not exist. If ids in the body do not exist, `missing`
    lists all of them.
    """

    code = "student-not-found"
    title = "There is no such student."
    remedy = (
        "Find the id with GET /students (filter by external_id= or email=), or create the student "
        "with POST /students."
    )
    sometimes = MISSING


class StudentEmailTaken(Taken):
    """Two students cannot have the same e-mail address. Upper and lower case make no difference."""

    code = "student-email-taken"
    pointer = "/email"
    title = "Another student has this e-mail address."
    remedy = "Find that student with GET /students?email=…, or send another e-mail address."


class TooManyGroups(Conflict):
    """A student is in at most 50 groups. `student_ids` lists the students who would be in more."""

    code = "too-many-groups"
    title = f"A student would be in more than {MAX_GROUPS} groups."
    remedy = "Remove these students from other groups first, or leave them out of the request."
    always = {
        "student_ids": {
            "type": "array",
            "items": ID,
            "description": "The students who would be in too many groups.",
            "example": [3],
        }
    }


class Student(Versioned, Model):
    """A student. Search and uniqueness compare `name_key` and `email_key` (`text.key`).

    `groups` is a copy of the student's rows of StudentGroup, sorted. The same transaction writes
    both, so that reading a student costs no second statement.
    """

    __tablename__ = "students"
    __table_args__ = (
        sa.UniqueConstraint("email_key", info={"error": StudentEmailTaken}),
        sa.UniqueConstraint("external_id", info={"error": ExternalIdTaken}),
        sa.Index(None, "name_key", "id"),
        sa.Index(None, "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    name: Mapped[str] = mapped_column(sa.Text)
    name_key: Mapped[str] = mapped_column(KeyText)
    email: Mapped[str | None] = mapped_column(sa.Text)
    email_key: Mapped[str | None] = mapped_column(KeyText)
    external_id: Mapped[str | None] = mapped_column(KeyText)
    # The default is for releases that do not know the column.
    groups: Mapped[list[str]] = mapped_column(sa.JSON, default=list, server_default=sa.text("'[]'"))

    courses: Mapped[list[Course]] = relationship(
        "Course", secondary="student_courses", order_by="Course.id", viewonly=True
    )

    @property
    def etag(self) -> str:
        return tag(self.id, self.version)

    @validates("name", "email")
    def _keep_key(self, attribute: str, value: str | None) -> str | None:
        setattr(self, f"{attribute}_key", value and text.key(value))
        return value


class StudentGroup(Model):
    """A student is in a group. The table is what counts; `Student.groups` is a copy."""

    __tablename__ = "student_groups"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], ondelete="CASCADE"),
        sa.Index(None, "group_name", "student_id"),
    )

    student_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    group_name: Mapped[str] = mapped_column(KeyText, primary_key=True)


class StudentWord(Model):
    """A word of the name of a student: a part of `name_key` between spaces and hyphens, with a copy
    of `name_key` for the order. Triggers of the database (migration 0019) write the rows.
    """

    __tablename__ = "student_words"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], ondelete="CASCADE"),
        sa.Index(None, "word", "name_key", "student_id"),
    )

    student_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    word: Mapped[str] = mapped_column(KeyText, primary_key=True)
    name_key: Mapped[str] = mapped_column(KeyText)


class StudentChanges(TypedDict, total=False):
    """The fields of a student that a request sets."""

    name: str
    email: str | None
    external_id: str | None
    groups: list[str]


def tag(id: int, version: int) -> str:  # noqa: A002 - the columns' names
    """The entity tag of a student (`ETag`): the id and the version."""
    return f"{id}-{version}"
