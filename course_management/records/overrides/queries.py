"""Reads of overrides."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from course_management.db.base import as_number
from course_management.records.overrides.models import (
    LIMITS_OF_CREDITS,
    Override,
    OverrideNotFound,
)
from course_management.records.rows import Rows, is_active

_table = cast(sa.Table, Override.__table__)


def _present(item: dict[str, Any]) -> dict[str, Any]:
    """The override with a limit of credits as a number of credits."""
    return item | {"value": as_number(item["value"])} if item["rule"] in LIMITS_OF_CREDITS else item


OVERRIDES = Rows(
    "overrides",
    Override,
    OverrideNotFound,
    (
        *("id", "student_id", "rule", "course_id", "catalog_code", "term", "value", "reason"),
        *("expires_at", "granted_by", "revoked_at", "revoked_by"),
        *("created_at", "updated_at", "version"),
    ),
    _present,
    filters={"active": is_active(_table.c.revoked_at, _table.c.expires_at)},
    hidden={"granted_by": ("granted_by", "reason"), "revoked_by": ("revoked_by",)},
)
