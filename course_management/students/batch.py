"""Creates and changes many students by external id, all or none, with a constant number of
statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.core.errors import ExternalIdTaken, Invalid, Repeat, Taken
from course_management.db.base import UTCDateTime, among, now
from course_management.db.rowsets import as_rows, rowset
from course_management.history.models import EventType
from course_management.history.recorder import record_many
from course_management.students.groups import MAX_IDS_PER_NOTE
from course_management.students.models import Student, StudentEmailTaken, StudentGroup
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

_table = cast(sa.Table, Student.__table__)
_groups = cast(sa.Table, StudentGroup.__table__)
_FIELDS = ("name", "email", "groups")
_STORED = {
    **dict.fromkeys(("name", "name_key", "email", "email_key", "external_id"), sa.Text()),
    "groups": sa.JSON(),
}
_GROUP = {"student_id": sa.BigInteger(), "group_name": sa.Text()}


@dataclass(slots=True)
class StudentBatch:
    """The items of a request, compared with the students, who are locked.

    `new` are items without a student. `changed` are students with the fields that differ. `order`
    are all external ids, and `ids` the ids of the students by external id.
    """

    order: list[str]
    ids: dict[str, int] = field(default_factory=dict)
    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    def pairs(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Each student, or None, with the fields that the batch sets."""
        yield from self.changed
        for item in self.new:
            yield None, item


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The ids of the students, in the order of the items. `regrouped` are those of them who existed
    and whose groups have changed.
    """

    created: list[int]
    updated: list[int]
    unchanged: list[int]
    regrouped: list[int]


def prepare(session: Session, items: Sequence[dict[str, Any]]) -> StudentBatch:
    """Lock the students whom the items name, in the order of their ids, and compare them.

    Raises Invalid with every item that names a student or an e-mail address of another item, or
    that creates a student without a name.
    """
    batch = StudentBatch([item["external_id"] for item in items])
    columns = [_table.c[name] for name in ("id", "external_id", "email_key", *_FIELDS)]
    wanted = (
        sa.select(*columns)
        .where(among(_table.c.external_id, "texts"))
        .order_by(_table.c.id)
        .with_for_update(key_share=True)
    )
    found = session.connection().execute(wanted, {"texts": batch.order})
    rows = {row.external_id: row for row in found}
    batch.ids = {external_id: row.id for external_id, row in rows.items()}
    faults = [
        *_repeated(batch.order, "external_id", "Another item has this external id."),
        *_repeated([_key(item.get("email")) for item in items], "email", _SAME_EMAIL),
    ]
    for place, item in enumerate(items):
        row = rows.get(item["external_id"])
        if row is None:
            if "name" not in item:
                faults.append(_fault(place, "name", "This field is required."))
            batch.new.append(item)
            continue
        changes = {n: item[n] for n in _FIELDS if n in item and item[n] != getattr(row, n)}
        if changes:
            batch.changed.append((row, changes))
    if faults:
        raise Invalid(faults)
    return batch


def find_clashes(
    connection: Connection, *, request: Mapping[str, Any]
) -> list[tuple[type[Taken], int, str]]:
    """The e-mail addresses of the items that belong to students who keep them, each as its error,
    the id of the student and the pointer to the item.
    """
    places = {_key(one["email"]): i for i, one in enumerate(request["items"]) if one.get("email")}
    leaving = {one["external_id"] for one in request["items"] if "email" in one}
    wanted = sa.select(_table.c.id, _table.c.external_id, _table.c.email_key).where(
        among(_table.c.email_key, "texts")
    )
    rows = connection.execute(wanted, {"texts": list(places)})
    taken = {places[r.email_key]: r.id for r in rows if r.external_id not in leaving}
    return [(StudentEmailTaken, taken[place], f"/items/{place}") for place in sorted(taken)]


def write(session: Session, batch: StudentBatch) -> BatchResult:
    """Write the students of the batch, their groups and the events.

    Raises StudentEmailTaken (by the table's constraint).
    """
    connection, dialect = session.connection(), session.get_bind().dialect.name
    changed = [row.id for row, _ in batch.changed]
    if changed:
        _update(connection, dialect, batch)
    created = _insert(connection, dialect, batch) if batch.new else {}
    batch.ids |= created
    regrouped = _write_groups(connection, dialect, batch)
    for ids, kind, event in (
        (list(created.values()), EventType.STUDENT_CREATED, Event.STUDENT_CREATED),
        (changed, EventType.STUDENT_CHANGED, Event.STUDENT_CHANGED),
    ):
        if ids:
            record_many(session, kind, ids)
            note(session, event, student_ids=ids[:MAX_IDS_PER_NOTE], count=len(ids))
    new, edited = set(created.values()), set(changed)
    order = [batch.ids[external_id] for external_id in batch.order]
    return BatchResult(
        [i for i in order if i in new],
        [i for i in order if i in edited],
        [i for i in order if i not in new and i not in edited],
        regrouped,
    )


def _update(connection: Connection, dialect: str, batch: StudentBatch) -> None:
    """Write the changed students. E-mail addresses may change places among them."""
    wanted = {_key(values.get("email")) for _, values in batch.pairs()} - {None}
    leaving = [r.id for r, changes in batch.changed if "email" in changes and r.email_key in wanted]
    if leaving:
        # The unique index is checked row by row.
        free = sa.update(_table).where(among(_table.c.id, "ids"))
        kept = {"email_key": None, "updated_at": _table.c.updated_at}
        connection.execute(free.values(kept), {"ids": leaving})
    values = rowset(dialect, {"id": sa.BigInteger(), **_STORED})
    edited = sa.update(_table).where(_table.c.id == values.c.id)
    stored = {name: values.c[name] for name in _STORED}
    more = {"version": _table.c.version + 1, "updated_at": now()}
    rows = [
        {"id": row.id, **_columns(dict(row._mapping) | changes)} for row, changes in batch.changed
    ]
    connection.execute(edited.values(stored | more), as_rows(rows))


def _insert(connection: Connection, dialect: str, batch: StudentBatch) -> dict[str, int]:
    """Insert the new students, in the order of their external ids, so that two batches do not
    deadlock. Returns their ids by external id.

    Raises Repeat if another request has created one of them meanwhile.
    """
    values, moment = rowset(dialect, _STORED), sa.literal(now(), UTCDateTime())
    source = sa.select(*values.c, moment, moment, sa.literal(1)).where(sa.true())
    names = [*_STORED, "created_at", "updated_at", "version"]
    insert: Callable[[sa.Table], Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[
        dialect
    ]
    inserted = (
        insert(_table)
        .from_select(names, source, include_defaults=False)
        .on_conflict_do_nothing(index_elements=["external_id"])
        .returning(_table.c.external_id, _table.c.id)
    )
    rows = sorted(map(_columns, batch.new), key=lambda row: str(row["external_id"]))
    created = {row.external_id: row.id for row in connection.execute(inserted, as_rows(rows))}
    if len(created) < len(rows):
        raise Repeat(ExternalIdTaken())
    return created


def _write_groups(connection: Connection, dialect: str, batch: StudentBatch) -> list[int]:
    """Write the rows of groups. Returns the ids of the students who existed and whose groups have
    changed.
    """
    before = {row.id: set(row.groups) for row, changes in batch.changed if "groups" in changes}
    after = {row.id: set(changes["groups"]) for row, changes in batch.changed if row.id in before}
    after |= {batch.ids[one["external_id"]]: set(one.get("groups", ())) for one in batch.new}
    removed = _group_rows({i: before[i] - after[i] for i in before})
    added = _group_rows({i: names - before.get(i, set()) for i, names in after.items()})
    values = rowset(dialect, _GROUP)
    if removed:
        same = [_groups.c[name] == values.c[name] for name in _GROUP]
        gone = sa.exists(sa.select(1).select_from(values).where(*same))
        deleted = sa.delete(_groups).where(among(_groups.c.student_id, "ids"), gone)
        connection.execute(deleted, {"ids": list(before), **as_rows(removed)})
    if added:
        inserted = sa.insert(_groups).from_select(list(_GROUP), sa.select(*values.c))
        connection.execute(inserted, as_rows(added))
    return sorted(before)


def _group_rows(names: Mapping[int, Collection[str]]) -> list[dict[str, Any]]:
    return [
        {"student_id": student_id, "group_name": name}
        for student_id, of_student in names.items()
        for name in sorted(of_student)
    ]


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The stored columns of a student."""
    name, email = values["name"], values.get("email")
    return {
        "name": name,
        "name_key": text.key(name),
        "email": email,
        "email_key": _key(email),
        "external_id": values["external_id"],
        "groups": values.get("groups", []),
    }


_SAME_EMAIL = "Another item has this e-mail address."


def _key(email: str | None) -> str | None:
    return None if email is None else text.key(email)


def _repeated(values: Sequence[str | None], name: str, detail: str) -> list[dict[str, str]]:
    """A fault for each item whose value another item has too."""
    counts = Counter(values)
    return [
        _fault(place, name, detail)
        for place, value in enumerate(values)
        if value is not None and counts[value] > 1
    ]


def _fault(place: int, name: str, detail: str) -> dict[str, str]:
    return {"pointer": f"/items/{place}/{name}", "detail": detail}
