"""Reads of students, and their paginated list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from course_management.core import text
from course_management.db import external_ids as external_ids_of
from course_management.db.base import Reader, connection_of
from course_management.db.keyset import Condition, Listing, Page, one_of
from course_management.db.prepared_statements import Statement, send
from course_management.students.models import Student, StudentGroup, StudentNotFound, tag
from course_management.students.words import found_by_name, has_word, has_words, words_of

_table = cast(sa.Table, Student.__table__)
_groups = cast(sa.Table, StudentGroup.__table__)

COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    name: _table.c[name]
    for name in (
        *("id", "name", "email", "external_id", "groups"),
        *("created_at", "updated_at", "version"),
    )
}
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "id": _table.c.id,
    "name": _table.c.name_key,
    "created_at": _table.c.created_at,
}
FILTERS: dict[str, Condition] = {
    "id": one_of(_table.c.id),
    "email": lambda value: _table.c.email_key == value,
    "external_id": one_of(_table.c.external_id),
    "q": has_word,
    "q_rest": has_words,
    "group": lambda value: sa.exists().where(
        _groups.c.student_id == _table.c.id, _groups.c.group_name == value
    ),
}
SELECTIVE_FILTERS = frozenset({"id", "email", "external_id"})
LISTING = Listing("students", COLUMNS, _table, SORTS, FILTERS, SELECTIVE_FILTERS)
# Sorted by id, the students of a group are one range of an index of `student_groups`. In another
# order, LISTING walks the index of that order, or sorts the students of a small group.
LISTING_OF_GROUP = Listing(
    "students of a group",
    COLUMNS,
    _groups.join(_table),
    {"id": _groups.c.student_id},
    FILTERS | {"group": lambda value: _groups.c.group_name == value},
    SELECTIVE_FILTERS,
    {"group": _groups.c.group_name},
)


def _listing_of_words(*, descending: bool) -> Listing:
    """The students of a search in the order of their names: the names of all who are found are
    sorted, and only the students of the page are read.

    With LISTING, PostgreSQL would walk the index of names, and pass over nearly all students if
    those it looks for come last, as Zoës do. In other orders, a walk soon finds a common word.
    """
    found = found_by_name(descending=descending)
    return Listing(
        "students with a word",
        COLUMNS,
        found.join(_table, _table.c.id == found.c.student_id),
        {"id": found.c.student_id, "name": found.c.name_key},
        FILTERS | {"q": lambda _: sa.true()},
        SELECTIVE_FILTERS,
    )


LISTINGS_OF_WORDS = {
    "name": _listing_of_words(descending=False),
    "-name": _listing_of_words(descending=True),
}


def folded(query: dict[str, Any]) -> dict[str, Any]:
    """`query` with its filters in the form that the database compares: `email` and `q` are
    case-folded, and `q` is split into words.
    """
    keys = {"email": text.key(query["email"])} if "email" in query else {}
    return query | keys | (words_of(query["q"]) if "q" in query else {})


def find_student(connection: Connection, by: str, value: str) -> int | None:
    """The id of the student that a token names, or None.

    `by` is the attribute, `id`, `external_id` or `email`, and `value` is its value in the token. A
    value that is not ASCII names nobody. Only in e-mail addresses, case makes no difference.
    Unicode's case folding and normalisation would treat straße like strasse and the Kelvin sign
    like K, although these may be two people.
    """
    value = value.strip()
    # An id of at most 18 digits fits into a bigint.
    if not value.isascii() or (by == "id" and not (value.isdigit() and len(value) < 19)):
        return None
    conditions = {
        "id": lambda: _table.c.id == int(value),
        "external_id": lambda: _table.c.external_id == value,
        "email": lambda: _table.c.email_key == value.lower(),
    }
    found = connection.execute(
        sa.select(_table.c.id, _table.c.email).where(conditions[by]())
    ).first()
    if found is None or (
        by == "email" and not (found.email.isascii() and found.email.lower() == value.lower())
    ):
        return None
    return int(found.id)


_BY_ID = _table.c.id == sa.bindparam("id")
_SHOW = Statement("show_student", sa.select(*COLUMNS.values()).where(_BY_ID))
_SHOW_BY_EXTERNAL_ID = Statement(
    "show_student_by_external_id",
    sa.select(*COLUMNS.values()).where(_table.c.external_id == sa.bindparam("external_id")),
)
_EXISTS = Statement("student_exists", sa.select(_table.c.id).where(_BY_ID))


def show_student(reader: Reader, student_id: int) -> dict[str, Any]:
    """The fields of a response about a student, and its `etag`. Raises StudentNotFound."""
    return _shown(send(connection_of(reader), (_SHOW, {"id": student_id})))


def show_by_external_id(reader: Reader, external_id: str) -> dict[str, Any]:
    """As `show_student`, for the student with an external id."""
    values = {"external_id": external_id}
    return _shown(send(connection_of(reader), (_SHOW_BY_EXTERNAL_ID, values)))


def _shown(rows: Sequence[Any]) -> dict[str, Any]:
    if not rows:
        raise StudentNotFound
    student = dict(zip(COLUMNS, rows[0], strict=True))
    return student | {"etag": tag(student["id"], student["version"])}


def require_ids(reader: Reader, external_ids: Sequence[str]) -> list[int]:
    """The ids of the students with these external ids, in the same order. Raises StudentNotFound
    with every external id that no student has.
    """
    detail = "Some of the students do not exist."
    return external_ids_of.require_ids(reader, _table, external_ids, StudentNotFound, detail)


def require_student(reader: Reader, student_id: int) -> None:
    """Raise StudentNotFound if the student does not exist."""
    if not send(connection_of(reader), (_EXISTS, {"id": student_id})):
        raise StudentNotFound


def list_students(reader: Reader, **query: Any) -> Page:
    """A page of the list of students. `query` has the arguments of `keyset.Listing.page`."""
    return listing_of(query).page(reader, **folded(query))


def listing_of(query: Mapping[str, Any]) -> Listing:
    """The listing that is fastest for the filters and the order of `query`."""
    sort = query.get("sort", "id")
    if "group" in query and sort in ("id", "-id"):
        return LISTING_OF_GROUP
    return LISTINGS_OF_WORDS.get(sort, LISTING) if "q" in query else LISTING
