"""The status of a course, and the errors of requests that a course refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from course_management.core.errors import Conflict, summary
from course_management.core.problem_fields import COUNT, ID, list_of

# A course that is closed takes nobody new, and still promotes the students who wait. A cancelled
# course has no students.
OPEN, CLOSED, CANCELLED = STATUSES = ("open", "closed", "cancelled")

REFUSING_COURSES = {
    "courses": {
        **list_of(
            *("id", "status", "waitlist_open", "seats_free", "asked"),
            id=ID,
            status={
                "type": "string",
                "enum": list(STATUSES),
                "description": "Only an open course takes new students.",
                "example": OPEN,
            },
            waitlist_open={
                "type": "boolean",
                "description": "Whether the course is open and its waitlist has room.",
                "example": True,
            },
            seats_free={**COUNT, "description": "The number of free seats.", "example": 2},
            asked={
                **COUNT,
                "description": "The number of seats that the request asks for.",
                "example": 5,
            },
        ),
        "description": "Every course that refuses the request.",
        "example": [{"id": 7, "status": OPEN, "waitlist_open": True, "seats_free": 2, "asked": 5}],
    },
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A course that refuses a request. `pair` has the ids of the first student that got nothing and
    of the course.

    `seats_free` and `asked` are numbers of seats. `reasons` has a code and a detail for every rule
    that the request breaks in this course, and `each` has those of each student by their pair.
    """

    pair: tuple[int, int]
    status: str
    waitlist_open: bool
    seats_free: int
    asked: int
    reasons: Sequence[tuple[str, str]]
    each: Mapping[tuple[int, int], Sequence[tuple[str, str]]] = field(default_factory=dict)


class EnrollmentRefused(Conflict):
    """Some courses do not take the students of a request. `refusals` lists these courses.

    `refusals` is empty if a database constraint refused the request. This happens only if a lock is
    missing.
    """

    always = REFUSING_COURSES

    def __init__(self, refusals: Sequence[Refusal] = ()) -> None:
        names = ("status", "waitlist_open", "seats_free", "asked")
        courses = [
            {"id": one.pair[1]} | {name: getattr(one, name) for name in names} for one in refusals
        ]
        reasons = [{"code": c, "detail": detail} for one in refusals for c, detail in one.reasons]
        first = next((one["detail"] for one in reasons if one["code"] == self.code), self.title)
        super().__init__(summary(reasons, first), courses=courses)
        self.refusals = refusals


class CourseClosed(EnrollmentRefused):
    """A course is closed: nobody new gets a seat or a waitlist position. Students who have one keep
    it, and those who wait still get the seats that become free.

    `courses` lists every course that refuses, and `errors` has every rule that the request breaks:
    a course can be closed and full.
    """

    code = "course-closed"
    title = "The course is closed."
    remedy = (
        "Choose a course whose status is open (GET /courses?open=true), or ask the registrar to "
        "open the course."
    )


class CourseCancelled(EnrollmentRefused):
    """A course is cancelled: it has no students and takes none."""

    code = "course-cancelled"
    title = "The course is cancelled."
    remedy = "Choose another course (GET /courses?open=true)."


class CourseFull(EnrollmentRefused):
    """A course has fewer free seats than the request asks for. `courses` lists every such course of
    the request.

    Each entry has the number of free seats (`seats_free`), the number of seats that the request
    asks for (`asked`), and whether the waitlist has room (`waitlist_open`). `errors` points at the
    first student or course of the body that got no seat.
    """

    code = "course-full"
    title = "There are not enough free seats."
    remedy = (
        'Choose another course, or send the request again with "waitlist": true to join the '
        'waitlist of courses whose waitlist_open is true. To move students, send "extend": true.'
    )


class WaitlistFull(EnrollmentRefused):
    """A course has fewer free seats and waitlist positions than the request asks for. `courses`
    lists every such course.

    Its `detail` says whether the waitlist is full, has too little room, or does not exist
    (`waitlist_capacity` is 0).
    """

    code = "waitlist-full"
    title = "There are not enough free seats and waitlist positions."
    remedy = (
        "Choose another course (GET /courses?open=true lists the courses with a free seat), or try "
        "again later."
    )
