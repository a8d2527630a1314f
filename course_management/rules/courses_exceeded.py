"""`courses-exceeded`: more courses in a whole term than its limit. Waitlist positions count.

Facts: `max_courses`, the set as it is and as it would be. Remedy: by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from course_management.rules.case import ADD, Case, Rule, Screen
from course_management.rules.facts import Course, Finding, Settings
from course_management.rules.limits import exceeded
from course_management.rules.wording import counted

CODE = "courses-exceeded"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each whole term with too many courses."""
    for one in exceeded(case, CODE, lambda term: term.max_courses, lambda _: 1, 0):
        more = one.total - one.limit
        yield case.finding(
            CODE,
            None,
            f"The student would have {counted(one.total, 'course')} in the term "
            f"{one.term.whole_label}, and the limit is {one.limit}.",
            f"Choose at least {counted(more, 'course')} less.",
            term=one.term.whole_label,
            courses=one.total,
            limit=one.limit,
            exceeded_by=more,
        )


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether a student has more courses than the limit, in all terms together."""
    limit = course.term.max_courses
    return lambda student: limit is not None and len(student.after) > limit


RULE = Rule(
    CODE, frozenset({ADD}), judge, lambda course: course.term.max_courses is not None, screen
)
