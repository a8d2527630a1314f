"""Keyset pagination: every page of a list costs the same. Every row appears on one page, even if
other rows are inserted meanwhile.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import repeat
from typing import Any

import orjson
import sqlalchemy as sa

from course_management.core.errors import Invalid
from course_management.db.base import MAX_ID, Reader, among, connection_of
from course_management.db.prepared_statements import Statement, send

DEFAULT_LIMIT, MAX_LIMIT = 200, 1000

# Makes the SQL condition of a filter from the parameter that will have its value.
Condition = Callable[[sa.BindParameter[Any]], sa.ColumnElement[bool]]


def one_of(column: sa.ColumnElement[Any]) -> Condition:
    """The condition of a filter whose value is a list: the column has one of these values."""
    return lambda values: among(column, values.key)


@dataclass(frozen=True, slots=True)
class Page:
    """The items of a page in order, the cursor of the next page (None on the last page), and the
    length of the whole list (None if it was not counted).
    """

    items: list[dict[str, Any]]
    next_cursor: str | None
    total: int | None = None


@dataclass(frozen=True)
class Listing:
    """A list that can be filtered, sorted and paged.

    `columns` are the fields of an item. The id is the first: it decides the order of items whose
    sort column is equal. `filters` maps the name of a filter to its condition.
    `selective_filters` names the filters that leave few rows for any value.

    A statement is built once for each shape of request and kept, because building it costs more
    than sending it. A statement that sorts by id and has only selective filters is prepared: one
    plan is good for all its values.

    `partition_columns` maps a filter to the column that it compares. In an index, this column comes
    directly before the order of the list, so the filtered list is one range of that index. The
    condition is written as two bounds. With `column = value` PostgreSQL would remove the column
    from the order, and might read another index and skip rows. If a request has several of these
    filters, only the one that comes first in `partition_columns` is written in this way. The
    columns of the others come before it in the index.

    `more` are columns that rows have after those of an item. `finish` is called with the items of a
    page and their rows; it adds fields that most items do not have.
    """

    name: str
    columns: Mapping[str, sa.ColumnElement[Any]]
    source: sa.FromClause
    sorts: Mapping[str, sa.ColumnElement[Any]]
    filters: Mapping[str, Condition]
    selective_filters: frozenset[str] = frozenset()
    partition_columns: Mapping[str, sa.ColumnElement[Any]] = field(default_factory=dict)
    more: Sequence[sa.ColumnElement[Any]] = ()
    finish: Callable[[list[dict[str, Any]], Sequence[sa.Row[Any]]], None] | None = None
    _statements: dict[tuple[Any, ...], Statement | sa.Select[Any]] = field(default_factory=dict)

    def page(
        self,
        reader: Reader,
        *,
        sort: str = "id",
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        counted: bool = False,
        **filters: Any,
    ) -> Page:
        """The page that follows `cursor`, or the first page. It has at most `limit` items.

        `sort` is a name of `sorts`; a minus before it means descending. Sends one statement, and a
        second one if the list is `counted`. Raises Invalid if the cursor belongs to another list,
        or to other filters or another order.
        """
        identity = self._identity(sort, filters)
        params = {**filters, "limit": limit + 1}
        if cursor is not None:
            params |= self._decode(cursor, identity, sort)
        shape = (sort, cursor is None, *filters)
        rows = self._rows(reader, shape, params, lambda: self._build(sort, cursor is None, filters))
        # The last columns of a row have no name in `columns`: zip leaves them out.
        items = list(map(dict, map(zip, repeat(self.columns), rows[:limit])))
        if self.finish:
            self.finish(items, rows)
        total = self.count(reader, **filters) if counted else None
        if len(rows) <= limit:
            return Page(items, None, total)
        return Page(items, _encode(identity, rows[limit - 1][-1], rows[limit - 1][0]), total)

    def cursor_after(self, row_id: int, **filters: Any) -> str:
        """The cursor of the page that follows this row, in a list that is sorted by id."""
        return _encode(self._identity("id", filters), row_id, row_id)

    def _identity(self, sort: str, filters: Mapping[str, Any]) -> int:
        """A number that cursors contain, so that each belongs to one list."""
        return zlib.crc32(repr((self.name, sort, sorted(filters.items()))).encode())

    def one(self, reader: Reader, **filters: Any) -> dict[str, Any] | None:
        """The item that these filters select, or None."""
        rows = self._rows(reader, ("one", *filters), filters, lambda: self._select(filters))
        return dict(zip(self.columns, rows[0], strict=False)) if rows else None

    def count(self, reader: Reader, **filters: Any) -> int:
        """The number of items of the filtered list. Reads all of them with one statement."""
        count = sa.select(sa.func.count()).select_from(self.source)
        conditions = (self.filters[name](sa.bindparam(name)) for name in filters)
        return int(
            self._rows(reader, ("count", *filters), filters, lambda: count.where(*conditions))[0][0]
        )

    def _rows(
        self,
        reader: Reader,
        shape: tuple[Any, ...],
        params: dict[str, Any],
        build: Callable[[], sa.Select[Any]],
    ) -> Sequence[sa.Row[Any]]:
        statement, connection = self._statements.get(shape), connection_of(reader)
        if statement is None:
            has_one_plan = shape[0] in ("id", "-id", "one") and self.selective_filters.issuperset(
                params.keys() - {"limit", "after", "after_id"}
            )
            name = "_".join(
                re.sub("[^a-z]", "_", str(part).lower()) for part in (self.name, *shape)
            )
            statement = Statement(name, build()) if has_one_plan else build()
            self._statements[shape] = statement
        if isinstance(statement, Statement):
            return send(connection, (statement, params))
        return connection.execute(statement, params).all()

    def _select(self, filters: Iterable[str]) -> sa.Select[Any]:
        shown = sa.select(
            *(column.label(name) for name, column in self.columns.items()), *self.more
        ).select_from(self.source)
        return shown.where(*(self.filters[name](sa.bindparam(name)) for name in filters))

    def _build(self, sort: str, first: bool, filters: Mapping[str, Any]) -> sa.Select[Any]:
        id_column, sort_column = self.sorts["id"], self.sorts[sort.lstrip("-")]
        descending = sort.startswith("-")
        partition = next((name for name in self.partition_columns if name in filters), None)
        # The columns of the order, each with its value in the cursor.
        order = {
            sort_column: sa.bindparam("after", type_=sort_column.type),
            id_column: sa.bindparam("after_id", type_=id_column.type),
        }
        bounds: list[sa.ColumnElement[bool]] = []
        if partition:
            column = self.partition_columns[partition]
            value = sa.bindparam(partition, type_=column.type)
            order, bounds = {column: value} | order, [column >= value, column <= value]
        # The cursor replaces the bound on its side: with both, PostgreSQL may start at the other.
        if not first:
            left, right = sa.tuple_(*order), sa.tuple_(*order.values())
            bounds = [left < right, *bounds[:1]] if descending else [left > right, *bounds[1:]]
        statement = self._select([name for name in filters if name != partition]).add_columns(
            sort_column.label("_after")
        )
        order_by = [column.desc() if descending else column.asc() for column in order]
        return (
            statement.where(*bounds)
            .order_by(*order_by)
            .limit(sa.bindparam("limit", type_=sa.Integer))
        )

    def _decode(self, cursor: str, identity: int, sort: str) -> dict[str, Any]:
        kind = self.sorts[sort.lstrip("-")].type.python_type
        try:
            check, after, after_id = orjson.loads(
                base64.urlsafe_b64decode(cursor.encode("ascii") + b"==")
            )
            # Only the form that the service sent, not another text that decodes to the same values.
            sound = _encode(check, after, after_id) == cursor
            if kind is datetime:
                after = datetime.fromisoformat(after).astimezone(UTC)
            if kind is date:
                after = date.fromisoformat(after)
            sound = (
                sound
                and check == identity
                and type(after) is kind
                and type(after_id) is int
                and 0 < after_id <= MAX_ID
            )
            sound = (
                sound
                and not (kind is int and not 0 < after <= MAX_ID)
                and not (kind is str and "\0" in after)
            )
        except (ValueError, TypeError, OverflowError):
            sound = False
        if not sound:
            detail = (
                "This cursor does not belong to this list. Use the address in Link unchanged: sort "
                "and filters must stay the same."
            )
            raise Invalid([{"parameter": "cursor", "detail": detail}])
        return {"after": after, "after_id": after_id}


def _encode(identity: int, after: Any, after_id: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([identity, after, after_id])).decode().rstrip("=")
