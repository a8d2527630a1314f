"""Recounts what requests did in courses of a term, from the events and from what clients saw. It
compares minutes and adds credits, and knows nothing of the service's rules.

Requests overlap, so nobody knows which facts a request was judged on. The recount finds a fault if
none of the values that a fact may have had from the beginning of the request to its end allows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from typing import Any

CREDITS = 3  # of each course
JUDGED = {"requested", "dropped", "removed"}


@dataclass
class Request:
    """A request that succeeded, and the times between which it did."""

    began: float
    ended: float


class History:
    """The values of one fact, with the requests that set them."""

    def __init__(self, value: Any) -> None:
        self.values = [(Request(-inf, -inf), value)]

    def set(self, request: Request, value: Any) -> None:
        self.values.append((request, value))

    def possible(self, during: Request) -> list[Any]:
        """The values that the fact may have had in this time. One that was set before is gone if
        another one was certainly set after it, and before this time.
        """
        return [
            value
            for setting, value in self.values
            if setting.began <= during.ended
            and not any(
                other.began > setting.ended and other.ended < during.began
                for other, _ in self.values
            )
        ]


@dataclass
class Section:
    """A course. Its entry never changes, and it has as many credits as all others: students who are
    moved keep the credits that they chose.
    """

    entry: str
    meetings: History
    is_open: History = field(default_factory=lambda: History(True))


def overlap(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether two lists of meetings share a minute of the week."""

    def minutes(meetings: list[dict[str, Any]]) -> set[tuple[str, int]]:
        found = set()
        for meeting in meetings:
            starts, ends = (
                int(meeting[name][:2]) * 60 + int(meeting[name][3:]) for name in ("starts", "ends")
            )
            found |= {(day, minute) for day in meeting["days"] for minute in range(starts, ends)}
        return found

    return bool(minutes(one) & minutes(other))


class Recount:
    """The facts, and the faults of requests. `needs_passed` and `needs_beside` are the entries with
    a prerequisite, and the corequisite of entries that have one.
    """

    def __init__(self, sections: dict[int, Section], max_credits: int) -> None:
        self.sections = sections
        self.max_credits, self.is_open = History(max_credits), History(True)
        self.holds: dict[int, list[History]] = defaultdict(list)
        self.passed: dict[int, History] = {}
        self.requests: dict[str, Request] = {}
        self.needs_passed: set[str] = set()
        self.needs_beside: dict[str, str] = {}
        self.faults: list[tuple[Any, ...]] = []

    def replay(self, student: int, events: list[Any]) -> dict[int, str]:
        """Follow the events of one student, in their order. Returns their last state in each course
        that they have.
        """
        held: dict[int, str] = {}
        cancelled: list[tuple[Request, int]] = []
        for request_id, some in groupby(events, lambda event: event.request_id):
            before, request, whys = dict(held), self.requests[request_id], set()
            for event in some:
                assert held.get(event.course_id) == event.from_state
                held[event.course_id] = event.to_state
                if event.to_state is None:
                    del held[event.course_id]
                whys.add(event.why)
                if event.why == "cancelled" and event.from_state == "enrolled":
                    cancelled.append((request, event.course_id))
            if whys & JUDGED:
                # A request may have seen a seat in a course whose cancellation ran beside it.
                lost = {i for other, i in cancelled if other.ended >= request.began}
                found = [*self.broken(student, request, before, held, lost)]
                self.faults += [(student, request_id, before, dict(held), *one) for one in found]
        return held

    def broken(
        self,
        student: int,
        request: Request,
        before: dict[int, str],
        after: dict[int, str],
        lost: set[int],
    ) -> Iterator[tuple[Any, ...]]:
        """What a judged request broke that was whole before."""
        sections, added = self.sections, [i for i in after if i not in before]
        if added and not any(self.is_open.possible(request)):
            yield ("registration-not-open",)
        if added and any(all(hold.possible(request)) for hold in self.holds[student]):
            yield ("hold",)
        for i in added:
            passed = any(self.passed[student].possible(request))
            if sections[i].entry in self.needs_passed and not passed:
                yield "prerequisite-missing", i
            if not any(sections[i].is_open.possible(request)):
                yield "course-cancelled", i
            for other in after.keys() - {i}:
                if sections[i].entry == sections[other].entry:
                    yield "already-taking", i, other
                if all(
                    overlap(one, two)
                    for one in sections[i].meetings.possible(request)
                    for two in sections[other].meetings.possible(request)
                ):
                    yield "time-conflict", i, other
        total, was = CREDITS * len(after), CREDITS * len(before)
        if added and total > max(was, *self.max_credits.possible(request)):
            yield "credits-exceeded", total
        for i in after:
            if self.lacks(i, after, lost) and not (i in before and self.lacks(i, before, set())):
                yield "corequisite", i

    def lacks(self, course: int, held: dict[int, str], lost: set[int]) -> bool:
        """Whether a course lacks the corequisite, which needs a seat."""
        wanted = self.needs_beside.get(self.sections[course].entry)
        seats = {i for i, state in held.items() if state == "enrolled"} | lost
        return wanted is not None and all(self.sections[i].entry != wanted for i in seats)
