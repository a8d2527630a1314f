"""Reads of events for the acts that undo others. The histories are in enrollments/queries.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.db.base import among
from course_management.history.models import EventType
from course_management.history.recorder import events


def last_changes(
    session: Session, course_id: int, student_ids: Sequence[int]
) -> dict[int, sa.Row[Any]]:
    """The last event of each of these students in a course, by the id of the student."""
    last = (
        sa.select(sa.func.max(events.c.id))
        .where(
            among(events.c.student_id, "students"),
            events.c.course_id == course_id,
            events.c.type == EventType.ENROLLMENT_CHANGED,
        )
        .group_by(events.c.student_id)
    )
    rows = session.connection().execute(
        sa.select(events).where(events.c.id.in_(last)), {"students": list(student_ids)}
    )
    return {row.student_id: row for row in rows}
