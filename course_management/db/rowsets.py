"""Rows as one parameter of a statement: a JSON list of objects. A statement about a thousand rows
is then compiled once, and is as short as one about a single row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

ROWS = "rows"  # the name of the parameter


def rowset(dialect: str, columns: Mapping[str, Any]) -> sa.FromClause:
    """A table of the objects in the parameter ROWS, in their order. `columns` has the type of each
    of their fields.
    """
    rows = sa.bindparam(ROWS, type_=sa.Text())
    if dialect == "postgresql":
        fields = [sa.column(name, kind) for name, kind in columns.items()]
        table = sa.func.json_to_recordset(sa.cast(rows, sa.JSON())).table_valued(*fields, name="v")
        return table.render_derived(with_types=True)
    each = sa.func.json_each(rows).table_valued("value")
    values = (
        sa.type_coerce(sa.func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
        for name, kind in columns.items()
    )
    return sa.select(*values).subquery("v")


def as_rows(objects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parameter ROWS."""
    return {ROWS: orjson.dumps(objects).decode()}
