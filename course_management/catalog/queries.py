"""Reads of the catalog, and its paginated list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import sqlalchemy as sa

from course_management.catalog.models import CatalogEntry, CatalogEntryNotFound, tag
from course_management.core import text
from course_management.db.base import Reader, connection_of
from course_management.db.keyset import Condition, Listing, Page, one_of

table = cast(sa.Table, CatalogEntry.__table__)

COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    name: table.c[name]
    for name in (
        *("id", "code", "title", "credits_min", "credits_max"),
        *("prerequisites", "excludes", "same_as", "max_attempts"),
        *("created_at", "updated_at", "version"),
    )
}
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": table.c.id,
    "code": table.c.code_key,
    "title": table.c.title_key,
    "created_at": table.c.created_at,
}
FILTERS: dict[str, Condition] = {
    "id": one_of(table.c.id),
    "code": lambda value: table.c.code_key == value,
    "q": lambda value: sa.or_(
        table.c.title_key.contains(value, escape="/"),
        table.c.code_key.startswith(value, escape="/"),
    ),
}
# Not prepared: prepared statements return the columns of credits as they are stored.
LISTING = Listing("catalog", COLUMNS, table, SORTS, FILTERS)

_SHOW = sa.select(*COLUMNS.values()).where(table.c.code_key == sa.bindparam("code_key"))


def show_entry(reader: Reader, code: str) -> dict[str, Any]:
    """The fields of a response about an entry, and its `etag`. Raises CatalogEntryNotFound."""
    row = connection_of(reader).execute(_SHOW, {"code_key": text.key(code)}).first()
    if row is None:
        raise CatalogEntryNotFound
    entry = dict(zip(COLUMNS, row, strict=True))
    return entry | {"etag": tag(entry["id"], entry["version"])}


def list_entries(reader: Reader, **query: Any) -> Page:
    """A page of the catalog. `query` has the arguments of `keyset.Listing.page`."""
    for name in ("q", "code"):
        if name in query:
            query[name] = text.key(query[name])
    if "q" in query:
        query["q"] = re.sub("([/%_])", r"/\1", query["q"])
    return LISTING.page(reader, **query)


def entry_code(key: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """A SELECT of the code, as it is written, of the entry with this key."""
    return sa.select(table.c.code).where(table.c.code_key == key)


def unknown_codes(reader: Reader, codes: Iterable[str]) -> list[str]:
    """Those of `codes` that no entry has, in their order."""
    keys = {text.key(code): code for code in codes}
    if not keys:
        return []
    found = sa.select(table.c.code_key).where(table.c.code_key.in_(keys))
    known = set(connection_of(reader).scalars(found))
    return [code for key, code in keys.items() if key not in known]
