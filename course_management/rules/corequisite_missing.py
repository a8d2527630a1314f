"""`corequisite-missing`: a course that needs another one before or beside it.

Facts: the conditions with `concurrent` in the prerequisites of the catalog entry, the completions
of the student, the set as it would be. A seat in the same whole term counts; a waitlist position
does not. Remedy: the courses to send in the same request.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules import prerequisites
from course_management.rules.case import ADD, Case, Rule, no_more
from course_management.rules.facts import Finding
from course_management.rules.requirements import NOT_MET
from course_management.rules.wording import label, missing

CODE = "corequisite-missing"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course without a corequisite."""
    for held in case.added:
        course = held.course
        expression = prerequisites.of(course)
        if expression is None or prerequisites.level_of(case, course, expression) != NOT_MET:
            continue
        lacking = prerequisites.without_corequisite(case, course, expression, case.after)
        if lacking is None or case.lifted(CODE, course):
            continue
        yield case.finding(
            CODE,
            course,
            f"{label(course, start=True)} must be taken after or together with another course. "
            "A waitlist position in that course does not count.",
            missing(expression, lacking),
            prerequisites=expression,
        )


RULE = Rule(
    CODE,
    frozenset({ADD}),
    judge,
    lambda course: course.entry and course.entry.prerequisites,
    no_more,  # the screen of the prerequisites judges the whole expression
)
