"""Inserts many rows at once, with ids that are reserved before."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

CHUNK_ROWS = 10_000


class CannotLoad(RuntimeError):
    """The rows cannot be inserted. The message says why, and what to do."""


def reserve(session: Session, model: Any, count: int) -> int:
    """Reserve `count` consecutive ids; returns the first. Raises CannotLoad."""
    # This transaction holds the write lock, and AUTOINCREMENT continues after the highest id.
    if session.get_bind().dialect.name == "sqlite":
        return (
            session.scalar(
                sa.text("SELECT seq FROM sqlite_sequence WHERE name = :t"),
                {"t": model.__tablename__},
            )
            or 0
        ) + 1
    sequence = sa.select(
        sa.func.pg_get_serial_sequence(model.__tablename__, "id")
    ).scalar_subquery()
    taken = sa.select(sa.func.nextval(sa.cast(sequence, postgresql.REGCLASS)).label("id"))
    taken_ids = taken.select_from(sa.func.generate_series(1, count)).subquery()
    first, last = session.execute(
        sa.select(sa.func.min(taken_ids.c.id), sa.func.max(taken_ids.c.id))
    ).one()
    if last - first + 1 != count:
        raise CannotLoad(
            "Another client inserted rows meanwhile. Stop all clients and load the demo again."
        )
    return int(first)


def insert(
    session: Session,
    model: Any,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    progress: Callable[[int], None],
) -> None:
    """Insert `rows`, tuples of the values of `columns`.

    Each value is as the database stores it: credits are hundredths. A list or a dict becomes JSON.
    `progress` is called with the number of rows that were inserted since its last call.
    """
    connection = session.connection()
    left: Iterator[tuple[Any, ...]] = iter(rows)
    while chunk := list(islice(left, CHUNK_ROWS)):
        if connection.dialect.name == "sqlite":
            connection.execute(
                sa.insert(model.__table__), [dict(zip(columns, row, strict=True)) for row in chunk]
            )
        else:  # COPY: five times as fast as INSERT
            lines = io.StringIO("".join("\t".join(map(_cell, row)) + "\n" for row in chunk))
            names = ", ".join(columns)
            cursor: Any = connection.connection.cursor()
            cursor.copy_expert(f"COPY {model.__tablename__} ({names}) FROM STDIN", lines)
        progress(len(chunk))


def _cell(value: Any) -> str:
    r"""A value in the text format of COPY. Texts must contain no tab, line break or backslash."""
    kind = type(value)
    if kind is str:
        return cast(str, value)
    if value is None:
        return r"\N"
    if kind is datetime:
        return _moment(value)
    return json.dumps(value, ensure_ascii=False) if kind in (list, dict) else str(value)


# Most rows have the same few times.
_moment = lru_cache(maxsize=64)(str)
