"""Keyset paging: lists whose any page costs the same and shows every row once, whatever is inserted meanwhile."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.errors import Invalid
from course_management.extensions import MAX_ID

MAX_LIMIT = 200

Condition = Callable[[sa.BindParameter[Any]], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Page:
    """Items in order, and the cursor of the next page where there is one."""

    items: list[dict[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True)
class Listing:
    """A list that can be filtered, sorted and paged.

    `columns` are what an item shows, the id first: it breaks ties between items that sort alike. `filters` maps a name to the
    condition that its value makes. A statement is built once for each shape of request and kept: building and hashing one
    costs more than sending it.
    """

    name: str
    columns: Mapping[str, sa.ColumnElement[Any]]
    source: sa.FromClause
    sorts: Mapping[str, sa.ColumnElement[Any]]
    filters: Mapping[str, Condition]
    _statements: dict[tuple[Any, ...], sa.Select[Any]] = field(default_factory=dict)

    def page(
        self, session: Session, *, sort: str = "id", limit: int = MAX_LIMIT, cursor: str | None = None, **filters: Any
    ) -> Page:
        """The page that follows `cursor`, at most `limit` items. One statement. Raises Invalid for another list's cursor."""
        identity = zlib.crc32(repr((self.name, sort, sorted(filters.items()))).encode())
        params = {**filters, "limit": limit + 1}
        if cursor is not None:
            params |= self._decode(cursor, identity, sort)
        shape = (sort, cursor is None, *filters)
        if shape not in self._statements:
            self._statements[shape] = self._build(sort, cursor is None, filters)
        rows = session.connection().execute(self._statements[shape], params).all()
        # The sort column stands last in a row and has no name here: zip leaves it out.
        items = [dict(zip(self.columns, row, strict=False)) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(items, None)
        return Page(items, _encode(identity, rows[limit - 1][-1], rows[limit - 1][0]))

    def _build(self, sort: str, first: bool, filters: Mapping[str, Any]) -> sa.Select[Any]:
        ident, by = self.sorts["id"], self.sorts[sort.lstrip("-")]
        keys = [by, ident] if by is not ident else [ident]
        statement = sa.select(*(c.label(n) for n, c in self.columns.items()), by.label("_after")).select_from(self.source)
        statement = statement.where(*(self.filters[name](sa.bindparam(name)) for name in filters))
        if not first:
            after = [sa.bindparam("after", type_=by.type), sa.bindparam("after_id", type_=ident.type)][-len(keys) :]
            left, right = (sa.tuple_(*side) if len(keys) > 1 else side[0] for side in (keys, after))
            statement = statement.where(left < right if sort.startswith("-") else left > right)
        order = [key.desc() if sort.startswith("-") else key.asc() for key in keys]
        return statement.order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))

    def _decode(self, cursor: str, identity: int, sort: str) -> dict[str, Any]:
        kind = self.sorts[sort.lstrip("-")].type.python_type
        try:
            check, after, after_id = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=="))
            sound = _encode(check, after, after_id) == cursor  # as it was given, not something that decodes to the same
            if kind is datetime:
                after = datetime.fromisoformat(after).astimezone(UTC)
            sound = sound and check == identity and type(after) is kind and type(after_id) is int and 0 < after_id <= MAX_ID
            sound = sound and not (kind is int and not 0 < after <= MAX_ID) and not (kind is str and "\0" in after)
        except (ValueError, TypeError, OverflowError):
            sound = False
        if not sound:
            detail = "This cursor is not of this list: take it from Link, and keep sort and filters as they were."
            raise Invalid([{"parameter": "cursor", "detail": detail}])
        return {"after": after, "after_id": after_id}


def _encode(identity: int, after: Any, after_id: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([identity, after, after_id])).decode().rstrip("=")
