"""Writes of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.catalog.models import (
    RELATIONS,
    CatalogChanges,
    CatalogEntry,
    CatalogEntryNotFound,
    CatalogRelation,
)
from course_management.catalog.queries import table
from course_management.core import text
from course_management.core.errors import Invalid, Taken
from course_management.db import integrity
from course_management.history.models import EventType
from course_management.history.recorder import record
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_relations = cast(sa.Table, CatalogRelation.__table__)


def create_entry(session: Session, request: CatalogChanges) -> CatalogEntry:
    """Create an entry. `credits_max` is `credits_min` if the request does not have it.

    Raises CatalogCodeTaken (by the table's constraints), and Invalid for credits out of order.
    """
    entry = CatalogEntry(**{"credits_max": request.get("credits_min"), **request})
    _check_credits(entry)
    session.add(entry)
    session.flush()
    _relate(session, entry)
    _record(session, EventType.CATALOG_CREATED, Event.CATALOG_ENTRY_CREATED, entry)
    return entry


def find_clashes(
    connection: Connection, *, request: CatalogChanges, code: str = ""
) -> list[tuple[type[Taken], int]]:
    """The values of `request` that belong to other entries than that with `code`, each as its error
    and the id of the other entry.
    """
    values = {"code_key": text.key(request["code"]) if "code" in request else None}
    return integrity.find_taken(connection, table, values, table.c.code_key == text.key(code))


def lock_entry(session: Session, code: str) -> CatalogEntry:
    """The entry, locked until the transaction ends. Raises CatalogEntryNotFound."""
    wanted = sa.select(CatalogEntry).where(CatalogEntry.code_key == text.key(code))
    entry = session.scalars(wanted.with_for_update()).one_or_none()
    if entry is None:
        raise CatalogEntryNotFound
    return entry


def update_entry(session: Session, entry: CatalogEntry, changes: CatalogChanges) -> CatalogEntry:
    """Set the fields of `changes`.

    Raises CatalogCodeTaken (by the table's constraints), and Invalid for credits out of order.
    """
    for name, value in changes.items():
        setattr(entry, name, value)
    _check_credits(entry)
    if session.is_modified(entry):
        session.flush()
        if set(RELATIONS) & changes.keys():
            session.execute(sa.delete(_relations).where(_relations.c.entry_id == entry.id))
            _relate(session, entry)
        _record(session, EventType.CATALOG_CHANGED, Event.CATALOG_ENTRY_CHANGED, entry)
    return entry


def delete_entry(session: Session, entry: CatalogEntry) -> None:
    """Delete an entry, which the caller has locked and to which no course refers."""
    session.delete(entry)
    session.flush()
    _record(session, EventType.CATALOG_DELETED, Event.CATALOG_ENTRY_DELETED, entry)


def _check_credits(entry: CatalogEntry) -> None:
    if entry.credits_min > entry.credits_max:
        detail = f"Must not be below credits_min, which is {entry.credits_min}."
        raise Invalid([{"pointer": "/credits_max", "detail": detail}])


def _relate(session: Session, entry: CatalogEntry) -> None:
    rows: Sequence[dict[str, Any]] = [
        {"entry_id": entry.id, "kind": kind, "code_key": key}
        for kind in RELATIONS
        for key in {text.key(code) for code in getattr(entry, kind)}
    ]
    if rows:
        session.execute(sa.insert(_relations), rows)


def _record(session: Session, kind: EventType, event: Event, entry: CatalogEntry) -> None:
    record(session, kind, data={"code": entry.code})
    note(session, event, catalog_entry_id=entry.id)
