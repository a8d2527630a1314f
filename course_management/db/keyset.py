"""Keyset paging: lists whose any page costs the same and shows every row once, whatever is
inserted meanwhile.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import orjson
import sqlalchemy as sa

from course_management.core.errors import Invalid
from course_management.db.base import MAX_ID, Reader, connection_of
from course_management.db.prepared_statements import Statement, send

MAX_LIMIT = 200

Condition = Callable[[sa.BindParameter[Any]], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Page:
    """Items in order, the cursor of the next page where there is one, and the length of the list
    where it was counted.
    """

    items: list[dict[str, Any]]
    next_cursor: str | None
    total: int | None = None


@dataclass(frozen=True)
class Listing:
    """A list that can be filtered, sorted and paged.

    `columns` are what an item shows, the id first: it breaks ties between items that sort alike.
    `filters` maps a name to the condition that its value makes; `keys` are those that leave few
    rows, whatever the value. A statement is built once for each shape of request and kept, since
    building and hashing one costs more than sending it; sorted by id and filtered by keys alone it
    has one good plan, so it is prepared.

    `parts` maps a filter to the column whose value it asks for: the list is then a part of an
    index, ordered by that column too. The condition is written as two bounds: with `column = value`
    PostgreSQL drops the column from the order, and may read another index and skip rows. Only one
    filter of a request is used so: the first in `parts`.
    """

    name: str
    columns: Mapping[str, sa.ColumnElement[Any]]
    source: sa.FromClause
    sorts: Mapping[str, sa.ColumnElement[Any]]
    filters: Mapping[str, Condition]
    keys: frozenset[str] = frozenset()
    parts: Mapping[str, sa.ColumnElement[Any]] = field(default_factory=dict)
    _statements: dict[tuple[Any, ...], Statement | sa.Select[Any]] = field(default_factory=dict)

    def page(
        self,
        reader: Reader,
        *,
        sort: str = "id",
        limit: int = MAX_LIMIT,
        cursor: str | None = None,
        **filters: Any,
    ) -> Page:
        """The page that follows `cursor`, at most `limit` items. One statement. Raises Invalid
        for another list's cursor.
        """
        identity = zlib.crc32(repr((self.name, sort, sorted(filters.items()))).encode())
        params = {**filters, "limit": limit + 1}
        if cursor is not None:
            params |= self._decode(cursor, identity, sort)
        shape = (sort, cursor is None, *filters)
        rows = self._rows(reader, shape, params, lambda: self._build(sort, cursor is None, filters))
        # The sort column stands last in a row and has no name here: zip leaves it out.
        items = list(map(dict, map(zip, repeat(self.columns), rows[:limit])))
        if len(rows) <= limit:
            return Page(items, None)
        return Page(items, _encode(identity, rows[limit - 1][-1], rows[limit - 1][0]))

    def one(self, reader: Reader, **filters: Any) -> dict[str, Any] | None:
        """The item with these keys; None where there is none."""
        rows = self._rows(reader, ("one", *filters), filters, lambda: self._select(filters))
        return dict(zip(self.columns, rows[0], strict=True)) if rows else None

    def count(self, reader: Reader, **filters: Any) -> int:
        """How many items the list has: reads them all. One statement."""
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
            by_key = shape[0] in ("id", "-id", "one") and self.keys.issuperset(
                params.keys() - {"limit", "after", "after_id"}
            )
            name = "_".join(
                re.sub("[^a-z]", "_", str(part).lower()) for part in (self.name, *shape)
            )
            statement = self._statements[shape] = Statement(name, build()) if by_key else build()
        if isinstance(statement, Statement):
            return send(connection, (statement, params))
        return connection.execute(statement, params).all()

    def _select(self, filters: Iterable[str]) -> sa.Select[Any]:
        shown = sa.select(
            *(column.label(name) for name, column in self.columns.items())
        ).select_from(self.source)
        return shown.where(*(self.filters[name](sa.bindparam(name)) for name in filters))

    def _build(self, sort: str, first: bool, filters: Mapping[str, Any]) -> sa.Select[Any]:
        ident, by, down = self.sorts["id"], self.sorts[sort.lstrip("-")], sort.startswith("-")
        part = next((name for name in self.parts if name in filters), None)
        keys = {
            by: sa.bindparam("after", type_=by.type),
            ident: sa.bindparam("after_id", type_=ident.type),
        }
        bounds: list[sa.ColumnElement[bool]] = []
        if part:
            column, value = self.parts[part], sa.bindparam(part, type_=self.parts[part].type)
            keys, bounds = {column: value} | keys, [column >= value, column <= value]
        # in place of the bound on its side: of two, PostgreSQL may begin at the wrong one
        if not first:
            left, right = sa.tuple_(*keys), sa.tuple_(*keys.values())
            bounds = [left < right, *bounds[:1]] if down else [left > right, *bounds[1:]]
        statement = self._select([name for name in filters if name != part]).add_columns(
            by.label("_after")
        )
        order = [key.desc() if down else key.asc() for key in keys]
        return (
            statement.where(*bounds).order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
        )

    def _decode(self, cursor: str, identity: int, sort: str) -> dict[str, Any]:
        kind = self.sorts[sort.lstrip("-")].type.python_type
        try:
            check, after, after_id = orjson.loads(
                base64.urlsafe_b64decode(cursor.encode("ascii") + b"==")
            )
            # as it was given, not something that decodes to the same
            sound = _encode(check, after, after_id) == cursor
            if kind is datetime:
                after = datetime.fromisoformat(after).astimezone(UTC)
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
                "This cursor is not of this list: take it from Link, and keep sort and filters "
                "as they were."
            )
            raise Invalid([{"parameter": "cursor", "detail": detail}])
        return {"after": after, "after_id": after_id}


def _encode(identity: int, after: Any, after_id: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([identity, after, after_id])).decode().rstrip("=")
