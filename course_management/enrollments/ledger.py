"""Changes enrollments, the counts of their courses, and the history. No other module does this.

A promotion changes enrollments of students that it has not locked. The lock of the course protects
these rows, because every change of an enrollment takes the lock of its course.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.core.outcome import OUTCOME
from course_management.courses.models import Course
from course_management.courses.refusals import CANCELLED, Refusal
from course_management.db.base import as_number, now
from course_management.db.prepared_statements import Call, Insert, Statement
from course_management.enrollments.allocation import COUNTS, LIMITS, Allocation, Pair, allocate
from course_management.enrollments.locks import CourseStates
from course_management.enrollments.models import ENROLLED, WAITLISTED, StudentCourse
from course_management.history import recorder
from course_management.history.models import EventType, Why
from course_management.telemetry import logs
from course_management.telemetry.events import Event

table = cast(sa.Table, StudentCourse.__table__)
_courses = cast(sa.Table, Course.__table__)
# A literal, not a parameter: only then does PostgreSQL use the partial index of waitlists.
IS_WAITLISTED = table.c.state == sa.literal_column(f"'{WAITLISTED}'")
MAX_IDS_PER_EVENT = 100  # in the log
_REMOVED = ("student_id", "course_id", "state", "ticket", "enrolled_at", "credits")
_MORE = [f"more_{name}" for name in COUNTS]
_UNEDITED = {"updated_at": _courses.c.updated_at}  # an enrollment is not an edit of the course

# Only enrollments in courses of terms have credits. Each column costs time.
_INSERT = Insert(table, without=("credits",))
_INSERT_WITH_CREDITS = Insert(table)
_ADD_COUNTS = Statement(
    "count_seats",
    sa.update(_courses)
    .where(_courses.c.id == sa.bindparam("course"))
    .values({name: _courses.c[name] + sa.bindparam(f"more_{name}") for name in COUNTS} | _UNEDITED),
)

# The event of a change to this state; a promotion has its own.
_EVENTS = {
    ENROLLED: Event.STUDENT_ENROLLED,
    WAITLISTED: Event.STUDENT_WAITLISTED,
    None: Event.STUDENT_DROPPED,
}


class SeatLedger:
    """Collects and writes the changes of one transaction, in courses that `locks.lock` has locked.

    `remove` and `promote` change rows at once. Other changes stay in memory until `write`.
    """

    def __init__(self, session: Session, found: CourseStates, reason: str | None = None) -> None:
        self.session, self.courses, self.states = session, found.courses, found.states
        self._before = {
            course.id: (course.counts, course.limits)
            for course in self.courses.values()
            if course.free is not None
        }
        self.moment = now()
        self._reason, self._origin = reason, recorder.origin()
        # The credits of new enrollments in courses of terms, in hundredths.
        self.credits: dict[Pair, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._notes: dict[Event, list[Pair]] = {}

    def allocate(self, wanted: Iterable[Pair], **options: Any) -> tuple[Allocation, list[Refusal]]:
        """Allocate a seat or, with `waitlist`, a waitlist position to every pair.

        The options and the result are those of `allocation.allocate`.
        """
        allocation, refusals = allocate(self.courses, self.states, wanted, **options)
        for pair in allocation.added:
            self.insert(pair, enrolled_at=self.moment)
        for pair, ticket in allocation.newly_waitlisted.items():
            self.insert(pair, ticket=ticket)
        return allocation, refusals

    def set_credits(self, pair: Pair, state: str, number: int) -> None:
        """Set the credits, in hundredths, of an enrollment that exists and has this state."""
        of_pair = sa.and_(table.c.student_id == pair[0], table.c.course_id == pair[1])
        self.session.execute(sa.update(table).where(of_pair).values(credits=number))
        self._record(pair, state, state, Why.REQUESTED, data={"credits": as_number(number)})

    def insert(
        self,
        pair: Pair,
        why: Why = Why.REQUESTED,
        *,
        enrolled_at: datetime | None = None,
        ticket: int | None = None,
        from_state: str | None = None,
    ) -> None:
        """Add an enrollment: a seat since `enrolled_at`, or else a waitlist position with this
        ticket. The caller has counted it.

        `from_state` is the state of an enrollment that the seat replaces.
        """
        state = ENROLLED if enrolled_at else WAITLISTED
        self._rows.append(
            {
                "student_id": pair[0],
                "course_id": pair[1],
                "state": state,
                "enrolled_at": enrolled_at,
                "ticket": ticket,
            }
        )
        self._record(pair, from_state, state, why, ticket)

    def remove(
        self, student_ids: Sequence[int] | None, course_ids: Sequence[int], why: Why
    ) -> Sequence[sa.Row[Any]]:
        """Delete the enrollments of these students (None: of all) in these courses, and promote
        waiting students.

        Returns the deleted rows, with the columns of `_REMOVED`.
        """
        rows = self.delete(student_ids, course_ids)
        for row in rows:
            course = self.courses[row.course_id]
            if row.state == ENROLLED:
                course.take(-1)
            else:
                course.waitlisted -= 1
            data = {"enrolled_at": row.enrolled_at.isoformat()} if row.enrolled_at else {}
            if row.credits is not None:
                data["credits"] = as_number(row.credits)
            self._record(
                (row.student_id, course.id), row.state, None, why, row.ticket, data or None
            )
        self.promote()
        return rows

    def delete(
        self, student_ids: Sequence[int] | None, course_ids: Sequence[int]
    ) -> Sequence[sa.Row[Any]]:
        """Delete enrollments as `remove` does, without counting and recording it."""
        deleted = sa.delete(table).where(table.c.course_id.in_(course_ids))
        if student_ids is not None:
            deleted = deleted.where(table.c.student_id.in_(student_ids))
        return self.session.execute(deleted.returning(*(table.c[name] for name in _REMOVED))).all()

    def promote(self) -> None:
        """Give the free seats of each course to the students with the first waitlist positions."""
        numbers = {
            course.id: course.waitlisted
            if course.free is None
            else min(course.free, course.waitlisted)
            for course in self.courses.values()
            if course.status != CANCELLED
        }
        # For each course, the last ticket that gets a seat. A waitlist may be long, so the UPDATE
        # selects a range of tickets and not a list.
        last = [
            sa.select(table.c.course_id, table.c.ticket)
            .where(table.c.course_id == course_id, IS_WAITLISTED)
            .order_by(table.c.ticket)
            .limit(1)
            .offset(number - 1)
            .subquery()
            .select()
            for course_id, number in numbers.items()
            if number
        ]
        if not last:
            return
        tickets = self.session.execute(sa.union_all(*last)).all()
        ranges = [
            sa.and_(table.c.course_id == course_id, table.c.ticket <= ticket)
            for course_id, ticket in tickets
        ]
        promoted = (
            sa.update(table)
            .where(IS_WAITLISTED, sa.or_(*ranges))
            .values(state=ENROLLED, enrolled_at=self.moment)
            .returning(table.c.ticket, table.c.student_id, table.c.course_id)
        )
        for ticket, student_id, course_id in sorted(self.session.execute(promoted).all()):
            self.courses[course_id].take()
            self.courses[course_id].waitlisted -= 1
            self._record((student_id, course_id), WAITLISTED, ENROLLED, Why.PROMOTED, ticket)

    def annotate(self, data: Mapping[Pair, Mapping[str, Any]]) -> None:
        """Add data to the events of these pairs."""
        for event in self._events:
            if more := data.get((event["student_id"], event["course_id"])):
                event["data"] = {**(event["data"] or {}), **more}

    def _add_credits(self) -> None:
        """Add the credits to the new rows and to their events."""
        for row in self._rows:
            row["credits"] = self.credits.get((row["student_id"], row["course_id"]))
        for event in self._events:
            number = self.credits.get((event["student_id"], event["course_id"]))
            if number is not None and event["from_state"] is None:
                event["data"] = {**(event["data"] or {}), "credits": as_number(number)}

    def write(self) -> None:
        """Send the new rows, the changed counts of the courses, and the events of the history."""
        if self.credits:
            self._add_credits()
        # Differences, not sums: if a lock were missing, the constraint on the counts would still
        # refuse a seat above the capacity.
        changes = {
            i: [new - old for new, old in zip(self.courses[i].counts, counts, strict=True)]
            for i, (counts, _) in self._before.items()
            if self.courses[i].counts != counts
        }
        grown = [i for i, (_, limits) in self._before.items() if self.courses[i].limits != limits]
        for course_id in grown:
            self._grow(course_id, changes.pop(course_id, [0] * len(COUNTS)))
        calls: list[Call] = []
        if self._rows:
            insert = _INSERT_WITH_CREDITS if self.credits else _INSERT
            calls.append((insert, self._rows if len(self._rows) > 1 else self._rows[0]))
        if len(changes) == 1:
            ((course_id, more),) = changes.items()
            values = dict(zip(_MORE, more, strict=True))
            calls.append((_ADD_COUNTS, {"course": course_id} | values))
        elif changes:
            counts = {
                name: _courses.c[name]
                + sa.case({c: more[i] for c, more in changes.items()}, value=_courses.c.id)
                for i, name in enumerate(COUNTS)
            }
            update = sa.update(_courses).where(_courses.c.id.in_(changes))
            self.session.connection().execute(update.values(counts | _UNEDITED))
        self.write_record(*calls)
        for course_id in grown:
            recorder.record(self.session, EventType.COURSE_CHANGED, course_id=course_id)
            logs.note(self.session, Event.COURSE_CHANGED, course_id=course_id)

    def _grow(self, course_id: int, more: list[int]) -> None:
        """Write a larger capacity together with the counts, which is an edit of the course. Only
        both together satisfy the constraints.
        """
        counts = {
            name: _courses.c[name] + number for name, number in zip(COUNTS, more, strict=True)
        }
        limits = dict(zip(LIMITS, self.courses[course_id].limits, strict=True))
        edited = {"version": _courses.c.version + 1, "updated_at": self.moment}
        update = sa.update(_courses).where(_courses.c.id == course_id)
        self.session.connection().execute(update.values(counts | limits | edited))

    def write_record(self, *before: Call) -> None:
        """Send the statements of `before` and the events of the history, and note the events for
        the log.
        """
        recorder.append(self.session.connection(), self._events, before)
        if outcome := self.session.info.get(OUTCOME):
            outcome.add(self._events, self.courses.values())
        for event, pairs in self._notes.items():
            student_ids, course_ids = (
                list(dict.fromkeys([pair[i] for pair in pairs])) for i in (0, 1)
            )
            logs.note(
                self.session,
                event,
                student_ids=student_ids[:MAX_IDS_PER_EVENT],
                course_ids=course_ids[:MAX_IDS_PER_EVENT],
                count=len(pairs),
            )

    def _record(
        self,
        pair: Pair,
        from_state: str | None,
        to_state: str | None,
        why: Why,
        ticket: int | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        student_id, course_id = pair
        self._events.append(
            {
                "student_id": student_id,
                "course_id": course_id,
                "from_state": from_state,
                "to_state": to_state,
                "why": why.value,
                "reason": self._reason,
                "ticket": ticket,
                "data": data,
                **self._origin,
            }
        )
        if from_state != to_state:
            event = Event.STUDENT_PROMOTED if why is Why.PROMOTED else _EVENTS[to_state]
            self._notes.setdefault(event, []).append(pair)
