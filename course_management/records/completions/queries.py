"""Reads of completions."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from course_management.db.base import as_number
from course_management.db.keyset import one_of
from course_management.records.completions.models import Completion, CompletionNotFound
from course_management.records.rows import Rows

_table = cast(sa.Table, Completion.__table__)


def _present(item: dict[str, Any]) -> dict[str, Any]:
    """The completion with its credits and its score as numbers."""
    return item | {name: as_number(item[name]) for name in ("credits", "score")}


COMPLETIONS = Rows(
    "completions",
    Completion,
    CompletionNotFound,
    (
        *("id", "student_id", "catalog_code", "test", "kind", "grade", "score", "credits"),
        *("term", "external_id", "created_at", "updated_at", "version"),
    ),
    _present,
    {"id": one_of(_table.c.id), "external_id": one_of(_table.c.external_id)},
)
