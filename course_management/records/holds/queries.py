"""Reads of holds."""

from __future__ import annotations

from typing import cast

import sqlalchemy as sa

from course_management.records.holds.models import Hold, HoldNotFound
from course_management.records.rows import Rows, is_active

_table = cast(sa.Table, Hold.__table__)

HOLDS = Rows(
    "holds",
    Hold,
    HoldNotFound,
    (
        *("id", "student_id", "code", "detail", "contact", "blocks", "until"),
        *("created_by", "released_at", "released_by"),
        *("created_at", "updated_at", "version"),
    ),
    filters={"active": is_active(_table.c.released_at, _table.c.until)},
    hidden={"created_by": ("created_by",), "released_by": ("released_by",)},
)
