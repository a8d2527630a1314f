"""Changes enrollments, the counts of their courses, and the history. No other module does this.

A promotion changes enrollments of students that it has not locked. The lock of the course protects
these rows, because every change of an enrollment takes the lock of its course.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.core.outcome import OUTCOME
from course_management.courses.refusals import CANCELLED, Refusal
from course_management.courses.written import note_written_courses
from course_management.db.base import as_number, now
from course_management.db.prepared_statements import Call
from course_management.enrollments import ledger_statements as statements
from course_management.enrollments.allocation import COUNTS, LIMITS, Allocation, Pair, allocate
from course_management.enrollments.locks import CourseStates
from course_management.enrollments.models import ENROLLED, WAITLISTED
from course_management.enrollments.recheck_queue import queue_students
from course_management.history import recorder
from course_management.history.models import EventType, Why
from course_management.telemetry import logs
from course_management.telemetry.events import Event

MAX_IDS_PER_EVENT = 100  # in the log

# The event of a cause, or else of a change to this state.
_EVENTS: dict[str | None, Event] = {
    Why.PROMOTED: Event.STUDENT_PROMOTED,
    Why.BLOCKED: Event.PLACE_BLOCKED,
    Why.UNBLOCKED: Event.PLACE_UNBLOCKED,
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
            # Blocked places may remain in a course of a term that lost its capacity.
            if course.free is not None or course.has_term or course.waitlisted
        }
        self.moment = now()
        self._reason, self._origin = reason, recorder.origin()
        # The credits of new enrollments in courses of terms, in hundredths.
        self.credits: dict[Pair, int] = {}
        self._blocked: set[Pair] = set()  # of the new ones
        # Students who got a seat or lost a place without asking: their blocked places may break no
        # rule any more.
        self._moved: set[int] = set()
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
        self.session.execute(statements.set_credits(pair, number))
        self._record(pair, state, state, Why.REQUESTED, data={"credits": as_number(number)})

    def insert(
        self,
        pair: Pair,
        why: Why = Why.REQUESTED,
        *,
        enrolled_at: datetime | None = None,
        ticket: int | None = None,
        from_state: str | None = None,
        blocked: bool = False,
    ) -> None:
        """Add an enrollment: a seat since `enrolled_at`, or else a waitlist position with this
        ticket, which may be `blocked`. The caller has counted it.

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
        if blocked:
            self._blocked.add(pair)
        self._record(pair, from_state, state, why, ticket, {"blocked": True} if blocked else None)

    def remove(
        self, student_ids: Sequence[int] | None, course_ids: Sequence[int], why: Why
    ) -> Sequence[sa.Row[Any]]:
        """Delete the enrollments of these students (None: of all) in these courses, and promote
        waiting students.

        Returns the deleted rows, with the columns of `_REMOVED`.
        """
        rows = self.delete(student_ids, course_ids)
        self._removed(rows, why)
        self.promote()
        return rows

    def delete(
        self, student_ids: Sequence[int] | None, course_ids: Sequence[int]
    ) -> Sequence[sa.Row[Any]]:
        """Delete enrollments as `remove` does, without counting and recording it."""
        return self.session.execute(statements.delete(student_ids, course_ids)).all()

    def end_waitlists(self, course_ids: Sequence[int]) -> None:
        """Delete the waitlist positions of these courses, which the term has closed."""
        ended = statements.delete(None, course_ids, only_waiting=True)
        rows = self.session.execute(ended).all()
        self._removed(sorted(rows, key=lambda row: row.ticket), Why.WAITLIST_CLOSED)
        for row in rows:
            self.states.pop((row.student_id, row.course_id), None)
            self._moved.add(row.student_id)

    def _removed(self, rows: Iterable[sa.Row[Any]], why: Why) -> None:
        """Count and record enrollments that were deleted."""
        for row in rows:
            course = self.courses[row.course_id]
            if row.state == ENROLLED:
                course.take(-1)
            else:
                course.waitlisted -= 1
                course.blocked -= row.blocked
            data: dict[str, Any] = {}
            if row.enrolled_at:
                data["enrolled_at"] = row.enrolled_at.isoformat()
            if row.credits is not None:
                data["credits"] = as_number(row.credits)
            if row.blocked:
                data["blocked"] = True
            pair = (row.student_id, course.id)
            self._record(pair, row.state, None, why, row.ticket, data or None)

    def promote(self) -> None:
        """Give the free seats of each course to the students with the first waitlist positions that
        no rule blocks.
        """
        wanted = [
            (course.id, course.promotable)
            for course in self.courses.values()
            if course.status != CANCELLED and course.promotable > 0
        ]
        if not wanted:
            return
        last = self.session.execute(statements.last_tickets(wanted)).all()
        promoted = self.session.execute(statements.promote(last, self.moment))
        for ticket, student_id, course_id in sorted(promoted.all()):
            course = self.courses[course_id]
            course.take()
            course.waitlisted -= 1
            if course.has_term:
                self._moved.add(student_id)
            self._record((student_id, course_id), WAITLISTED, ENROLLED, Why.PROMOTED, ticket)

    def set_blocked(self, student_id: int, rules: Mapping[int, Sequence[str]]) -> None:
        """Block the waitlist places of a student in courses for which `rules` has the codes of
        broken rules, and clear those for which it has none. Each of them was different before.
        """
        blocked = [course_id for course_id, codes in rules.items() if codes]
        changed = statements.set_blocked(student_id, list(rules), blocked)
        for course_id, ticket in sorted(self.session.execute(changed).all()):
            codes = list(rules[course_id])
            self.courses[course_id].blocked += 1 if codes else -1
            why, data = (Why.BLOCKED if codes else Why.UNBLOCKED), {"blocked": bool(codes)}
            pair = (student_id, course_id)
            self._record(pair, WAITLISTED, WAITLISTED, why, ticket, data | {"broken": codes})

    def annotate(self, data: Mapping[Pair, Mapping[str, Any]]) -> None:
        """Add data to the events of these pairs."""
        for event in self._events:
            if more := data.get((event["student_id"], event["course_id"])):
                event["data"] = {**(event["data"] or {}), **more}

    def _add_values_of_terms(self) -> None:
        """Add the credits to the new rows and to their events, and say which are blocked."""
        for row in self._rows:
            pair = (row["student_id"], row["course_id"])
            row |= {"credits": self.credits.get(pair), "blocked": pair in self._blocked}
        for event in self._events:
            number = self.credits.get((event["student_id"], event["course_id"]))
            if number is not None and event["from_state"] is None:
                event["data"] = {**(event["data"] or {}), "credits": as_number(number)}

    def write(self) -> None:
        """Send the new rows, the changed counts of the courses, and the events of the history."""
        if self.credits or self._blocked:
            self._add_values_of_terms()
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
            calls.append(statements.insert(self._rows))
        if len(changes) == 1:
            calls += [statements.add_counts(*change) for change in changes.items()]
        elif changes:
            self.session.connection().execute(statements.add_many_counts(changes))
        self.write_record(*calls)
        for course_id in grown:
            recorder.record(self.session, EventType.COURSE_CHANGED, course_id=course_id)
            logs.note(self.session, Event.COURSE_CHANGED, course_id=course_id)

    def _grow(self, course_id: int, more: list[int]) -> None:
        """Write a larger capacity together with the counts, which is an edit of the course. Only
        both together satisfy the constraints.
        """
        table_of = statements.courses
        counts = {name: table_of.c[name] + n for name, n in zip(COUNTS, more, strict=True)}
        limits = dict(zip(LIMITS, self.courses[course_id].limits, strict=True))
        edited = {"version": table_of.c.version + 1, "updated_at": self.moment}
        update = sa.update(table_of).where(table_of.c.id == course_id)
        connection = self.session.connection()
        connection.execute(update.values(counts | limits | edited))
        note_written_courses(connection)

    def write_record(self, *before: Call) -> None:
        """Send the statements of `before` and the events of the history, and note the events for
        the log. Let `flask tick` judge the blocked places of the students in `_moved`.
        """
        queue_students(self.session, self._moved, only_blocked=True)
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
        if why in _EVENTS or from_state != to_state:
            self._notes.setdefault(_EVENTS.get(why) or _EVENTS[to_state], []).append(pair)
