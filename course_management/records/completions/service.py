"""Writes of completions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Invalid, Taken
from course_management.db import integrity
from course_management.history.models import EventType
from course_management.history.recorder import record
from course_management.records.completions.models import GRADED, Completion
from course_management.records.completions.queries import COMPLETIONS
from course_management.rules.facts import TEST, WITHDRAWN
from course_management.students.service import lock_student
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_CHECKED = ("catalog_code", "test", "kind", "grade", "score")


def create_completion(session: Session, student_id: int, values: Mapping[str, Any]) -> Completion:
    """Create a completion from the fields of a request.

    Raises StudentNotFound, Invalid if the fields do not fit together, or ExternalIdTaken (by the
    table's constraint).
    """
    _check(values)
    lock_student(session, student_id)
    completion = Completion(student_id=student_id, **values)
    session.add(completion)
    session.flush()
    _record(session, completion, EventType.COMPLETION_CREATED, Event.COMPLETION_CREATED)
    return completion


def insert_completions(session: Session, completions: Collection[Completion]) -> None:
    """Insert completions of students whom the caller has locked. `record_completions` writes their
    events, which must be the last rows of the transaction.
    """
    session.add_all(completions)
    session.flush()


def record_completions(session: Session, completions: Collection[Completion]) -> None:
    """Write the events of completions that were inserted."""
    for one in completions:
        _record(session, one, EventType.COMPLETION_CREATED, Event.COMPLETION_CREATED)


def take_back(session: Session, completion_ids: Collection[int]) -> list[Completion]:
    """Delete those withdrawals of these that still exist. The caller has locked their students.
    `record_taken_back` writes their events, as `record_completions` does.
    """
    wanted = sa.select(Completion).where(
        Completion.id.in_(completion_ids), Completion.kind == WITHDRAWN
    )
    found = list(session.scalars(wanted)) if completion_ids else []
    for one in found:
        session.delete(one)
    session.flush()
    return found


def record_taken_back(session: Session, completions: Collection[Completion]) -> None:
    """Write the events of completions that were deleted."""
    for one in completions:
        _record(session, one, EventType.COMPLETION_DELETED, Event.COMPLETION_DELETED)


def find_clashes(
    connection: Connection,
    *,
    request: Mapping[str, Any],
    student_id: int,
    completion_id: int = 0,
) -> list[tuple[type[Taken], int]]:
    """The external id of `request`, as its error and the id of the other completion that has it."""
    table = COMPLETIONS.table
    values = {"external_id": request.get("external_id")}
    return integrity.find_taken(connection, table, values, table.c.id == completion_id)


def update_completion(
    session: Session, completion: Completion, changes: Mapping[str, Any]
) -> Completion:
    """Set the fields of `changes`. Raises Invalid or ExternalIdTaken as `create_completion`."""
    _check({name: getattr(completion, name) for name in _CHECKED} | dict(changes))
    for name, value in changes.items():
        setattr(completion, name, value)
    if session.is_modified(completion):
        session.flush()
        _record(session, completion, EventType.COMPLETION_CHANGED, Event.COMPLETION_CHANGED)
    return completion


def delete_completion(session: Session, completion: Completion) -> None:
    """Delete a completion."""
    session.delete(completion)
    session.flush()
    _record(session, completion, EventType.COMPLETION_DELETED, Event.COMPLETION_DELETED)


def _check(values: Mapping[str, Any]) -> None:
    """Raise Invalid with every fault if the fields of a completion do not fit together."""
    is_test, faults = values.get("test") is not None, []
    if is_test == (values.get("catalog_code") is not None):
        faults.append(("", "Send either `catalog_code` or `test`."))
    if is_test != (values["kind"] == TEST):
        faults.append(("/kind", "Must be test for a test, and another kind for a catalog code."))
    if values.get("grade") is not None and values["kind"] not in GRADED:
        faults.append(("/grade", f"Only these kinds have a grade: {', '.join(GRADED)}."))
    if values.get("score") is not None and values["kind"] != TEST:
        faults.append(("/score", "Only a test has a score."))
    if faults:
        raise Invalid([{"pointer": pointer, "detail": detail} for pointer, detail in faults])


def _record(session: Session, completion: Completion, kind: EventType, event: Event) -> None:
    codes = {name: getattr(completion, name) for name in ("kind", "catalog_code", "test")}
    data = {"completion_id": completion.id} | codes
    record(session, kind, student_id=completion.student_id, data=data)
    note(session, event, student_id=completion.student_id, completion_id=completion.id)
