"""The rules of courses as a plain model in memory, for test_model_based.py. It shares no code with
the service.

A method that the service may refuse raises Refused and changes nothing then. Times are the numbers
of requests.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

SEAT, PLACE = "seat", "place"


class Refused(Exception):
    """The service must refuse: `code` of the problem, and further members of its document."""

    def __init__(self, code: str, codes: list[str] | None = None, **members: Any) -> None:
        super().__init__(code)
        self.code, self.codes, self.members = code, codes, members


@dataclass
class Course:
    """A course. `seats` has the time since when each student has a seat, `waitlist` their tickets.

    `lost` has those whose last change in this course was a drop, with what they had: (SEAT, time)
    or (PLACE, ticket).
    """

    id: int
    capacity: int | None
    waitlist_capacity: int | None
    status: str = "open"
    seats: dict[int, int] = field(default_factory=dict)
    waitlist: dict[int, int] = field(default_factory=dict)
    lost: dict[int, tuple[str, int]] = field(default_factory=dict)
    # The students of `waitlist` whose places rules block, and those of `lost` whose place was.
    blocked: set[int] = field(default_factory=set)
    lost_blocked: set[int] = field(default_factory=set)
    has_term: bool = False
    tickets: int = 0

    @property
    def students(self) -> set[int]:
        return {*self.seats, *self.waitlist}

    @property
    def free(self) -> float:
        """The number of free seats."""
        return float("inf") if self.capacity is None else self.capacity - len(self.seats)

    @property
    def room(self) -> float:
        """The number of free waitlist positions."""
        limit = self.waitlist_capacity
        return float("inf") if limit is None else limit - len(self.waitlist)

    def by_time(self) -> list[int]:
        return sorted(self.seats, key=lambda student: (self.seats[student], student))

    def by_ticket(self) -> list[int]:
        return sorted(self.waitlist, key=lambda student: self.waitlist[student])

    def seat(self, student: int, since: int) -> None:
        self.waitlist.pop(student, None)
        self.lost.pop(student, None)
        self.blocked.discard(student)
        self.seats[student] = since

    def join(self, student: int, ticket: int | None = None) -> None:
        self.lost.pop(student, None)
        if ticket is None:
            self.tickets += 1
        self.waitlist[student] = self.tickets if ticket is None else ticket

    def leave(self, students: Any, now: int, *, by_drop: bool) -> None:
        """Students go, and then those who wait get the free seats, also in a closed course."""
        for student in students:
            if student in self.students:
                had = (
                    (SEAT, self.seats.pop(student))
                    if student in self.seats
                    else (PLACE, self.waitlist.pop(student))
                )
                was_blocked = student in self.blocked
                self.blocked.discard(student)
                self.lost_blocked.discard(student)
                if by_drop:
                    self.lost[student] = had
                    if was_blocked:
                        self.lost_blocked.add(student)
        self.promote(now)

    def promote(self, now: int) -> None:
        for student in self.by_ticket():
            if self.free > 0 and student not in self.blocked:
                self.seat(student, now)

    def judge(self, student: int, now: int, *, broken: bool) -> None:
        """Block or clear the place of a student."""
        if student in self.waitlist and self.has_term:
            (self.blocked.add if broken else self.blocked.discard)(student)
            self.promote(now)

    def refusal(self, asked: int, lacking: list[str]) -> tuple[list[str], dict[str, Any]]:
        """Every reason against `asked` more students, and the course's entry in the document."""
        status = [] if self.status == "open" else [f"course-{self.status}"]
        return [*status, *lacking], {
            "id": self.id,
            "status": self.status,
            "waitlist_open": self.status == "open" and self.room > 0,
            "seats_free": 0 if self.capacity is None else self.free,
            "asked": asked,
        }

    def ask(self, students: list[int], now: int, *, waitlist: bool) -> dict[int, str]:
        """Students ask for a seat, one after the other. Returns what each of them gets: `added`,
        `kept`, `joined`, `waitlisted` or `refused`. Those who are refused change nothing.
        """
        got = {}
        for student in students:
            if student in self.seats:
                got[student] = "kept"
            elif student in self.waitlist:
                got[student] = "waitlisted" if waitlist else "refused"
            elif self.status != "open":
                got[student] = "refused"
            elif self.free > 0:
                got[student] = "added"
                self.seat(student, now)
            elif waitlist and self.room > 0:
                got[student] = "joined"
                self.join(student)
            else:
                got[student] = "refused"
        return got

    def resize(
        self, capacity: int | None, waitlist_capacity: int | None, status: str, now: int
    ) -> None:
        """New capacities and a new status."""
        if capacity is not None and len(self.seats) > capacity:
            raise Refused("capacity-below-enrolled")
        wanted = deepcopy(self)
        wanted.capacity, wanted.waitlist_capacity = capacity, waitlist_capacity
        wanted.status = status
        wanted.promote(now)
        if wanted.room < 0:
            raise Refused("waitlist-capacity-below-waitlisted")
        self.__dict__ = wanted.__dict__

    def cancel(self) -> dict[str, Any]:
        """Everybody is out."""
        removed, waitlisted = self.by_time(), self.by_ticket()
        self.status = "cancelled"
        self.seats, self.waitlist, self.blocked = {}, {}, set()
        return {
            "course_id": self.id,
            "status": "cancelled",
            "removed": removed,
            "waitlisted": waitlisted,
        }

    def reinstate(self, students: list[int], now: int) -> dict[str, Any]:
        """Students get back what a drop took. The capacities grow if they have to."""
        back = [student for student in students if student not in self.students]
        faults = [student for student in back if student not in self.lost]
        if faults:
            raise Refused("nothing-to-reinstate", student_ids=faults)
        if back and self.status == "cancelled":
            codes, entry = self.refusal(len(back), [])
            raise Refused(codes[0], codes, courses=[entry])
        had = {student: self.lost[student] for student in back}
        seated = [student for student in back if had[student][0] == SEAT]
        waiting = sorted(set(back) - set(seated), key=lambda student: had[student][1])
        for student in seated:
            self.seat(student, had[student][1])
        self._grow_seats()
        for student in list(waiting):
            if self.free > 0 and student not in self.lost_blocked:
                self.seat(student, now)
                seated.append(student)
                waiting.remove(student)
            else:
                self.join(student, had[student][1])
                if student in self.lost_blocked:
                    self.blocked.add(student)
        self._grow_waitlist()
        kept = [student for student in students if student not in back]
        return self._arrived(seated, kept, waiting)

    def _grow_seats(self) -> None:
        if self.capacity is not None:
            self.capacity = max(self.capacity, len(self.seats))

    def _grow_waitlist(self) -> None:
        if self.waitlist_capacity is not None:
            self.waitlist_capacity = max(self.waitlist_capacity, len(self.waitlist))

    def _arrived(self, added: list[int], kept: list[int], waitlisted: list[int]) -> dict[str, Any]:
        return {
            "course_id": self.id,
            "added": added,
            "kept": kept,
            "waitlisted": waitlisted,
            "capacity": self.capacity,
            "waitlist_capacity": self.waitlist_capacity,
        }

    def move(
        self, to: Course, students: list[int] | None, now: int, *, extend: bool
    ) -> dict[str, Any]:
        """Students go to another course, or everybody does."""
        missing = [student for student in students or () if student not in self.students]
        if missing:
            raise Refused("enrollment-not-found", missing=missing)
        going = set(self.students if students is None else students)
        seated = [student for student in self.by_time() if student in going]
        waiting = [student for student in self.by_ticket() if student in going]
        new_seats = [student for student in seated if student not in to.seats]
        new_places = [student for student in waiting if student not in to.students]
        kept = [s for s in [*seated, *waiting] if s not in new_seats and s not in new_places]

        trial = deepcopy(to)
        for student in new_seats:
            trial.seat(student, self.seats[student])
        lacking = ["course-full"] if trial.free < 0 and not extend else []
        trial._grow_seats()
        added = list(new_seats)
        for student in list(new_places):
            stays_blocked = student in self.blocked and trial.has_term
            if trial.free > 0 and not stays_blocked:
                trial.seat(student, now)
                added.append(student)
                new_places.remove(student)
            else:
                trial.join(student)
                if stays_blocked:
                    trial.blocked.add(student)
        lacking += ["waitlist-full"] if trial.room < 0 and not extend else []
        trial._grow_waitlist()
        arriving = len(added) + len(new_places)
        if lacking or (arriving and to.status != "open"):
            codes, entry = to.refusal(arriving, lacking)
            raise Refused(codes[0], codes, courses=[entry])

        self.leave(going, now, by_drop=False)
        to.__dict__ = trial.__dict__
        return to._arrived(added, kept, new_places) | {"course_id": self.id, "to": to.id}


# The codes of `ask`, the first that is true of a course is that of the document.
CODES = ("course-cancelled", "course-closed", "course-full", "waitlist-full")


def ask_all(
    wanted: list[tuple[Course, list[int], bool]], now: int, held: Collection[int] = ()
) -> list[tuple[Course, dict[int, str]]]:
    """Ask for seats in several courses: (course, students, whether a place will do), all or
    nothing. Students of `held` may add no course of a term. Raises Refused with every course that
    refuses.
    """
    if any(c.has_term and set(students) & set(held) - c.students for c, students, _ in wanted):
        raise Refused("rules-broken")
    trials = [(course, deepcopy(course), students, may) for course, students, may in wanted]
    got = [trial.ask(students, now, waitlist=may) for _, trial, students, may in trials]
    refused = []
    for (course, _, _, may), result in zip(trials, got, strict=True):
        verdicts = list(result.values())
        if "refused" not in verdicts:
            continue
        fresh = [s for s in result if s not in course.seats]
        asked = sum(not (s in course.waitlist and may) for s in fresh)
        enough = course.free + (course.room if may else 0)
        # An open course also refuses those who wait there in a blocked place.
        lacks = asked > enough or course.status == "open"
        lacking = ["waitlist-full" if may else "course-full"] if lacks else []
        refused.append(course.refusal(asked, lacking))
    if refused:
        codes = [code for one, _ in refused for code in one]
        first = next(code for code in CODES if code in codes)
        raise Refused(first, codes, courses=[entry for _, entry in refused])
    for course, trial, _, _ in trials:
        course.__dict__ = trial.__dict__
    return [(course, result) for (course, *_), result in zip(trials, got, strict=True)]
