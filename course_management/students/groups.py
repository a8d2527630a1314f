"""The groups of students: the rows of `student_groups`, and the copies in `students.groups`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from course_management.db.base import among, now
from course_management.history.models import EventType
from course_management.history.recorder import record_many
from course_management.students.models import (
    MAX_GROUPS,
    Student,
    StudentGroup,
    StudentNotFound,
    TooManyGroups,
)
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note

MAX_IDS_PER_NOTE = 100
_students = cast(sa.Table, Student.__table__)
_groups = cast(sa.Table, StudentGroup.__table__)


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The students of a request, in its order: those whom it added or removed, and the others."""

    group: str
    changed: list[int]
    unchanged: list[int]


class sorted_groups(  # noqa: N801 - reads as an SQL function
    sa.sql.expression.FunctionElement[Any]
):
    """The groups of the student of an UPDATE of `students`, as a JSON list."""

    inherit_cache = True
    type = sa.JSON()


_OF_STUDENT = "FROM student_groups WHERE student_id = students.id"


@compiles(sorted_groups, "sqlite")
def _json_group_array(element: sorted_groups, compiler: Any, **kw: Any) -> str:
    rows = f"SELECT group_name {_OF_STUDENT} ORDER BY group_name"
    return f"(SELECT json_group_array(group_name) FROM ({rows}))"


@compiles(sorted_groups, "postgresql")
def _json_agg(element: sorted_groups, compiler: Any, **kw: Any) -> str:
    names = "json_agg(group_name ORDER BY group_name)"
    return f"(SELECT coalesce({names}, CAST('[]' AS json)) {_OF_STUDENT})"


def write_groups(
    session: Session, student_id: int, before: Iterable[str], after: Iterable[str]
) -> None:
    """Write the rows of a locked student whose groups change from `before` to `after`."""
    removed, added = set(before).difference(after), set(after).difference(before)
    if removed:
        session.execute(
            sa.delete(_groups).where(
                _groups.c.student_id == student_id, _groups.c.group_name.in_(sorted(removed))
            )
        )
    if added:
        rows = [{"student_id": student_id, "group_name": name} for name in sorted(added)]
        session.execute(sa.insert(_groups).values(rows))


def add_to_group(session: Session, group: str, student_ids: Sequence[int]) -> GroupResult:
    """Add students to a group, all of them or none. Students who are in it already stay.

    Raises StudentNotFound with every missing id, or TooManyGroups.
    """
    groups = _lock(session, student_ids)
    full = [i for i in student_ids if group not in groups[i] and len(groups[i]) >= MAX_GROUPS]
    if full:
        raise TooManyGroups(student_ids=full)

    def insert(changed: list[int]) -> None:
        wanted = sa.select(_students.c.id, sa.literal(group, sa.Text)).where(
            among(_students.c.id, "ids")
        )
        inserted = sa.insert(_groups).from_select(["student_id", "group_name"], wanted)
        session.execute(inserted, {"ids": changed})

    changed = [i for i in student_ids if group not in groups[i]]
    return _change(session, group, student_ids, changed, insert)


def remove_from_group(session: Session, group: str, student_ids: Sequence[int]) -> GroupResult:
    """Remove students from a group. Students who are not in it stay as they are.

    Raises StudentNotFound with every missing id.
    """
    groups = _lock(session, student_ids)

    def delete(changed: list[int]) -> None:
        of_students = among(_groups.c.student_id, "ids")
        deleted = sa.delete(_groups).where(of_students, _groups.c.group_name == group)
        session.execute(deleted, {"ids": changed})

    changed = [i for i in student_ids if group in groups[i]]
    return _change(session, group, student_ids, changed, delete)


def _lock(session: Session, student_ids: Sequence[int]) -> dict[int, list[str]]:
    """Lock the students in the order of their ids. Returns their groups by id."""
    wanted = (
        sa.select(_students.c.id, _students.c.groups)
        .where(among(_students.c.id, "ids"))
        .order_by(_students.c.id)
        .with_for_update(key_share=True)
    )
    rows = session.execute(wanted, {"ids": list(student_ids)})
    groups = {row.id: row.groups for row in rows}
    missing = [i for i in student_ids if i not in groups]
    if missing:
        raise StudentNotFound("Some of the students do not exist.", missing=missing)
    return groups


def _change(
    session: Session,
    group: str,
    student_ids: Sequence[int],
    changed: list[int],
    write_rows: Callable[[list[int]], None],
) -> GroupResult:
    """Write the rows, the copies and the events of the students whose groups change."""
    if changed:
        write_rows(changed)
        edited = (
            sa.update(_students)
            .where(among(_students.c.id, "ids"))
            .values(groups=sorted_groups(), version=_students.c.version + 1, updated_at=now())
        )
        session.connection().execute(edited, {"ids": changed})
        record_many(session, EventType.STUDENT_CHANGED, changed)
        shown = changed[:MAX_IDS_PER_NOTE]
        note(session, Event.STUDENT_CHANGED, student_ids=shown, count=len(changed))
    ids = set(changed)
    return GroupResult(group, changed, [i for i in student_ids if i not in ids])
