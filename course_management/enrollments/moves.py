"""The only place that changes who has a seat or a place in line: the locks, the rows, the counts and the record.

The order of locks, everywhere: the students concerned, then their courses, each by id. A course without capacity is locked
against deletion and resizing only, beside everybody else who enrolls in it; one with a capacity against everybody. A promotion
changes a row of a student it has not locked: the course's lock covers it, since nobody touches the row without that.
docs/decisions/0005-seats.md says why no circle of waiting can form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management import logs
from course_management.courses.models import Course, CourseNotFound
from course_management.enrollments.models import ENROLLED, WAITLISTED, EnrollmentEvent, StudentCourse
from course_management.enrollments.rules import Pair, Placement, Seats
from course_management.errors import NotFound
from course_management.extensions import now
from course_management.students.models import Student, StudentNotFound

table = cast(sa.Table, StudentCourse.__table__)
_courses = cast(sa.Table, Course.__table__)
_events = cast(sa.Table, EnrollmentEvent.__table__)
_ids: sa.BindParameter[int] = sa.bindparam("ids", expanding=True)

# Built once: a statement costs more to build than to send.
_LOCK_STUDENTS = sa.select(Student.id).where(Student.id.in_(_ids)).order_by(Student.id).with_for_update(key_share=True)
READ_SEATS = sa.select(
    *(_courses.c[name] for name in ("id", "capacity", "seats_taken", "waitlist_capacity", "waitlisted", "next_ticket"))
).where(_courses.c.id.in_(_ids))
_SHARE_COURSES = READ_SEATS.order_by(_courses.c.id).with_for_update(read=True, key_share=True)
_LOCK_COURSES = READ_SEATS.order_by(_courses.c.id).with_for_update(key_share=True)
STANDING = sa.select(table.c.student_id, table.c.course_id, table.c.state).where(
    table.c.student_id.in_(sa.bindparam("students", expanding=True)),
    table.c.course_id.in_(sa.bindparam("courses", expanding=True)),
)


@dataclass
class Moves:
    """The moves of one transaction, in courses locked by `lock_courses`: made one by one, written together by `write`."""

    courses: dict[int, Seats]
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)
    _notes: dict[str, list[Pair]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {course.id: replace(course) for course in self.courses.values()}

    def place(self, placed: Placement) -> None:
        """Insert the new seats and places in line that `rules.place` gave."""
        moment = now()
        for pair in placed.added:
            self._insert(pair, state=ENROLLED, enrolled_at=moment, ticket=None)
        for pair, ticket in placed.joined.items():
            self._insert(pair, state=WAITLISTED, enrolled_at=None, ticket=ticket)

    def remove(self, session: Session, student_ids: Sequence[int], course_ids: Sequence[int], why: str) -> set[Pair]:
        """Delete what stands between these students and these courses; returns whom and what. Freed seats are promoted into."""
        gone = sa.delete(table).where(table.c.student_id.in_(student_ids), table.c.course_id.in_(course_ids))
        rows = session.execute(gone.returning(table.c.student_id, table.c.course_id, table.c.state)).all()
        for student_id, course_id, state in rows:
            if state == ENROLLED:
                self.courses[course_id].take(-1)
            else:
                self.courses[course_id].waitlisted -= 1
            self._record((student_id, course_id), state, None, why)
        self.promote(session)
        return {(row.student_id, row.course_id) for row in rows}

    def promote(self, session: Session) -> None:
        """Give free seats to the first in line."""
        places = {c.id: c.waitlisted if c.free is None else min(c.free, c.waitlisted) for c in self.courses.values()}
        heads = [
            sa.select(table.c.student_id, table.c.course_id)
            .where(table.c.course_id == course_id, table.c.state == WAITLISTED)
            .order_by(table.c.ticket)
            .limit(count)
            .subquery()
            .select()
            for course_id, count in places.items()
            if count
        ]
        if not heads:
            return
        pairs = [(row.student_id, row.course_id) for row in session.execute(sa.union_all(*heads))]
        seat = {"state": ENROLLED, "enrolled_at": now()}
        session.execute(sa.update(table).where(sa.tuple_(table.c.student_id, table.c.course_id).in_(pairs)).values(seat))
        for pair in pairs:
            self.courses[pair[1]].take()
            self.courses[pair[1]].waitlisted -= 1
            self._record(pair, WAITLISTED, ENROLLED, "promoted")

    def write(self, session: Session) -> None:
        """Send the rows, the counts that changed, and the record."""
        if self._rows:
            session.execute(sa.insert(table), self._rows)
        # Differences, not sums: should a lock ever be missing, the constraint on the counts still refuses the seat too many.
        counts: dict[str, sa.ColumnElement[int]] = {}
        changed: set[int] = set()
        for name in ("seats_taken", "waitlisted", "next_ticket"):
            gained = {
                c.id: getattr(c, name) - getattr(self._before[c.id], name) for c in self.courses.values() if c.free is not None
            }
            if any(gained.values()):
                counts[name] = _courses.c[name] + sa.case(gained, value=_courses.c.id)
                changed |= {course for course, n in gained.items() if n}
        if counts:
            session.execute(sa.update(_courses).where(_courses.c.id.in_(changed)).values(counts))
        self.write_record(session)

    def write_record(self, session: Session) -> None:
        """Append the moves to the record, and note them for the log."""
        if self._events:
            session.execute(sa.insert(_events), self._events)
        for event, pairs in self._notes.items():
            students, courses = (list(dict.fromkeys(pair[i] for pair in pairs)) for i in (0, 1))
            logs.note(session, event, student_ids=students, course_ids=courses)

    def _insert(self, pair: Pair, **row: Any) -> None:
        self._rows.append({"student_id": pair[0], "course_id": pair[1], **row})
        self._record(pair, None, row["state"], "requested")

    def _record(self, pair: Pair, before: str | None, after: str | None, why: str) -> None:
        event = {"at": now(), "student_id": pair[0], "course_id": pair[1], "from_state": before, "to_state": after, "why": why}
        self._events.append(event | {"request_id": logs.request_id.get() or None})
        word = "promoted" if why == "promoted" else after or "dropped"
        self._notes.setdefault(f"student {word}", []).append(pair)


def lock_students(session: Session, ids: Sequence[int], *, in_body: bool = False) -> None:
    """Lock the students: two requests about one student take turns. Raises StudentNotFound."""
    found = set(session.scalars(_LOCK_STUDENTS, {"ids": ids}))
    if in_body:
        require_all(ids, found, StudentNotFound, "Some of the students do not exist.")
    elif not found:
        raise StudentNotFound


def lock_courses(session: Session, ids: Sequence[int], *, in_body: bool = True) -> dict[int, Seats]:
    """Lock the courses and read what they have to give. Raises CourseNotFound with every missing id.

    First against resizing (FOR KEY SHARE against the resizer's FOR UPDATE), so that what is read as unlimited stays so; then
    those with a capacity against everybody, and their counts are read again.
    """
    found = {row.id: Seats(*row) for row in session.execute(_SHARE_COURSES, {"ids": ids})}
    if not in_body and not found:
        raise CourseNotFound
    require_all(ids, set(found), CourseNotFound, "Some of the courses do not exist.")
    limited = [course.id for course in found.values() if course.capacity is not None]
    if limited:
        found |= {row.id: Seats(*row) for row in session.execute(_LOCK_COURSES, {"ids": limited})}
    return found


def standing(session: Session, student_ids: Sequence[int], course_ids: Sequence[int]) -> dict[Pair, str]:
    """The state of every enrollment between these students and these courses."""
    rows = session.execute(STANDING, {"students": student_ids, "courses": course_ids})
    return {(row.student_id, row.course_id): row.state for row in rows}


def require_all(ids: Iterable[int], found: set[int], error: type[NotFound], detail: str) -> None:
    """Raise `error` with the `ids` that were not found."""
    missing = [i for i in ids if i not in found]
    if missing:
        raise error(detail, missing=missing)
