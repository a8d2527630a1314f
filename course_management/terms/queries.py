"""Reads of terms and of their windows, and the paginated list of terms."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from course_management.core import text
from course_management.db.base import Reader, connection_of
from course_management.db.keyset import Condition, Listing, Page, one_of
from course_management.db.prepared_statements import Statement, send
from course_management.terms.models import Term, TermNotFound, TermWindow, Window, tag

_table = cast(sa.Table, Term.__table__)
_windows = cast(sa.Table, TermWindow.__table__)
_whole = _table.alias("whole")  # the whole term of a part

COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    **{name: _table.c[name] for name in ("id", "code", "name")},
    "parent": _whole.c.code,
    **{
        name: _table.c[name]
        for name in (
            *("starts_on", "ends_on", "time_zone", "add_until", "drop_until", "withdraw_until"),
            *("min_credits", "max_credits", "max_courses", "created_at", "updated_at", "version"),
        )
    },
}
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": _table.c.id,
    "code": _table.c.code_key,
    "starts_on": _table.c.starts_on,
}
_parent = _table.alias("parent")
FILTERS: dict[str, Condition] = {
    "id": one_of(_table.c.id),
    "parent": lambda value: (
        _table.c.parent_id
        == sa.select(_parent.c.id).where(_parent.c.code_key == value).scalar_subquery()
    ),
}
_source = _table.outerjoin(_whole, _table.c.parent_id == _whole.c.id)
LISTING = Listing("terms", COLUMNS, _source, SORTS, FILTERS, frozenset({"id", "parent"}))

_BY_KEY = _table.c.code_key == sa.bindparam("code_key")
_SHOW = Statement(
    "show_term",
    sa.select(*(column.label(name) for name, column in COLUMNS.items()), _whole.c.version)
    .select_from(_source)
    .where(_BY_KEY),
)
# The term to which windows belong: the whole term of a part, or the term itself.
_FIND_WHOLE = Statement(
    "find_whole_term",
    sa.select(
        sa.func.coalesce(_whole.c.id, _table.c.id),
        sa.func.coalesce(_whole.c.version, _table.c.version),
    )
    .select_from(_source)
    .where(_BY_KEY),
)
_SHOW_WINDOWS = Statement(
    "show_term_windows",
    sa.select(_windows.c.group_name, _windows.c.opens_at, _windows.c.closes_at)
    .where(_windows.c.term_id == sa.bindparam("term_id"))
    .order_by(_windows.c.number),
)


def folded(query: dict[str, Any]) -> dict[str, Any]:
    """`query` with its filters in the form that the database compares: `parent` is case-folded."""
    return query | ({"parent": text.key(query["parent"])} if "parent" in query else {})


def show_term(reader: Reader, code: str) -> dict[str, Any]:
    """The fields of a response about a term, and its `etag`. Raises TermNotFound."""
    rows = send(connection_of(reader), (_SHOW, {"code_key": text.key(code)}))
    if not rows:
        raise TermNotFound
    *values, whole_version = rows[0]
    term = dict(zip(COLUMNS, values, strict=True))
    return term | {"etag": tag(term["id"], term["version"], whole_version)}


def list_terms(reader: Reader, **query: Any) -> Page:
    """A page of the list of terms. `query` has the arguments of `keyset.Listing.page`."""
    return LISTING.page(reader, **folded(query))


def show_windows(reader: Reader, code: str) -> dict[str, Any]:
    """The windows of a term, and their `etag`. For a part, those of its whole term. Raises
    TermNotFound.
    """
    rows = send(connection_of(reader), (_FIND_WHOLE, {"code_key": text.key(code)}))
    if not rows:
        raise TermNotFound
    term_id, version = rows[0]
    return {"windows": list_windows(reader, term_id), "etag": tag(term_id, version)}


def list_windows(reader: Reader, term_id: int) -> list[Window]:
    """The windows of a whole term, in the order in which they open."""
    rows = send(connection_of(reader), (_SHOW_WINDOWS, {"term_id": term_id}))
    return [
        {"group": group, "opens_at": opens_at, "closes_at": closes_at}
        for group, opens_at, closes_at in rows
    ]


def term_and_parts(key: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """A SELECT of the codes, as they are written, of the term with this key and of its parts."""
    parent_id = sa.select(_parent.c.id).where(_parent.c.code_key == key).scalar_subquery()
    return sa.select(_table.c.code).where(
        sa.or_(_table.c.code_key == key, _table.c.parent_id == parent_id)
    )


def has_parts(reader: Reader, term_id: int) -> bool:
    """Whether other terms are parts of this term."""
    part = sa.select(_table.c.id).where(_table.c.parent_id == term_id).limit(1)
    return connection_of(reader).scalar(part) is not None
