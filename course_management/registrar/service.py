"""The registrar's acts. Each takes its locks in the order of enrollments/locks.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.core.errors import Conflict, Invalid, Repeat
from course_management.core.problem_fields import ID
from course_management.courses import queries as courses
from course_management.courses import service as course_service
from course_management.courses.models import CourseNotFound
from course_management.courses.refusals import CANCELLED
from course_management.db.base import as_hundredths
from course_management.enrollments.course_changes import empty_cancelled
from course_management.enrollments.facts_reader import Facts, read_facts
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.ledger_statements import table
from course_management.enrollments.locks import CourseStates, lock, lock_students, require_all
from course_management.enrollments.models import ENROLLED, WAITLISTED, EnrollmentNotFound
from course_management.enrollments.recheck_queue import queue_students
from course_management.enrollments.requests import RulesContext
from course_management.enrollments.waitlist_ends import end_passed
from course_management.history.models import EnrollmentEvent, Why
from course_management.history.queries import last_changes
from course_management.records.completions.service import record_taken_back, take_back
from course_management.registrar.moving import Arrival, Placement, place
from course_management.registrar.requests import Arrivals, CancelResult, Marked, MoveRequest
from course_management.registrar.warnings import find_consequences, gains
from course_management.rules.facts import Finding


class CourseBusy(Conflict):
    """Students enrolled faster than the service could read and lock all students of the course."""

    code = "course-busy"
    title = "Students enroll in this course too fast to move all of them."
    remedy = (
        "Close the course first: PATCH /courses/{course} with the status closed. Then send the "
        "request again."
    )


class NothingToReinstate(Conflict):
    """Some students did not lose their seat or position in this course by a drop. Their last change
    was another one, or there was none. `student_ids` lists all of them.
    """

    code = "nothing-to-reinstate"
    title = "Some of the students have no drop to undo."
    remedy = (
        "Read what happened with GET /courses/{course}/history, and enroll these students with "
        "POST /courses/{course}/students."
    )
    always = {
        "student_ids": {
            "type": "array",
            "items": ID,
            "description": "The students who have no drop to undo.",
            "example": [3],
        }
    }


def mark_cancelled(session: Session, course: int | str) -> Marked:
    """Make a course cancelled, so that nobody enrolls any more. Its students are still in it.

    Raises CourseNotFound.
    """
    marked = course_service.set_status(session, course, CANCELLED)
    if marked is not None:
        return Marked(marked.id, marked.term is not None)
    course_id = courses.get_course_id(session, course)
    courses.require_course(session, course_id)
    return Marked(course_id, may_have_rules=False)


def cancel(
    session: Session,
    course: int | str,
    reason: str | None,
    context: RulesContext,
    *,
    begun: bool,
    marked: Marked | None = None,
) -> CancelResult:
    """Cancel a course: everybody is out, and nobody is promoted. Warns about what that breaks.

    `begun` says that `mark_cancelled` was called before, perhaps by an interrupted request. Then
    the course is emptied only if it is still cancelled. `marked` is what it returned: then the
    warnings are found before the course is locked. Raises CourseNotFound.
    """
    early = None
    if marked and marked.may_have_rules:
        early = _lost_with(session, marked.course_id, context)
    found = course_service.lock_course(session, course)
    if early is None and found.term is not None and (not begun or found.status == CANCELLED):
        early = _lost_with(session, found.id, context)
    if not begun and found.status != CANCELLED:
        course_service.update_course(session, found, {"status": CANCELLED})
    removed, waitlisted = empty_cancelled(session, found, reason)
    result = CancelResult(found.id, found.status, removed, waitlisted)
    gone = {*removed, *waitlisted}
    result.warn([one for one in early or () if one.student in gone])
    return result


def _lost_with(session: Session, course_id: int, context: RulesContext) -> list[Finding]:
    """What breaks for the students of a course of a term if it is cancelled."""
    student_ids = _students_of(session, course_id)
    if not student_ids:
        return []
    facts = read_facts(session.connection(), student_ids, {})
    return find_consequences(facts, context, left=course_id)


def move(
    session: Session, course: int | str, request: MoveRequest, context: RulesContext
) -> Arrivals:
    """Move students to another course, all of them or none, in their order: seats by their time,
    then waitlist positions by their ticket. Warns about what that breaks.

    Raises CourseNotFound, StudentNotFound, EnrollmentNotFound with every student who is not in the
    course, CourseBusy, or the errors of `moving.place`.
    """
    course_id = courses.get_course_id(session, course)
    if course_id == request.to:
        raise Invalid([{"pointer": "/to", "detail": "Must be another course."}])
    student_ids = request.student_ids
    if student_ids is None:
        student_ids = _students_of(session, course_id)
    found = lock(session, student_ids, sorted([course_id, request.to]))
    _require(session, found, course_id, student_ids, in_body=request.student_ids is not None)
    if request.to not in found.courses:
        raise CourseNotFound("The course to move to does not exist.", missing=[request.to])
    if request.student_ids is None and not set(_students_of(session, course_id)) <= {*student_ids}:
        raise Repeat(CourseBusy())
    facts = _facts(session, found, student_ids)
    ledger = SeatLedger(session, found, request.reason)
    end_passed(ledger)
    rows = ledger.remove(student_ids, [course_id], Why.MOVED)
    if request.student_ids is not None:
        detail = "Some of the students do not take the course."
        require_all(student_ids, {row.student_id for row in rows}, EnrollmentNotFound, detail)
    arrivals = [
        Arrival(row.student_id, row.state, row.enrolled_at, blocked=row.blocked)
        for row in sorted(rows, key=lambda row: (row.state != ENROLLED, _order(row)))
    ]
    placed = place(found.courses[request.to], arrivals, found.states, extend=request.extend)
    kept = {row.student_id: row.credits for row in rows}
    if found.courses[request.to].has_term:
        _keep_credits(ledger, request.to, kept)
    result = _arrive(ledger, course_id, request.to, placed, Why.MOVED)
    if facts:
        gained = gains(facts, placed, request.to, kept)
        result.warn(find_consequences(facts, context, left=course_id, gained=gained))
    return result


def reinstate(
    session: Session,
    course: int | str,
    student_ids: Sequence[int],
    reason: str | None,
    context: RulesContext,
) -> Arrivals:
    """Give students back what a mistaken drop took, all of them or none: the seat with its time, or
    the position with its ticket. The capacities grow if they have to. The completion that says that
    the drop was a withdrawal is deleted. Warns about what that breaks.

    Raises CourseNotFound, StudentNotFound, NothingToReinstate or CourseCancelled.
    """
    course_id = courses.get_course_id(session, course)
    found = lock(session, student_ids, [course_id])
    _require(session, found, course_id, student_ids)
    out = [i for i in student_ids if (i, course_id) not in found.states]
    last = last_changes(session, course_id, out)
    undone = (Why.DROPPED, Why.REMOVED)
    faults = [i for i in out if i not in last or last[i].to_state or last[i].why not in undone]
    if faults:
        raise NothingToReinstate(student_ids=faults)
    ledger = SeatLedger(session, found, reason)
    end_passed(ledger)
    arrivals = [_before_drop(last[i]) for i in out]
    arrivals.sort(key=lambda one: (one.state != ENROLLED, one.ticket is None, one.ticket or 0))
    placed = place(found.courses[course_id], arrivals, {}, extend=True, closed=True)
    placed.kept = [i for i in student_ids if i not in last]
    data = {i: last[i].data or {} for i in out}
    kept = {i: as_hundredths(d.get("credits")) for i, d in data.items()}
    _keep_credits(ledger, course_id, kept)
    withdrawn = take_back(session, [d["withdrawn"] for d in data.values() if "withdrawn" in d])
    facts = _facts(session, found, out)
    result = _arrive(ledger, course_id, course_id, placed, Why.REINSTATED)
    record_taken_back(session, withdrawn)
    if facts:
        gained = gains(facts, placed, course_id, kept)
        result.warn(find_consequences(facts, context, gained=gained))
    return result


def _facts(session: Session, found: CourseStates, student_ids: Sequence[int]) -> Facts | None:
    """The facts about these students, if one of the courses belongs to a term."""
    versions = found.term_versions
    return (
        read_facts(session.connection(), student_ids, versions)
        if versions and student_ids
        else None
    )


def _keep_credits(ledger: SeatLedger, course_id: int, numbers: Mapping[int, int | None]) -> None:
    """Give the new enrollments of students the credits, in hundredths, that they had before."""
    kept = {(i, course_id): number for i, number in numbers.items() if number is not None}
    ledger.credits.update(kept)


def _arrive(ledger: SeatLedger, course_id: int, to: int, placed: Placement, why: Why) -> Arrivals:
    """Write what `place` decided."""
    waited = set(placed.from_waitlist)
    if waited:
        left = ledger.delete(placed.from_waitlist, [to])
        ledger.courses[to].blocked -= sum(row.blocked for row in left)
    for student_id, since in placed.seats.items():
        before = WAITLISTED if student_id in waited else None
        moment = since or ledger.moment
        ledger.insert((student_id, to), why, enrolled_at=moment, from_state=before)
    for student_id, ticket in placed.positions.items():
        blocked = student_id in placed.blocked
        ledger.insert((student_id, to), why, ticket=ticket, blocked=blocked)
    ledger.write()
    if ledger.courses[course_id].has_term or ledger.courses[to].has_term:
        queue_students(ledger.session, [*placed.seats, *placed.positions, *placed.kept])
    limits = ledger.courses[to].limits
    seated, waiting = list(placed.seats), list(placed.positions)
    return Arrivals(course_id, to, seated, placed.kept, waiting, *limits)


def _require(
    session: Session,
    found: CourseStates,
    course_id: int,
    student_ids: Sequence[int],
    *,
    in_body: bool = True,
) -> None:
    if course_id not in found.courses:
        raise CourseNotFound
    if in_body and found.student_count != len(student_ids):
        lock_students(session, student_ids, in_body=True)


def _students_of(session: Session, course_id: int) -> list[int]:
    taken = sa.select(table.c.student_id).where(table.c.course_id == course_id)
    return list(session.scalars(taken.order_by(table.c.student_id)))


def _order(row: sa.Row[tuple[object, ...]]) -> tuple[float, int]:
    since: datetime | None = row.enrolled_at
    return (since.timestamp() if since else row.ticket), row.student_id


def _before_drop(event: sa.Row[tuple[EnrollmentEvent]]) -> Arrival:
    since = (event.data or {}).get("enrolled_at")
    moment = datetime.fromisoformat(since) if since else None
    ticket = None if event.from_state == ENROLLED else event.ticket
    blocked = bool((event.data or {}).get("blocked"))
    return Arrival(event.student_id, event.from_state, moment, ticket, blocked)
