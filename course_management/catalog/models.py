"""The table of catalog entries, and the errors of its constraints."""

from __future__ import annotations

from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from course_management.core import text
from course_management.core.errors import NotFound, Taken
from course_management.db.base import Credits, KeyText, Model, Versioned

EXCLUDES, SAME_AS = RELATIONS = ("excludes", "same_as")


class CatalogEntryNotFound(NotFound):
    """No catalog entry has this code. If the body names it, `missing` has the code."""

    code = "catalog-entry-not-found"
    title = "There is no such catalog entry."
    remedy = (
        "Find the code with GET /catalog (q= searches titles), or create the entry with POST "
        "/catalog. In an address, percent-encode the code."
    )
    sometimes = {
        "missing": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The codes of the body that do not exist.",
            "example": ["CS 225"],
        }
    }


class CatalogCodeTaken(Taken):
    """Two catalog entries cannot have the same code. Upper and lower case make no difference."""

    code = "catalog-code-taken"
    pointer = "/code"
    title = "Another catalog entry has this code."
    remedy = "Read that entry with GET /catalog/{code}, or choose another code."


class CatalogEntry(Versioned, Model):
    """A catalog entry: what courses of different terms teach. Prerequisites and repeats speak of
    entries. Addresses and uniqueness compare `code_key` (`text.key`).

    `prerequisites` is an expression (rules/expressions.py). `excludes` and `same_as` are the codes
    that this entry names; the table of relations has them as keys.
    """

    __tablename__ = "catalog_entries"
    __table_args__ = (
        # Courses refer to the code as it is written, so that a list of courses needs no join.
        sa.UniqueConstraint("code", info={"error": CatalogCodeTaken}),
        sa.UniqueConstraint("code_key", info={"error": CatalogCodeTaken}),
        sa.CheckConstraint("credits_min <= credits_max", name="credits_in_order"),
        sa.Index(None, "title_key", "id"),
        sa.Index(None, "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    code: Mapped[str] = mapped_column(KeyText)
    code_key: Mapped[str] = mapped_column(KeyText)
    title: Mapped[str] = mapped_column(sa.Text)
    title_key: Mapped[str] = mapped_column(KeyText)
    credits_min: Mapped[float] = mapped_column(Credits)
    credits_max: Mapped[float] = mapped_column(Credits)
    prerequisites: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    excludes: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    same_as: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    max_attempts: Mapped[int | None] = mapped_column(sa.Integer)

    @property
    def etag(self) -> str:
        return tag(self.id, self.version)

    @validates("code", "title")
    def _keep_key(self, attribute: str, value: str) -> str:
        setattr(self, f"{attribute}_key", text.key(value))
        return value


class CatalogRelation(Model):
    """An entry names a code in its list `kind`. The other entry may not exist yet.

    The rules treat the relation as symmetric, so they look for both columns.
    """

    __tablename__ = "catalog_relations"
    __table_args__ = (
        sa.ForeignKeyConstraint(["entry_id"], ["catalog_entries.id"], ondelete="CASCADE"),
        sa.CheckConstraint("kind IN ('excludes', 'same_as')", name="kind_known"),
        sa.Index(None, "code_key", "kind"),
    )

    entry_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(KeyText, primary_key=True)
    code_key: Mapped[str] = mapped_column(KeyText, primary_key=True)


class CatalogChanges(TypedDict, total=False):
    """The fields of a catalog entry that a request sets."""

    code: str
    title: str
    credits_min: float
    credits_max: float
    prerequisites: dict[str, Any] | None
    excludes: list[str]
    same_as: list[str]
    max_attempts: int | None


def tag(id: int, version: int) -> str:  # noqa: A002 - the names of the columns
    """The entity tag of an entry (`ETag`): the id and the version."""
    return f"{id}-{version}"
