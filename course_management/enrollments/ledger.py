"""The only place that changes who has a seat or a place in line: the locks, the rows, the counts
and the record.

The order of locks, everywhere: the students concerned, then their courses, each by id. A course
without capacity is locked against deletion and resizing only, beside everybody else who enrolls in
it; one with a capacity against everybody. A promotion changes a row of a student it has not locked:
the course's lock covers it, since nobody touches the row without that. docs/decisions/0005-seats.md
says why no circle of waiting can form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import NotFound
from course_management.courses.gate import pass_gates
from course_management.courses.models import Course
from course_management.db.base import among, now
from course_management.db.prepared_statements import Call, Insert, Statement, defer, send
from course_management.enrollments.allocation import Allocation, Pair, Seats
from course_management.enrollments.models import (
    ENROLLED,
    WAITLISTED,
    EnrollmentEvent,
    StudentCourse,
)
from course_management.students.models import Student, StudentNotFound
from course_management.telemetry import logs
from course_management.telemetry.events import Event

table = cast(sa.Table, StudentCourse.__table__)
_courses = cast(sa.Table, Course.__table__)
_events = cast(sa.Table, EnrollmentEvent.__table__)
_students = cast(sa.Table, Student.__table__)
# Said in the statement, not as its parameter: only so does PostgreSQL see that the index of the
# line will do.
IS_WAITLISTED = table.c.state == sa.literal_column(f"'{WAITLISTED}'")
MAX_IDS_PER_EVENT = 100  # ids of one event in the log; the record has them all
_COUNTED = ("seats_taken", "waitlisted", "next_ticket")
# Key of a connection's info: courses it last saw without a capacity. Enrolling in these needs no
# look first.
_UNLIMITED = "courses without a capacity"

# Built once: a statement costs more to build than to send.
_LOCK_STUDENTS = Statement(
    "lock_students",
    sa.select(Student.id)
    .where(among(_students.c.id, "students"))
    .order_by(Student.id)
    .with_for_update(key_share=True),
)
_SEATS = [
    _courses.c[name]
    for name in ("id", "capacity", "seats_taken", "waitlist_capacity", "waitlisted", "next_ticket")
]
_of_students = among(table.c.student_id, "students")

# What the courses have to give, how many of the students exist, and how they stand in the courses:
# a row for each student who does, else one without.
_READ = (
    sa.select(
        *_SEATS,
        sa.select(sa.func.count()).where(among(_students.c.id, "students")).scalar_subquery(),
        table.c.student_id,
        table.c.state,
    )
    .select_from(
        _courses.outerjoin(table, sa.and_(table.c.course_id == _courses.c.id, _of_students))
    )
    .where(among(_courses.c.id, "ids"))
    .order_by(_courses.c.id)
)
_LOOK = Statement("look_at_courses", _READ)
_SHARE_COURSES = Statement(
    "share_courses", _READ.with_for_update(read=True, key_share=True, of=_courses)
)
_LOCK_COURSES = Statement(
    "lock_courses",
    sa.select(_courses.c.id)
    .where(among(_courses.c.id, "ids"))
    .order_by(_courses.c.id)
    .with_for_update(key_share=True),
)
_INSERT = Insert(table)
_INSERT_EVENT = Insert(_events)
_UNEDITED = {"updated_at": _courses.c.updated_at}  # enrolling is no edit
_COUNT = Statement(
    "count_seats",
    sa.update(_courses)
    .where(_courses.c.id == sa.bindparam("course"))
    .values(
        {name: _courses.c[name] + sa.bindparam(f"more_{name}") for name in _COUNTED} | _UNEDITED
    ),
)


@dataclass
class SeatLedger:
    """The moves of one transaction, in courses locked by `lock_courses`: made one by one,
    written together by `write`.
    """

    courses: dict[int, Seats]
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)
    _notes: dict[str, list[Pair]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {
            course.id: replace(course)
            for course in self.courses.values()
            if course.free is not None
        }
        self._moment = now()
        self._asked = {
            "request_id": logs.request_id.get() or None,
            "actor": logs.actor.get() or None,
        }

    def place(self, placed: Allocation) -> None:
        """Insert the new seats and places in line that `rules.place` gave."""
        for pair in placed.added:
            self._insert(pair, state=ENROLLED, enrolled_at=self._moment, ticket=None)
        for pair, ticket in placed.joined.items():
            self._insert(pair, state=WAITLISTED, enrolled_at=None, ticket=ticket)

    def remove(
        self, session: Session, student_ids: Sequence[int], course_ids: Sequence[int], why: str
    ) -> set[Pair]:
        """Delete what stands between these students and these courses; returns whom and what.
        Freed seats are promoted into.
        """
        gone = sa.delete(table).where(
            table.c.student_id.in_(student_ids), table.c.course_id.in_(course_ids)
        )
        rows = session.execute(
            gone.returning(table.c.student_id, table.c.course_id, table.c.state)
        ).all()
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
        places = {
            c.id: c.waitlisted if c.free is None else min(c.free, c.waitlisted)
            for c in self.courses.values()
        }
        # The last ticket of each course that gets a seat: the line may be long, so it is moved by a
        # range and not by a list.
        last = [
            sa.select(table.c.course_id, table.c.ticket)
            .where(table.c.course_id == course_id, IS_WAITLISTED)
            .order_by(table.c.ticket)
            .limit(1)
            .offset(count - 1)
            .subquery()
            .select()
            for course_id, count in places.items()
            if count
        ]
        if not last:
            return
        tickets = session.execute(sa.union_all(*last)).all()
        ranges = [
            sa.and_(table.c.course_id == course_id, table.c.ticket <= ticket)
            for course_id, ticket in tickets
        ]
        seated = sa.update(table).where(IS_WAITLISTED, sa.or_(*ranges))
        seated = seated.values(state=ENROLLED, enrolled_at=self._moment).returning(
            table.c.ticket, table.c.student_id, table.c.course_id
        )
        for _, student_id, course_id in sorted(session.execute(seated).all()):
            self.courses[course_id].take()
            self.courses[course_id].waitlisted -= 1
            self._record((student_id, course_id), WAITLISTED, ENROLLED, "promoted")

    def write(self, session: Session) -> None:
        """Send the rows, the counts that changed, and the record."""
        # Differences, not sums: should a lock ever be missing, the constraint on the counts still
        # refuses the seat too many.
        gained = {
            c.id: {name: getattr(c, name) - getattr(self._before[c.id], name) for name in _COUNTED}
            for c in self.courses.values()
            if c.free is not None and c != self._before[c.id]
        }
        calls: list[Call] = [(_INSERT, _one_or_many(self._rows))] if self._rows else []
        if len(gained) == 1:
            ((course_id, more),) = gained.items()
            calls.append(
                (_COUNT, {"course": course_id} | {f"more_{name}": n for name, n in more.items()})
            )
        elif gained:
            counts = {
                name: _courses.c[name]
                + sa.case({c: more[name] for c, more in gained.items()}, value=_courses.c.id)
                for name in _COUNTED
            }
            session.connection().execute(
                sa.update(_courses).where(_courses.c.id.in_(gained)).values(counts | _UNEDITED)
            )
        self.write_record(session, *calls)

    def write_record(self, session: Session, *before: Call) -> None:
        """Append the moves to the record, after what is to be sent `before`, and note them for
        the log.
        """
        calls = [*before, (_INSERT_EVENT, _one_or_many(self._events))] if self._events else before
        defer(session.connection(), *calls)
        for event, pairs in self._notes.items():
            students, courses = (list(dict.fromkeys(pair[i] for pair in pairs)) for i in (0, 1))
            logs.note(
                session,
                Event(event),
                student_ids=students[:MAX_IDS_PER_EVENT],
                course_ids=courses[:MAX_IDS_PER_EVENT],
                count=len(pairs),
            )

    def _insert(self, pair: Pair, **row: Any) -> None:
        self._rows.append({"student_id": pair[0], "course_id": pair[1], **row})
        self._record(pair, None, row["state"], "requested")

    def _record(self, pair: Pair, before: str | None, after: str | None, why: str) -> None:
        ids = {"student_id": pair[0], "course_id": pair[1]}
        self._events.append(
            {
                "at": self._moment,
                **ids,
                "from_state": before,
                "to_state": after,
                "why": why,
                **self._asked,
            }
        )
        word = "promoted" if why == "promoted" else after or "dropped"
        self._notes.setdefault(f"student {word}", []).append(pair)


def lock_students(session: Session, ids: Sequence[int], *, in_body: bool = False) -> None:
    """Lock the students: two requests about one student take turns. Raises StudentNotFound."""
    found = {row[0] for row in send(session.connection(), (_LOCK_STUDENTS, {"students": ids}))}
    if in_body:
        require_all(ids, found, StudentNotFound, "Some of the students do not exist.")
    elif not found:
        raise StudentNotFound


@dataclass
class Standing:
    """What some courses have to give, how some students stand in them, and how many of these
    students exist.
    """

    courses: dict[int, Seats] = field(default_factory=dict)
    states: dict[Pair, str] = field(default_factory=dict)
    students: int | None = None  # not known where no course was read

    def read(
        self,
        connection: Connection,
        students: Sequence[int],
        ids: Sequence[int],
        statement: Statement,
        *before: Call,
    ) -> None:
        """Read about these courses, after what is to be sent `before`."""
        unlimited = connection.info.setdefault(_UNLIMITED, set())
        rows: Any = send(connection, *before, (statement, {"students": students, "ids": ids}))
        for *seats, self.students, student, state in rows:
            course = Seats(*seats)
            self.courses[course.id] = course
            (unlimited.add if course.capacity is None else unlimited.discard)(course.id)
            if student is not None:
                self.states[(student, course.id)] = state


def look(connection: Connection, students: Sequence[int], ids: Sequence[int]) -> Standing:
    """What can be read without a lock; nothing where every course was without a capacity when
    this connection last saw it.
    """
    standing = Standing()
    if not connection.info.get(_UNLIMITED, set()).issuperset(ids):
        standing.read(connection, students, ids, _LOOK)
    return standing


def lock(
    session: Session,
    students: Sequence[int],
    ids: Sequence[int],
    limited: Collection[int] = (),
    *,
    locked: bool = False,
) -> Standing:
    """Lock the students, where they are not `locked` already, then the courses; what is read then.

    The courses not known to be `limited` are locked against editing (their gates, then FOR KEY
    SHARE), so that what is read as unlimited stays so; then those with a capacity against
    everybody, in one statement. What they have to give and how the students stand in them is read
    by a statement that begins after the lock is had: one that waits for a lock returns what the
    other tables held before it waited. A wrong `limited` costs a stronger lock, or a statement, and
    nothing else. A course that does not exist is left out.
    """
    connection, standing = session.connection(), Standing()
    before: list[Call] = [] if locked else [(_LOCK_STUDENTS, {"students": students})]
    rest = [i for i in ids if i not in limited]
    if rest:
        standing.read(
            connection, students, rest, _SHARE_COURSES, *before, *pass_gates(connection, rest)
        )
        before = []
    ours = [i for i in ids if i in limited] + [
        c.id for c in standing.courses.values() if c.capacity is not None
    ]
    if ours:
        standing.read(connection, students, ours, _LOOK, *before, (_LOCK_COURSES, {"ids": ours}))
    return standing


def _one_or_many(rows: list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    return rows[0] if len(rows) == 1 else rows


def require_all(ids: Iterable[int], found: set[int], error: type[NotFound], detail: str) -> None:
    """Raise `error` with the `ids` that were not found."""
    missing = [i for i in ids if i not in found]
    if missing:
        raise error(detail, missing=missing)
