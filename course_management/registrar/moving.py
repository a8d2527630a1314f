"""Decides where students arrive who are moved to a course or reinstated in it. It uses no database,
only values in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from course_management.courses.refusals import CLOSED, OPEN, CourseFull, Refusal, WaitlistFull
from course_management.enrollments.allocation import (
    Pair,
    Seats,
    counted,
    refusal,
    status_reasons,
)
from course_management.enrollments.models import ENROLLED


@dataclass(frozen=True, slots=True)
class Arrival:
    """A student who brings a seat (`enrolled_at`) or a waitlist position (`ticket`), or either
    without its value, which is then new. Rules of registration may have `blocked` the position.
    """

    student_id: int
    state: str
    enrolled_at: datetime | None = None
    ticket: int | None = None
    blocked: bool = False


@dataclass(slots=True)
class Placement:
    """Where the students of `place` arrive.

    `seats` have the time since when each has a seat; None is now. `positions` have the ticket of
    each student, and `blocked` are those whose position is blocked. `from_waitlist` are those of
    `seats` who give up a position in this course for it.
    """

    seats: dict[int, datetime | None] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    blocked: set[int] = field(default_factory=set)
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
    gets a seat if one is free, unless rules block the position: it stays blocked until it is judged
    again. In a course without a term, which has no rules, it is like any other. With `extend`, the
    capacities grow by what is missing. With `closed`, a closed course takes the students too.

    Raises CourseCancelled, CourseClosed, CourseFull or WaitlistFull with every reason.
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
    found.seats = {one.student_id: one.enrolled_at for one in seats}
    free = course.free
    if free is not None:
        free -= len(seats)
    if course.has_term:
        found.blocked = {one.student_id for one in positions if one.blocked}
    promotable = [one.student_id for one in positions if one.student_id not in found.blocked]
    seated = promotable if free is None else promotable[: max(free, 0)]
    found.seats |= dict.fromkeys(seated)
    waiting = [one for one in positions if one.student_id not in found.seats]
    room = course.waitlist_capacity
    if room is not None:
        room -= course.waitlisted - len(found.from_waitlist) + len(waiting)
    _require(course, [*seats, *positions], free, room, extend=extend, closed=closed)

    if course.capacity is not None and free is not None:
        course.capacity += max(-free, 0)
    course.take(len(found.seats))
    course.waitlisted -= len(found.from_waitlist)
    course.blocked += len(found.blocked)
    if course.waitlist_capacity is not None and room is not None:
        course.waitlist_capacity += max(-room, 0)
    for one in waiting:
        if one.ticket is None:
            found.positions[one.student_id] = course.join_waitlist()
        else:
            course.waitlisted += 1
            found.positions[one.student_id] = one.ticket
    return found


def _require(
    course: Seats,
    arrivals: Sequence[Arrival],
    free: int | None,
    room: int | None,
    *,
    extend: bool,
    closed: bool,
) -> None:
    """Raise the errors of `place`. `free` and `room` are the seats and waitlist positions that
    would be free afterwards: below 0 if they do not suffice, None if they are unlimited.
    """
    if not arrivals:
        return
    course_id = course.id
    reasons = [] if closed and course.status == CLOSED else status_reasons(course)
    if free is not None and free < 0 and not extend:
        reasons.append((CourseFull.code, f"Course {course_id} lacks {counted(-free, 'seat')}."))
    if room is not None and room < 0 and not extend:
        detail = f"Course {course_id} lacks {counted(-room, 'waitlist position')}."
        reasons.append((WaitlistFull.code, detail))
    if reasons:
        waitlist_open = course.status == OPEN and course.waitlist_has_room
        pair = (arrivals[0].student_id, course_id)
        asked = len(arrivals)
        raise refusal(
            [Refusal(pair, course.status, waitlist_open, course.free or 0, asked, reasons)]
        )
