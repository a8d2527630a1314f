"""Who gets a seat, who joins the line, who is refused: decided from what was read, without a database.

The same decision is made twice. First on rows read without a lock, so that a refusal costs a read; then, where that would
succeed, under the locks, so that it is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from course_management.courses.models import CourseFull, WaitlistFull
from course_management.enrollments.models import ENROLLED, WAITLISTED

Pair = tuple[int, int]  # student id, course id


@dataclass(slots=True)
class Seats:
    """What a course has to give. `capacity` and `seats_taken` are None where seats are unlimited."""

    id: int
    capacity: int | None
    seats_taken: int | None
    waitlist_capacity: int | None
    waitlisted: int
    next_ticket: int

    @property
    def free(self) -> int | None:
        """The seats nobody has; None where they are unlimited."""
        return None if self.capacity is None or self.seats_taken is None else self.capacity - self.seats_taken

    @property
    def line_open(self) -> bool:
        """Whether one more may join the line."""
        return self.waitlist_capacity is None or self.waitlisted < self.waitlist_capacity

    def take(self, seats: int = 1) -> None:
        """Take seats, or give them back where `seats` is negative."""
        if self.seats_taken is not None:
            self.seats_taken += seats

    def join(self) -> int:
        """Join the line; returns the ticket."""
        self.waitlisted += 1
        self.next_ticket += 1
        return self.next_ticket - 1


@dataclass(slots=True)
class Placement:
    """What a request gives each of its pairs: a seat, new or old, or a place in line, new (with its ticket) or old."""

    added: list[Pair] = field(default_factory=list)
    kept: list[Pair] = field(default_factory=list)
    joined: dict[Pair, int] = field(default_factory=dict)
    in_line: list[Pair] = field(default_factory=list)  # the new places and those that stood, in the order asked


def place(courses: Mapping[int, Seats], standing: Mapping[Pair, str], wanted: Iterable[Pair], *, waitlist: bool) -> Placement:
    """Give every pair of `wanted` a seat or, with `waitlist`, a place in line, in the order given; counts in `courses` go along.

    `standing` holds the state of those pairs that exist. Raises CourseFull with every full course, or WaitlistFull with every
    course whose line is full.
    """
    placed = Placement()
    full: dict[int, bool] = {}
    closed: dict[int, bool] = {}
    for pair in wanted:
        course, state = courses[pair[1]], standing.get(pair)
        if state == ENROLLED:
            placed.kept.append(pair)
        elif state is None and (course.free is None or course.free > 0):
            course.take()
            placed.added.append(pair)
        elif not waitlist:
            full[course.id] = course.line_open
        elif state == WAITLISTED:
            placed.in_line.append(pair)
        elif course.line_open:
            placed.joined[pair] = course.join()
            placed.in_line.append(pair)
        else:
            closed[course.id] = False
    for refused, error in ((full, CourseFull), (closed, WaitlistFull)):
        if refused:
            raise error(courses=[{"id": course, "waitlist_open": is_open} for course, is_open in refused.items()])
    return placed
