"""`credits-exceeded`: more credits in a whole term than its limit. Waitlist positions count.

Facts: `max_credits`, the credits of the set as it is and as it would be. Remedy: by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter

from course_management.rules.case import ADD, CHANGE, Case, Rule, Screen
from course_management.rules.facts import Course, Finding, Settings, Student
from course_management.rules.limits import exceeded
from course_management.rules.wording import counted, number

CODE = "credits-exceeded"
_credits = attrgetter("credits")


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each whole term with too many credits."""
    for one in exceeded(case, CODE, lambda term: term.max_credits, _credits, 1):
        total, limit, more = map(number, (one.total, one.limit, one.total - one.limit))
        yield case.finding(
            CODE,
            None,
            f"The student would have {counted(total, 'credit')} in the term "
            f"{one.term.whole_label}, and the limit is {limit}.",
            f"Choose at least {counted(more, 'credit')} less.",
            term=one.term.whole_label,
            credits=total,
            limit=limit,
            exceeded_by=more,
        )


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether a student has more credits than the limit, in all terms together."""
    limit = course.term.max_credits

    def may_break(student: Student) -> bool:
        return limit is not None and sum(map(_credits, student.after.values())) > limit

    return may_break


RULE = Rule(
    CODE,
    frozenset({ADD, CHANGE}),
    judge,
    lambda course: course.term.max_credits is not None,
    screen,
)
