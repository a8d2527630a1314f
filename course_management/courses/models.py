"""The table of courses, and what its constraints mean."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from course_management import text
from course_management.errors import Conflict, ExternalIdTaken, NotFound
from course_management.extensions import KeyText, Model, Versioned


class CourseNotFound(NotFound):
    """A course that the request names does not exist; where the body named it, `missing` lists every such id."""

    code = "course-not-found"
    title = "There is no such course."
    remedy = "Look it up with GET /courses (q= searches names), and percent-encode its name in the address."


class CourseNameTaken(Conflict):
    """A course's name belongs to it alone; upper and lower case make no difference."""

    code = "course-name-taken"
    title = "Another course has this name."
    remedy = "Read that course with GET /courses/{name}, or choose another name."


class Course(Versioned, Model):
    """A course. `name_key` is what search, address and uniqueness compare (`text.key`)."""

    __tablename__ = "courses"
    __table_args__ = (
        sa.UniqueConstraint("name_key", info={"error": CourseNameTaken}),
        sa.UniqueConstraint("external_id", info={"error": ExternalIdTaken}),
        sa.Index(None, "level", "id"),
        sa.Index(None, "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    name: Mapped[str] = mapped_column(sa.Text)
    name_key: Mapped[str] = mapped_column(KeyText)
    level: Mapped[str] = mapped_column(KeyText)
    external_id: Mapped[str | None] = mapped_column(KeyText)

    @property
    def etag(self) -> str:
        return str(self.version)

    @validates("name")
    def _keep_key(self, attribute: str, value: str) -> str:
        self.name_key = text.key(value)
        return value
