"""Finds rows by their external ids: the numbers that they have in another system."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from course_management.core.errors import NotFound
from course_management.db.base import Reader, among, connection_of


class ExternalId(str):
    """An external id, where a function also takes a name."""

    __slots__ = ()


def find_ids(reader: Reader, table: sa.Table, external_ids: Sequence[str]) -> dict[str, int]:
    """The ids of the rows with these external ids, by external id. Sends one statement."""
    if not external_ids:
        return {}
    wanted = sa.select(table.c.external_id, table.c.id).where(among(table.c.external_id, "texts"))
    rows = connection_of(reader).execute(wanted, {"texts": list(external_ids)})
    return {row.external_id: row.id for row in rows}


def require_ids(
    reader: Reader,
    table: sa.Table,
    external_ids: Sequence[str],
    missing: type[NotFound],
    detail: str,
) -> list[int]:
    """The ids of the rows with these external ids, in the same order.

    Raises the error `missing` with this detail and with every external id that no row has.
    """
    found = find_ids(reader, table, external_ids)
    unknown = [external_id for external_id in external_ids if external_id not in found]
    if unknown:
        raise missing(detail, missing=unknown)
    return [found[external_id] for external_id in external_ids]
