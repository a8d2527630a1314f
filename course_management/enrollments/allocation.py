"""Who gets a seat, who joins the line, who is refused: decided from what was read, without a
database.

The same decision is made twice. First on rows read without a lock, so that a refusal costs a read;
then, where that would succeed, under the locks, so that it is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from course_management.courses.models import CourseFull, Refusal, WaitlistFull
from course_management.enrollments.models import ENROLLED, WAITLISTED

Pair = tuple[int, int]  # student id, course id


@dataclass(slots=True)
class Seats:
    """What a course has to give. `capacity` and `seats_taken` are None where seats are
    unlimited.
    """

    id: int
    capacity: int | None
    seats_taken: int | None
    waitlist_capacity: int | None
    waitlisted: int
    next_ticket: int

    @property
    def free(self) -> int | None:
        """The seats nobody has; None where they are unlimited."""
        return (
            None
            if self.capacity is None or self.seats_taken is None
            else self.capacity - self.seats_taken
        )

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
class Allocation:
    """What a request gives each of its pairs: a seat, new or old, or a place in line, new (with
    its ticket) or old.
    """

    added: list[Pair] = field(default_factory=list)
    kept: list[Pair] = field(default_factory=list)
    joined: dict[Pair, int] = field(default_factory=dict)
    # the new places and those that stood, in the order asked
    in_line: list[Pair] = field(default_factory=list)


def allocate(
    courses: Mapping[int, Seats],
    standing: Mapping[Pair, str],
    wanted: Iterable[Pair],
    *,
    waitlist: bool,
) -> Allocation:
    """Give every pair of `wanted` a seat or, with `waitlist`, a place in line, in the order given;
    counts in `courses` go along.

    `standing` holds the state of those pairs that exist. Raises CourseFull with every full course,
    or WaitlistFull with every course whose waitlist has no room either.
    """
    placed = Allocation()
    refused: dict[int, list[Pair]] = {}
    for pair in wanted:
        course, state = courses[pair[1]], standing.get(pair)
        if state == ENROLLED:
            placed.kept.append(pair)
        elif state is None and (course.free is None or course.free > 0):
            course.take()
            placed.added.append(pair)
        elif waitlist and state == WAITLISTED:
            placed.in_line.append(pair)
        elif waitlist and course.line_open:
            placed.joined[pair] = course.join()
            placed.in_line.append(pair)
        else:
            refused.setdefault(course.id, []).append(pair)
    if refused:
        why = _no_position if waitlist else _no_seat
        refusals = [
            _refusal(courses[course], pairs, placed, why) for course, pairs in refused.items()
        ]
        raise (WaitlistFull if waitlist else CourseFull)(refusals)
    return placed


Why = Callable[
    [Seats, int, int, int], str
]  # in words: of the course, its free seats, its free positions, how many were asked for


def _refusal(course: Seats, pairs: list[Pair], placed: Allocation, why: Why) -> Refusal:
    """Why a course refuses these pairs, by what it had before this request took the rest."""
    gained, joined = (
        sum(pair[1] == course.id for pair in some) for some in (placed.added, placed.joined)
    )
    free, asked = (course.free or 0) + gained, gained + joined + len(pairs)
    positions = (
        joined
        if course.waitlist_capacity is None
        else course.waitlist_capacity - course.waitlisted + joined
    )
    is_open = course.waitlist_capacity is None or positions > 0
    return Refusal(pairs[0], is_open, free, asked, why(course, free, positions, asked))


def _no_seat(course: Seats, free: int, _: int, asked: int) -> str:
    if not free:
        return f"Every seat in course {course.id} is taken."
    return f"Course {course.id} has {_some(free, 'free seat')}, and {asked} were asked for."


def _no_position(course: Seats, free: int, positions: int, asked: int) -> str:
    if not free and not positions:
        waitlist = "it has no waitlist" if course.waitlist_capacity == 0 else "its waitlist is full"
        return f"Every seat in course {course.id} is taken, and {waitlist}."
    waitlist = (
        "no waitlist"
        if course.waitlist_capacity == 0
        else _some(positions, "free waitlist position")
    )
    return (
        f"Course {course.id} has {_some(free, 'free seat')} and {waitlist}, and {asked} were "
        "asked for."
    )


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
