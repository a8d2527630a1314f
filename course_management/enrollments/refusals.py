"""The error of a request that breaks rules of registration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from course_management.core.errors import Conflict, Error
from course_management.core.problem_fields import COUNT, ID, list_of
from course_management.courses.refusals import (
    CourseCancelled,
    CourseClosed,
    CourseFull,
    Refusal,
    WaitlistFull,
)
from course_management.rules import hold
from course_management.rules.facts import Finding

MAX_BROKEN = 1000
_SEATS: dict[str, type[Error]] = {
    error.code: error for error in (CourseCancelled, CourseClosed, CourseFull, WaitlistFull)
}

FINDING: dict[str, dict[str, Any]] = {
    "rule": {"type": "string", "description": "The code of the rule.", "example": "time-conflict"},
    "student_id": ID,
    "course_id": {
        **ID,
        "type": ["integer", "null"],
        "description": "The course, or null if the rule is about all courses of the student.",
    },
    "detail": {
        "type": "string",
        "description": "What is wrong, in a sentence.",
        "example": "Course 7 meets at the same time as course 9.",
    },
    "remedy": {
        "type": "string",
        "description": "What the student or the registrar can do.",
        "example": "Choose another section of one of the courses.",
    },
    "overridable": {
        "type": "boolean",
        "description": "Whether an override can lift the rule.",
        "example": True,
    },
    "facts": {
        "type": "object",
        "description": "The numbers, codes and times that the rule compared.",
        "example": {"moment": "2026-08-24T13:00:00Z"},
    },
}


class RulesBroken(Conflict):
    """The request breaks rules of registration. `broken` lists every broken rule of every course
    and student of the request, those about seats and status among them, each with its remedy.

    Only requests with a course of a term get this error. If only seats or the status of courses are
    wrong, they get `course-full` and its like.
    """

    code = "rules-broken"
    title = "The request breaks rules of registration."
    remedy = "Read the remedy of each rule in `broken`."
    always = {
        "broken": {
            **list_of(*FINDING, **FINDING),
            "description": f"The broken rules, at most {MAX_BROKEN}.",
            "example": [{name: schema["example"] for name, schema in FINDING.items()}],
        },
        "broken_count": {**COUNT, "description": "How many rules are broken.", "example": 1},
    }

    def __init__(self, broken: Iterable[Finding] = (), refusals: Sequence[Refusal] = ()) -> None:
        broken = tuple(broken)
        found = [*map(render_finding, broken), *about_seats(refusals, _moment_of(broken))]
        more = f" ({len(found) - 1} more in broken.)" if len(found) > 1 else ""
        detail = f"{found[0]['detail']}{more}" if found else self.title
        super().__init__(detail, broken=found[:MAX_BROKEN], broken_count=len(found))
        self._broken, self._refusals = broken, refusals

    def without_holds(self) -> RulesBroken:
        """The same error for readers who may not see the holds of students."""
        return RulesBroken(map(shown_without_hold, self._broken), self._refusals)


def shown_without_hold(finding: Finding) -> Finding:
    """A finding without the details of a hold."""
    return hold.without_details(finding) if finding.rule == hold.CODE else finding


def render_finding(finding: Finding) -> dict[str, Any]:
    """A finding as in responses."""
    return {
        "rule": finding.rule,
        "student_id": finding.student,
        "course_id": finding.course,
        "detail": finding.detail,
        "remedy": finding.remedy,
        "overridable": finding.overridable,
        "facts": finding.facts,
    }


def _moment_of(broken: Sequence[Finding]) -> str | None:
    """The moment of the request, as its findings show it."""
    return broken[0].facts.get("moment") if broken else None


def about_seats(refusals: Sequence[Refusal], moment: str | None) -> list[dict[str, Any]]:
    """The findings about seats and status, as in responses: one for each student that gets no seat.
    `moment` is that of the request.
    """
    return [
        {
            "rule": code,
            "student_id": student_id,
            "course_id": course_id,
            "detail": detail,
            "remedy": _remedy(code, student_id),
            "overridable": code != CourseCancelled.code,
            "facts": {
                "moment": moment,
                "status": one.status,
                "seats_free": one.seats_free,
                "asked": one.asked,
                "waitlist_open": one.waitlist_open,
            },
        }
        for one in refusals
        for (student_id, course_id), reasons in one.each.items()
        for code, detail in reasons
    ]


def _remedy(code: str, student_id: int) -> str:
    """What a student can do about a course that refuses them."""
    if code not in (CourseFull.code, WaitlistFull.code):
        return _SEATS[code].remedy
    waitlist = (
        ', or send the request again with "waitlist": true to join the waitlist if it has room'
        if code == CourseFull.code
        else ""
    )
    return (
        f"Choose another course (GET /students/{student_id}/eligibility?eligible=true lists those "
        f"that the student may add){waitlist}."
    )
