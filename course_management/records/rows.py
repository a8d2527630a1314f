"""Rows that belong to one student: their lists, their responses and their locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from course_management.core.errors import NotFound
from course_management.db.base import Reader, Versioned, connection_of, database_clock
from course_management.db.keyset import Condition, Listing, Page
from course_management.db.prepared_statements import Statement, send
from course_management.students.models import tag
from course_management.students.queries import require_student
from course_management.students.service import lock_student


def is_active(ended: sa.Column[Any], until: sa.Column[Any]) -> Condition:
    """The condition of a filter `active`: whether a row is neither ended nor past `until`."""
    active = sa.and_(ended.is_(None), sa.or_(until.is_(None), until > database_clock()))
    return lambda value: sa.case((active, sa.true()), else_=sa.false()) == value


class StudentRow(Versioned):
    """Columns of a model whose rows belong to a student."""

    student_id: Mapped[int] = mapped_column(sa.BigInteger)

    @property
    def etag(self) -> str:
        return tag(self.id, self.version)


Row = TypeVar("Row", bound=StudentRow)


def _unchanged(item: dict[str, Any]) -> dict[str, Any]:
    return item


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """The rows of one table that belong to a student.

    `columns` are the fields of a response. `present` turns their values into those of a response.
    `filters` are the filters of the list. `hidden` maps a column with the name of a principal to
    the fields that students do not see if that principal is somebody else.
    """

    name: str
    model: type[Row]
    not_found: type[NotFound]
    columns: tuple[str, ...]
    present: Callable[[dict[str, Any]], dict[str, Any]] = _unchanged
    filters: Mapping[str, Condition] = field(default_factory=dict)
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def table(self) -> sa.Table:
        """The table of the model."""
        return cast(sa.Table, sa.inspect(self.model).local_table)

    @cached_property
    def _listing(self) -> Listing:
        of_student = self.table.c.student_id
        filters = {"student_id": lambda value: of_student == value, **self.filters}
        return Listing(
            self.name,
            {name: self.table.c[name] for name in self.columns},
            self.table,
            {"id": self.table.c.id},
            filters,
            frozenset(filters),
            {"student_id": of_student},
        )

    @cached_property
    def _show(self) -> Statement:
        columns = [self.table.c[name] for name in self.columns]
        of_student = self.table.c.student_id == sa.bindparam("student_id")
        wanted = sa.select(*columns).where(self.table.c.id == sa.bindparam("id"), of_student)
        return Statement(f"show_{self.name}", wanted)

    def show(
        self, reader: Reader, student_id: int, row_id: int, seen_by: str | None = None
    ) -> dict[str, Any]:
        """The fields of a response about a row, and its `etag`.

        If students read their own rows, `seen_by` is the name of their principal. Raises
        StudentNotFound, or the error of a row that the student does not have.
        """
        values = {"student_id": student_id, "id": row_id}
        rows = send(connection_of(reader), (self._show, values))
        if not rows:
            require_student(reader, student_id)
            raise self.not_found
        item = dict(zip(self.columns, rows[0], strict=True))
        shown = self._seen(self.present(item), seen_by)
        return shown | {"etag": tag(item["id"], item["version"])}

    def page(
        self, reader: Reader, student_id: int, seen_by: str | None = None, **query: Any
    ) -> Page:
        """A page of the rows of a student, the oldest first. Raises StudentNotFound.

        `query` has the arguments of `keyset.Listing.page`; `seen_by` is that of `show`.
        """
        found = self._listing.page(reader, student_id=student_id, **query)
        if not found.items:
            require_student(reader, student_id)
        items = [self._seen(self.present(item), seen_by) for item in found.items]
        return replace(found, items=items)

    def response(self, row: Row) -> dict[str, Any]:
        """The fields of a response about a row that the request has written, and its `etag`."""
        item = {name: getattr(row, name) for name in self.columns}
        return self.present(item) | {"etag": row.etag}

    def lock(self, session: Session, student_id: int, row_id: int) -> Row:
        """The row, which no other transaction can change until this one ends: it holds the lock of
        the student. Raises StudentNotFound, or the error of a row that the student does not have.
        """
        lock_student(session, student_id)
        of_student = self.model.student_id == student_id
        wanted = sa.select(self.model).where(self.model.id == row_id, of_student)
        row = session.scalars(wanted).one_or_none()
        if row is None:
            raise self.not_found
        return row

    def _seen(self, item: dict[str, Any], seen_by: str | None) -> dict[str, Any]:
        if seen_by is not None:
            for principal, names in self.hidden.items():
                if item[principal] != seen_by:
                    item.update(dict.fromkeys(names))
        return item
