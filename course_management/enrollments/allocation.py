"""Decides which students get a seat, join a waitlist or are refused. It uses no database, only
values in memory.

Each request is decided twice. The precheck decides on rows that were read without a lock, so that a
refusal costs one read. The service decides again when it holds the locks. Only the second decision
counts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from course_management.courses.refusals import (
    CANCELLED,
    CLOSED,
    OPEN,
    CourseCancelled,
    CourseClosed,
    CourseFull,
    EnrollmentRefused,
    Refusal,
    WaitlistFull,
)
from course_management.enrollments.models import ENROLLED, WAITLISTED

Pair = tuple[int, int]  # student id, course id
COUNTS = ("seats_taken", "waitlisted", "next_ticket", "blocked")  # columns of a course
LIMITS = ("capacity", "waitlist_capacity")


@dataclass(slots=True)
class Seats:
    """The seats and the waitlist of a course.

    `capacity` and `seats_taken` are None if seats are unlimited. `waitlist_capacity` is None if the
    waitlist is unlimited. `term_version` is the version of a course of a term, whose rules may have
    `blocked` some of the `waitlisted` places.
    """

    id: int
    capacity: int | None
    seats_taken: int | None
    waitlist_capacity: int | None
    waitlisted: int
    next_ticket: int
    status: str = OPEN
    term_version: int | None = None
    blocked: int = 0

    @property
    def has_term(self) -> bool:
        """Whether the course belongs to a term: then it has rules of registration."""
        return self.term_version is not None

    @property
    def free(self) -> int | None:
        """The number of free seats; None if seats are unlimited."""
        if self.capacity is None or self.seats_taken is None:
            return None
        return self.capacity - self.seats_taken

    @property
    def has_seat(self) -> bool:
        """Whether a seat is free."""
        return self.free is None or self.free > 0

    @property
    def is_counted(self) -> bool:
        """Whether changes of enrollments may change the counts of the course: it has a capacity, or
        blocked places remain from the time when it had one.
        """
        return self.capacity is not None or self.waitlisted > 0

    @property
    def promotable(self) -> int:
        """The number of waiting students who get a seat now: the free seats, or fewer."""
        waiting = self.waitlisted - self.blocked
        return waiting if self.free is None else min(self.free, waiting)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The values of COUNTS; without a capacity, 0 seats."""
        return self.seats_taken or 0, self.waitlisted, self.next_ticket, self.blocked

    @property
    def limits(self) -> tuple[int | None, int | None]:
        """The values of LIMITS."""
        return self.capacity, self.waitlist_capacity

    @property
    def waitlist_has_room(self) -> bool:
        """Whether one more student may join the waitlist."""
        return self.waitlist_capacity is None or self.waitlisted < self.waitlist_capacity

    def take(self, seats: int = 1) -> None:
        """Take this number of seats. A negative number gives seats back."""
        if self.seats_taken is not None:
            self.seats_taken += seats

    def join_waitlist(self) -> int:
        """Add one student to the waitlist. Returns their ticket."""
        self.waitlisted += 1
        self.next_ticket += 1
        return self.next_ticket - 1


@dataclass(slots=True)
class Allocation:
    """The result of `allocate`: each pair of the request is in `added` (a new seat),
    `already_enrolled` (a seat that the student had before), `waitlisted` or `refused`.

    `waitlisted` has new and old positions in the order of the request. `newly_waitlisted` has the
    new ones, each with its ticket. `lifted` has the refusals that overrides have lifted: without
    them, the pair would be in `refused`.
    """

    added: list[Pair] = field(default_factory=list)
    already_enrolled: list[Pair] = field(default_factory=list)
    newly_waitlisted: dict[Pair, int] = field(default_factory=dict)
    waitlisted: list[Pair] = field(default_factory=list)
    refused: list[Pair] = field(default_factory=list)
    lifted: list[tuple[Pair, str]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether a student gets a new seat or a new waitlist position."""
        return bool(self.added or self.newly_waitlisted)


def allocate(
    courses: Mapping[int, Seats],
    states: Mapping[Pair, str],
    wanted: Iterable[Pair],
    *,
    waitlist: bool | Container[int],
    lifted: Container[tuple[Pair, str]] = (),
) -> tuple[Allocation, list[Refusal]]:
    """Allocate a seat to every pair of `wanted`, in their order. With `waitlist`, allocate a
    waitlist position if no seat is free. `waitlist` may also be the ids of the courses for which a
    position will do.

    `courses` has the seats of every course, by id; this function changes their counts. `states` has
    the state of each pair that has an enrollment. `lifted` has the codes of the refusals that
    overrides lift, each with its pair: the course then grows by the seat or position. Also returns
    why courses refuse pairs; `refusal` makes an error of that.
    """
    allocation = Allocation()
    refused: dict[int, list[Pair]] = {}
    for pair in wanted:
        course, state = courses[pair[1]], states.get(pair)
        if state == ENROLLED:
            allocation.already_enrolled.append(pair)
        elif state is None and not _takes_new(course, pair, lifted):
            refused.setdefault(course.id, []).append(pair)
        elif state is None and course.has_seat:
            course.take()
            allocation.added.append(pair)
        elif state is None and (pair, CourseFull.code) in lifted:
            course.capacity = (course.capacity or 0) + 1
            course.take()
            allocation.added.append(pair)
            allocation.lifted.append((pair, CourseFull.code))
        elif not _may_wait(waitlist, course.id):
            refused.setdefault(course.id, []).append(pair)
        elif state == WAITLISTED:
            allocation.waitlisted.append(pair)
        elif course.waitlist_has_room or (pair, WaitlistFull.code) in lifted:
            if not course.waitlist_has_room:
                course.waitlist_capacity = course.waitlisted + 1
                allocation.lifted.append((pair, WaitlistFull.code))
            allocation.newly_waitlisted[pair] = course.join_waitlist()
            allocation.waitlisted.append(pair)
        else:
            refused.setdefault(course.id, []).append(pair)
    allocation.refused = [pair for pairs in refused.values() for pair in pairs]
    allocation.lifted += [
        (pair, CourseClosed.code)
        for pair in (*allocation.added, *allocation.newly_waitlisted)
        if courses[pair[1]].status == CLOSED
    ]
    return allocation, [
        _refusal(courses[i], pairs, allocation, lifted, waitlist=_may_wait(waitlist, i))
        for i, pairs in refused.items()
    ]


def refusal(refusals: Sequence[Refusal]) -> EnrollmentRefused:
    """The error for these courses: the first of CourseCancelled, CourseClosed, CourseFull and
    WaitlistFull that is true of one of them.
    """
    codes = {code for one in refusals for code, _ in one.reasons}
    errors = (CourseCancelled, CourseClosed, CourseFull, WaitlistFull)
    return next(error for error in errors if error.code in codes)(refusals)


def status_reasons(course: Seats) -> list[tuple[str, str]]:
    """Why the status of a course refuses new students: a code and a detail, or nothing."""
    if course.status == CANCELLED:
        return [(CourseCancelled.code, f"Course {course.id} is cancelled.")]
    if course.status == CLOSED:
        return [(CourseClosed.code, f"Course {course.id} is closed.")]
    return []


def _takes_new(course: Seats, pair: Pair, lifted: Container[tuple[Pair, str]]) -> bool:
    return course.status == OPEN or (
        course.status == CLOSED and (pair, CourseClosed.code) in lifted
    )


def _may_wait(waitlist: bool | Container[int], course_id: int) -> bool:
    return waitlist if isinstance(waitlist, bool) else course_id in waitlist


def _refusal(
    course: Seats,
    pairs: list[Pair],
    allocation: Allocation,
    lifted: Container[tuple[Pair, str]],
    *,
    waitlist: bool,
) -> Refusal:
    """The refusal of these pairs of a course. Its numbers are those before this request: seats and
    positions that `allocation` has given to other pairs count as free.
    """
    # A course that is full grew for these: they took nothing that was free.
    grown = {pair for pair, code in allocation.lifted if code != CourseClosed.code}
    added, joined = (
        sum(pair[1] == course.id and pair not in grown for pair in given)
        for given in (allocation.added, allocation.newly_waitlisted)
    )
    free, asked = (course.free or 0) + added, added + joined + len(pairs)
    positions = (
        joined
        if course.waitlist_capacity is None
        else course.waitlist_capacity - course.waitlisted + joined
    )
    waitlist_has_room = course.waitlist_capacity is None or positions > 0
    seats_lack = course.free is not None and asked > free
    waitlist_lacks = course.waitlist_capacity is not None and asked > free + positions
    reasons = status_reasons(course)
    is_open = course.status == OPEN or any((pair, CourseClosed.code) in lifted for pair in pairs)
    if is_open or (seats_lack and (waitlist_lacks or not waitlist)):
        reasons.append(
            (WaitlistFull.code, _no_position(course, free, positions, asked))
            if waitlist
            else (CourseFull.code, _no_seat(course, free, asked))
        )
    each = dict.fromkeys(pairs, reasons)
    if lifted:
        # The override of a full course helps nobody who waits for it: the last reason stays.
        for pair in pairs:
            each[pair] = [one for one in reasons if (pair, one[0]) not in lifted] or reasons[-1:]
        reasons = [one for one in reasons if any(one in of_pair for of_pair in each.values())]
    waitlist_open = course.status == OPEN and waitlist_has_room
    return Refusal(pairs[0], course.status, waitlist_open, free, asked, reasons, each)


def _no_seat(course: Seats, free: int, asked: int) -> str:
    if asked <= free:  # nobody new
        return f"Rules of registration block the waitlist place in course {course.id}."
    if not free:
        return f"Every seat in course {course.id} is taken."
    return f"Course {course.id} has {counted(free, 'free seat')}, and {asked} were asked for."


def _no_position(course: Seats, free: int, positions: int, asked: int) -> str:
    if not free and not positions:
        reason = "it has no waitlist" if course.waitlist_capacity == 0 else "its waitlist is full"
        return f"Every seat in course {course.id} is taken, and {reason}."
    room = (
        "no waitlist"
        if course.waitlist_capacity == 0
        else counted(positions, "free waitlist position")
    )
    seats = counted(free, "free seat")
    return f"Course {course.id} has {seats} and {room}, and {asked} were asked for."


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as "2 seats"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
