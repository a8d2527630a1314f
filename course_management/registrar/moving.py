"""Decides where students arrive who are moved to a course or reinstated in it. It uses no database,
only values in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from course_management.courses.refusals import CLOSED, OPEN, Refusal
from course_management.enrollments.allocation import Allocation, Pair, Seats, refusal, refuse
from course_management.enrollments.models import ENROLLED


@dataclass(frozen=True, slots=True)
class Arrival:
    """A student who brings a seat (`enrolled_at`) or a waitlist position (`ticket`), or either
    without its value, which is then new.
    """

    student_id: int
    state: str
    enrolled_at: datetime | None = None
    ticket: int | None = None


@dataclass(slots=True)
class Placement:
    """Where the students of `place` arrive.

    `seats` have the time since when each has a seat; None is now. `positions` have the ticket of
    each student. `from_waitlist` are those of `seats` who give up a position in this course for it.
    """

    seats: dict[int, datetime | None] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    from_waitlist: list[int] = field(default_factory=list)


def place(
    course: Seats,
    arrivals: Sequence[Arrival],
    states: Mapping[Pair, str],
    *,
    extend: bool,
    closed: bool = False,
) -> Placement:
    """Place students in a course, in their order. Changes the counts of `course`.

    A student who is in the course already keeps the better of both. Somebody who brings a position
    gets a seat if one is free. With `extend`, the capacities grow by what is missing. With
    `closed`, a closed course takes the students too.

    Raises CourseCancelled, CourseClosed, CourseFull or WaitlistFull.
    """
    found = Placement()
    seats: list[Arrival] = []
    positions: list[Arrival] = []
    for one in arrivals:
        state = states.get((one.student_id, course.id))
        if state is None or (state != ENROLLED and one.state == ENROLLED):
            (seats if one.state == ENROLLED else positions).append(one)
        else:
            found.kept.append(one.student_id)
        if state not in (None, ENROLLED) and one.state == ENROLLED:
            found.from_waitlist.append(one.student_id)
    if seats or positions:
        _require_status(course, [*seats, *positions], closed=closed)
    course.waitlisted -= len(found.from_waitlist)
    if not extend:
        _require_room(course, seats, positions)
    if course.capacity is not None and course.free is not None:
        course.capacity += max(0, len(seats) - course.free)
    course.take(len(seats))
    found.seats = {one.student_id: one.enrolled_at for one in seats}
    for one in positions:
        if course.has_seat:
            course.take()
            found.seats[one.student_id] = None
            continue
        if not course.waitlist_has_room and course.waitlist_capacity is not None:
            course.waitlist_capacity += 1
        if one.ticket is None:
            found.positions[one.student_id] = course.join_waitlist()
        else:
            course.waitlisted += 1
            found.positions[one.student_id] = one.ticket
    return found


def _require_status(course: Seats, arrivals: Sequence[Arrival], *, closed: bool) -> None:
    takes = course.status == OPEN or (closed and course.status == CLOSED)
    if not takes:
        raise refusal([_refused(course, arrivals, waitlist=True)])


def _require_room(course: Seats, seats: Sequence[Arrival], positions: Sequence[Arrival]) -> None:
    """Raise CourseFull or WaitlistFull, with both reasons if both are true."""
    if course.free is None:
        return
    lack = []
    if len(seats) > course.free:
        lack.append(_refused(course, seats, waitlist=False))
    behind = positions[max(0, course.free - len(seats)) :]
    room = course.waitlist_capacity
    if room is not None and course.waitlisted + len(behind) > room:
        lack.append(_refused(course, [*seats, *positions], waitlist=True))
    if lack:
        reasons = [reason for one in lack for reason in one.reasons]
        raise refusal([replace(lack[0], reasons=reasons)])


def _refused(course: Seats, arrivals: Sequence[Arrival], *, waitlist: bool) -> Refusal:
    pairs = [(one.student_id, course.id) for one in arrivals]
    return refuse(course, pairs, Allocation(), waitlist=waitlist)
