"""Writes of holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from course_management.db.base import now
from course_management.history.models import EventType
from course_management.history.recorder import origin, record
from course_management.records.holds.models import Hold
from course_management.students.service import lock_student
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note


def create_hold(session: Session, student_id: int, values: Mapping[str, Any]) -> Hold:
    """Place a hold from the fields of a request. Raises StudentNotFound."""
    lock_student(session, student_id)
    hold = Hold(student_id=student_id, created_by=origin()["actor"], **values)
    session.add(hold)
    session.flush()
    _record(session, hold, EventType.HOLD_CREATED, Event.HOLD_CREATED)
    return hold


def update_hold(session: Session, hold: Hold, changes: Mapping[str, Any]) -> Hold:
    """Set the fields of `changes`."""
    for name, value in changes.items():
        setattr(hold, name, value)
    if session.is_modified(hold):
        session.flush()
        _record(session, hold, EventType.HOLD_CHANGED, Event.HOLD_CHANGED)
    return hold


def release_hold(session: Session, hold: Hold, reason: str | None) -> Hold:
    """Release a hold. A released hold stays as it is. The history keeps `reason`."""
    if hold.released_at is None:
        hold.released_at, hold.released_by = now(), origin()["actor"]
        session.flush()
        _record(session, hold, EventType.HOLD_CHANGED, Event.HOLD_RELEASED, reason)
    return hold


def _record(
    session: Session, hold: Hold, kind: EventType, event: Event, reason: str | None = None
) -> None:
    data = {"hold_id": hold.id, "code": hold.code, "released": hold.released_at is not None}
    record(session, kind, student_id=hold.student_id, data=data, reason=reason)
    note(session, event, student_id=hold.student_id, hold_id=hold.id)
