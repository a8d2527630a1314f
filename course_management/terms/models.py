"""The tables of terms and of their windows, and the errors of their constraints."""

from __future__ import annotations

from datetime import date, datetime
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from course_management.core import text
from course_management.core.errors import Conflict, NotFound, Taken
from course_management.db.base import Credits, KeyText, Model, UTCDateTime, Versioned

MAX_WINDOWS = 200  # of a term


class TermNotFound(NotFound):
    """A term that the request names does not exist. If the body names it, `missing` has its
    code.
    """

    code = "term-not-found"
    title = "There is no such term."
    remedy = (
        "Find the code with GET /terms, or create the term with POST /terms. In an address, "
        "percent-encode the code."
    )
    sometimes = {
        "missing": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The codes of the body that do not exist.",
            "example": ["2026-FALL"],
        }
    }


class TermCodeTaken(Taken):
    """Two terms cannot have the same code. Upper and lower case make no difference."""

    code = "term-code-taken"
    pointer = "/code"
    title = "Another term has this code."
    remedy = "Read that term with GET /terms/{code}, or choose another code."


class TermHasParts(Conflict):
    """A term cannot be deleted while other terms are parts of it."""

    code = "term-has-parts"
    title = "Other terms are parts of this term."
    remedy = (
        "List the parts with GET /terms?parent={code}. Delete them, or give them another parent "
        "with PATCH /terms/{code}."
    )


class TermIsPart(Conflict):
    """A part of a term has no windows of its own: those of the whole term apply."""

    code = "term-is-part"
    title = "A part of a term has no windows of its own."
    remedy = "Send the windows to the whole term, which is the `parent` of the part."


class Term(Versioned, Model):
    """A term, such as a semester, or a part of one. Addresses and uniqueness compare its `code_key`
    (`text.key`).

    A part has a `parent_id`, and deadlines of its own. The time zone, the limits and the windows
    of its whole term apply to it. A part has no parts: the service checks this, with both rows
    locked. A deadline or limit that is null does not apply.
    """

    __tablename__ = "terms"
    __table_args__ = (
        # Courses refer to the code as it is written, so that a list of courses needs no join.
        sa.UniqueConstraint("code", info={"error": TermCodeTaken}),
        sa.UniqueConstraint("code_key", info={"error": TermCodeTaken}),
        sa.ForeignKeyConstraint(["parent_id"], ["terms.id"], info={"error": TermHasParts}),
        sa.CheckConstraint("parent_id <> id", name="not_its_own_parent"),
        sa.CheckConstraint("ends_on >= starts_on", name="dates_in_order"),
        sa.CheckConstraint(
            "add_until <= drop_until AND drop_until <= withdraw_until "
            "AND add_until <= withdraw_until",
            name="deadlines_in_order",
        ),
        sa.CheckConstraint("(parent_id IS NULL) = (time_zone IS NOT NULL)", name="zone_of_wholes"),
        sa.CheckConstraint(
            "parent_id IS NULL "
            "OR (min_credits IS NULL AND max_credits IS NULL AND max_courses IS NULL)",
            name="limits_of_wholes",
        ),
        sa.CheckConstraint(
            "min_credits BETWEEN 0 AND 9999 AND max_credits BETWEEN 0 AND 9999 "
            "AND min_credits <= max_credits AND max_courses >= 0",
            name="limits_in_order",
        ),
        sa.Index(None, "starts_on", "id"),
        sa.Index(None, "parent_id", "id"),
        {"sqlite_autoincrement": True},
    )

    code: Mapped[str] = mapped_column(KeyText)
    code_key: Mapped[str] = mapped_column(KeyText)
    name: Mapped[str] = mapped_column(sa.Text)
    parent_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    starts_on: Mapped[date] = mapped_column(sa.Date)
    ends_on: Mapped[date] = mapped_column(sa.Date)
    time_zone: Mapped[str | None] = mapped_column(sa.Text)

    add_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    drop_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    withdraw_until: Mapped[datetime | None] = mapped_column(UTCDateTime)

    min_credits: Mapped[float | None] = mapped_column(Credits)
    max_credits: Mapped[float | None] = mapped_column(Credits)
    max_courses: Mapped[int | None] = mapped_column(sa.Integer)

    whole: Mapped[Term | None] = relationship("Term", remote_side="Term.id")

    @property
    def etag(self) -> str:
        whole = self.whole
        return tag(self.id, self.version, None if whole is None else whole.version)

    @property
    def parent(self) -> str | None:
        """The code of the whole term, of a part."""
        return None if self.whole is None else self.whole.code

    @validates("code")
    def _keep_key(self, attribute: str, value: str) -> str:
        self.code_key = text.key(value)
        return value


class TermWindow(Model):
    """A window of a whole term: from `opens_at` until before `closes_at`, the students of a group
    (null: all students) may add courses. The windows of a term are numbered from 1.
    """

    __tablename__ = "term_windows"
    __table_args__ = (
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"]),
        sa.CheckConstraint("opens_at < closes_at", name="opens_before_it_closes"),
    )

    term_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    # GROUP is a word of SQL.
    group_name: Mapped[str | None] = mapped_column(KeyText)
    opens_at: Mapped[datetime] = mapped_column(UTCDateTime)
    closes_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TermFields(TypedDict, total=False):
    """The fields of a term that a request sets. Deadlines without a zone are local times."""

    code: str
    name: str
    parent: str | None
    starts_on: date
    ends_on: date
    time_zone: str | None
    add_until: datetime | None
    drop_until: datetime | None
    withdraw_until: datetime | None
    min_credits: float | None
    max_credits: float | None
    max_courses: int | None


class Window(TypedDict):
    """A window as in requests and responses."""

    group: str | None
    opens_at: datetime
    closes_at: datetime


def tag(
    id: int,  # noqa: A002 - the name of the column
    version: int,
    whole_version: int | None = None,
) -> str:
    """The entity tag of a term and of its windows (`ETag`): the id and the version of the term.

    For a part, the version of its whole term follows, because a part shows the code of that term.
    """
    return f"{id}-{version}" if whole_version is None else f"{id}-{version}.{whole_version}"
