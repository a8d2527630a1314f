"""Appends events to the history. Nothing else writes events, except the loader of demo data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.db.prepared_statements import Call, Insert, defer
from course_management.history.models import EnrollmentEvent, EventType, Why
from course_management.telemetry import logs

events = cast(sa.Table, EnrollmentEvent.__table__)
# Most changes of enrollments have neither a reason nor data. Each column costs time.
_INSERT_BARE = Insert(events, without=("type", "reason", "data"))
_INSERT = Insert(events)
_EMPTY: dict[str, Any] = {
    "student_id": None,
    "course_id": None,
    "from_state": None,
    "to_state": None,
    "ticket": None,
    "reason": None,
    "data": None,
}


def origin() -> dict[str, str | None]:
    """The fields of an event that say which request caused it."""
    return {"request_id": logs.request_id.get() or None, "actor": logs.actor.get() or None}


def append(connection: Connection, changes: list[dict[str, Any]], before: Sequence[Call]) -> None:
    """Append the changes of enrollments as events, after the statements of `before`.

    Each change has the fields of an event but `id`, `at` and `type`. No other row may be inserted
    in the transaction after this.
    """
    calls = list(before)
    if changes:
        bare = not any(change["reason"] or change["data"] for change in changes)
        kind = {"type": EventType.ENROLLMENT_CHANGED.value}
        rows = changes if bare else [change | kind for change in changes]
        calls.append((_INSERT_BARE if bare else _INSERT, rows[0] if len(rows) == 1 else rows))
    defer(connection, *calls)


def record(session: Session, type: EventType, **fields: Any) -> None:  # noqa: A002 - its name
    """Append one event about a student, a course or a term: its id or code, and `data`."""
    event = {**_EMPTY, "type": type.value, "why": Why.REQUESTED.value, **origin(), **fields}
    defer(session.connection(), (_INSERT, event))


def record_many(session: Session, type: EventType, student_ids: Sequence[int]) -> None:  # noqa: A002
    """Append one event without data about each of these students, with one statement."""
    event = {**_EMPTY, "type": type.value, "why": Why.REQUESTED.value, **origin()}
    rows = [event | {"student_id": student_id} for student_id in student_ids]
    defer(session.connection(), (_INSERT, rows[0] if len(rows) == 1 else rows))


def clear_reasons(session: Session, student_id: int) -> None:
    """Clear the reasons of all events about a student who is being deleted."""
    session.execute(
        sa.update(events)
        .where(events.c.student_id == student_id, events.c.reason.is_not(None))
        .values(reason=None)
    )
