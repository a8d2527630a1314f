"""Writes of overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from course_management.core.errors import Invalid
from course_management.courses.models import CourseNotFound
from course_management.courses.queries import require_course
from course_management.db.base import now
from course_management.history.models import EventType
from course_management.history.recorder import origin, record
from course_management.records.overrides.models import (
    LIMITS,
    LIMITS_OF_COUNTS,
    TARGETS,
    Override,
)
from course_management.students.service import lock_student
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_MAX_CREDITS = 9999  # hundredths


def create_override(session: Session, student_id: int, values: Mapping[str, Any]) -> Override:
    """Lift a rule from the fields of a request, in which `value` is a number of hundredths.

    Raises Invalid if the fields do not fit together, StudentNotFound or CourseNotFound.
    """
    value = _checked_value(values)
    lock_student(session, student_id)
    if values.get("course_id") is not None:
        _require_course(session, values["course_id"])
    fields = {**values, "value": value, "granted_by": origin()["actor"]}
    override = Override(student_id=student_id, **fields)
    session.add(override)
    session.flush()
    _record(session, override, EventType.OVERRIDE_CREATED, Event.OVERRIDE_CREATED, override.reason)
    return override


def revoke_override(session: Session, override: Override, reason: str | None) -> Override:
    """Revoke an override. A revoked one stays as it is. The history keeps `reason`."""
    if override.revoked_at is None:
        override.revoked_at, override.revoked_by = now(), origin()["actor"]
        session.flush()
        _record(session, override, EventType.OVERRIDE_CHANGED, Event.OVERRIDE_REVOKED, reason)
    return override


def _checked_value(values: Mapping[str, Any]) -> int | None:
    """The value as the table has it. Raises Invalid with every fault of the fields."""
    rule, value, faults = values["rule"], values.get("value"), []
    if sum(values.get(name) is not None for name in TARGETS) != 1:
        faults.append(("", "Send exactly one of `course_id`, `catalog_code` and `term`."))
    if (rule in LIMITS) != (value is not None):
        faults.append(("/value", f"These rules have a value, and no others: {', '.join(LIMITS)}."))
    elif rule in LIMITS_OF_COUNTS:
        value, rest = divmod(value or 0, 100)
        if rest:
            faults.append(("/value", "Must be a whole number for this rule."))
    elif (value or 0) > _MAX_CREDITS:
        faults.append(("/value", "Must be at most 99.99 for this rule."))
    if faults:
        raise Invalid([{"pointer": pointer, "detail": detail} for pointer, detail in faults])
    return value


def _require_course(session: Session, course_id: int) -> None:
    try:
        require_course(session, course_id)
    except CourseNotFound:
        raise CourseNotFound("The course does not exist.", missing=[course_id]) from None


def _record(
    session: Session, override: Override, kind: EventType, event: Event, reason: str | None
) -> None:
    data = {"override_id": override.id, "rule": override.rule}
    data |= {name: getattr(override, name) for name in TARGETS}
    data["revoked"] = override.revoked_at is not None
    record(session, kind, student_id=override.student_id, data=data, reason=reason)
    note(session, event, student_id=override.student_id, override_id=override.id)
