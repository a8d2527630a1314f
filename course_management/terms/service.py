"""Writes of terms and of their windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.core.errors import Invalid, Taken
from course_management.db import integrity
from course_management.db.base import now
from course_management.history.models import EventType
from course_management.history.recorder import record
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note
from course_management.terms import checks, queries
from course_management.terms.models import (
    Term,
    TermFields,
    TermHasParts,
    TermIsPart,
    TermNotFound,
    TermWindow,
    Window,
)

_table = cast(sa.Table, Term.__table__)
_windows = cast(sa.Table, TermWindow.__table__)

_FIELDS = (
    *("code", "name", "parent", "starts_on", "ends_on", "time_zone"),
    *checks.DEADLINES,
    *checks.LIMITS,
)


def create_term(session: Session, fields: TermFields) -> Term:
    """Create a term, or a part of a term.

    Raises Invalid with every fault, TermNotFound if the parent does not exist, and TermCodeTaken
    (by the table's constraints).
    """
    given: dict[str, Any] = {name: fields.get(name) for name in _FIELDS}
    parent = _lock(session, given["parent"])[0]
    term = Term()
    _assign(term, _checked(session, term, given, parent), parent)
    session.add(term)
    session.flush()
    _record(session, EventType.TERM_CREATED, Event.TERM_CREATED, term)
    return term


def find_clashes(
    connection: Connection, *, request: TermFields, code: str = ""
) -> list[tuple[type[Taken], int]]:
    """The code of `request`, if it belongs to another term than `code`: its error and the id of the
    other term.
    """
    values = {"code_key": text.key(request["code"]) if "code" in request else None}
    return integrity.find_taken(connection, _table, values, _table.c.code_key == text.key(code))


def lock_term(session: Session, code: str) -> Term:
    """The term, locked until the transaction ends. Raises TermNotFound."""
    (term,) = _lock(session, code)
    if term is None:
        raise TermNotFound
    return term


def lock_with_parent(session: Session, code: str, parent: str | None) -> tuple[Term, Term | None]:
    """The term, and the term with the code `parent`: None if no term has this code. Both are locked
    until the transaction ends. Raises TermNotFound if the first one does not exist.
    """
    term, found = _lock(session, code, parent)
    if term is None:
        raise TermNotFound
    return term, found


def update_term(
    session: Session, term: Term, changes: Mapping[str, Any], parent: Term | None
) -> Term:
    """Set the fields of `changes`. The caller has locked the term, and the `parent` that `changes`
    names (None if it does not exist, or if they name none).

    Raises Invalid with every fault of the term as it would be, TermNotFound if the new parent does
    not exist, and TermCodeTaken (by the table's constraints).
    """
    if "parent" not in changes:
        parent = term.whole
    given = {name: getattr(term, name) for name in _FIELDS} | dict(changes)
    _assign(term, _checked(session, term, given, parent), parent)
    if session.is_modified(term):
        session.flush()
        _record(session, EventType.TERM_CHANGED, Event.TERM_CHANGED, term)
    return term


def replace_windows(
    session: Session, term: Term, windows: Sequence[Mapping[str, Any]]
) -> list[Window]:
    """Replace the windows of a whole term, which the caller has locked. Local times are in the time
    zone of the term. Returns the new set.

    Raises TermIsPart for a part, and Invalid with every fault.
    """
    if term.time_zone is None:
        raise TermIsPart(f"{term.code} is a part of {term.parent}: send the windows to that term.")
    found, faults = checks.resolve_windows(windows, term.time_zone)
    _refuse(faults)
    if found == queries.list_windows(session, term.id):
        return found
    _delete_windows(session, term)
    rows = [_row(term.id, number, window) for number, window in enumerate(found, 1)]
    if rows:
        session.execute(sa.insert(_windows), rows)
    term.updated_at = now()  # an edit, so the version rises
    session.flush()
    # The auditor tells edits of windows from others.
    _record(session, EventType.TERM_CHANGED, Event.TERM_CHANGED, term, windows=len(found))
    return found


def delete_term(session: Session, term: Term) -> None:
    """Delete a term with its windows. The caller has locked it. Raises TermHasParts."""
    _refuse_if_used(session, term)
    _delete_windows(session, term)
    session.delete(term)
    session.flush()
    _record(session, EventType.TERM_DELETED, Event.TERM_DELETED, term)


def _refuse_if_used(session: Session, term: Term) -> None:
    """Raise an error for each kind of row that keeps a term from being deleted."""
    if queries.has_parts(session, term.id):
        raise TermHasParts


def _lock(session: Session, *codes: str | None) -> list[Term | None]:
    """The terms with these codes, in this order; None for a code without a term.

    They are locked in the order of their ids, so that two requests do not deadlock.
    """
    keys = [None if code is None else text.key(code) for code in codes]
    wanted = [key for key in keys if key is not None]
    found = (
        session.scalars(
            sa.select(Term)
            .where(Term.code_key.in_(wanted))
            .order_by(Term.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if wanted
        else ()
    )
    by_key = {term.code_key: term for term in found}
    return [by_key.get(key) if key is not None else None for key in keys]


def _checked(
    session: Session, term: Term, given: dict[str, Any], parent: Term | None
) -> dict[str, Any]:
    """The fields of `given` with moments for local times.

    Raises Invalid with every fault, and TermNotFound if `given` names a parent and `parent` is
    None.
    """
    is_part = given["parent"] is not None
    faults = checks.check_fields(given)
    if is_part and parent is not None:
        faults += _check_nesting(session, term, parent)
    zone_name = given["time_zone"]
    if is_part:
        zone_name = None if parent is None else parent.time_zone
    moments, wrong = checks.resolve_deadlines(given, zone_name)
    _refuse(faults + wrong)
    if is_part and parent is None:
        detail = f"No term has the code {given['parent']}, which `parent` names."
        raise TermNotFound(detail, missing=[given["parent"]])
    return given | moments


def _check_nesting(session: Session, term: Term, parent: Term) -> list[checks.Fault]:
    """The faults of a term that becomes, or stays, a part of `parent`."""
    if parent is term:
        return [("/parent", "A term cannot be a part of itself.")]
    faults = []
    if parent.parent_id is not None:
        detail = f"Must be a whole term. {parent.code} is a part of {parent.parent}."
        faults.append(("/parent", detail))
    if term.id is not None and term.parent_id is None:
        if queries.has_parts(session, term.id):
            detail = "This term has parts, so it cannot be a part of another term."
            faults.append(("/parent", detail))
        if queries.list_windows(session, term.id):
            detail = "This term has windows, and a part has none: replace them by [] first."
            faults.append(("/parent", detail))
    return faults


def _assign(term: Term, fields: dict[str, Any], parent: Term | None) -> None:
    for name in _FIELDS:
        if name != "parent":
            setattr(term, name, fields[name])
    term.whole = parent


def _refuse(faults: Sequence[checks.Fault]) -> None:
    """Raise Invalid if there are faults."""
    if faults:
        raise Invalid([{"pointer": pointer, "detail": detail} for pointer, detail in faults])


def _row(term_id: int, number: int, window: Window) -> dict[str, Any]:
    return {
        "term_id": term_id,
        "number": number,
        "group_name": window["group"],
        "opens_at": window["opens_at"],
        "closes_at": window["closes_at"],
    }


def _delete_windows(session: Session, term: Term) -> None:
    session.execute(sa.delete(_windows).where(_windows.c.term_id == term.id))


def _record(session: Session, kind: EventType, event: Event, term: Term, **data: int) -> None:
    record(session, kind, data={"code": term.code, **data})
    note(session, event, term_id=term.id)
