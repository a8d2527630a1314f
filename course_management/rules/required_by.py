"""`required-by`: a drop that leaves another course of the student without its corequisite.

Facts: the prerequisites of the courses that stay, the completions of the student, the set as it is
and as it would be. Remedy: the course to drop in the same request.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules import prerequisites
from course_management.rules.case import DROP, Case, Rule
from course_management.rules.facts import Course, Finding
from course_management.rules.requirements import concurrent_leaves, is_of, key
from course_management.rules.wording import label

CODE = "required-by"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each dropped course and each course that needs it."""
    before, after = case.before, case.after
    for i in sorted(after.keys() & before.keys()):
        course = after[i].course
        needed = [held.course for held in case.dropped if _is_needed(held.course, course)]
        expression = prerequisites.of(course)
        if (
            not needed
            or expression is None
            or prerequisites.without_corequisite(case, course, expression, after) is None
            or prerequisites.without_corequisite(case, course, expression, before) is not None
        ):
            continue
        for dropped in needed:
            if not case.lifted(CODE, dropped):
                yield case.finding(
                    CODE,
                    dropped,
                    f"{label(course, start=True)} needs {label(dropped)} in the same term.",
                    f"Drop {label(course)} in the same request, or stay in {label(dropped)}.",
                    required_by=course.id,
                )


def _is_needed(dropped: Course, course: Course) -> bool:
    """Whether a condition with `concurrent` of `course` names the entry of a dropped course."""
    expression = prerequisites.of(course)
    return (
        expression is not None
        and dropped.term.whole == course.term.whole
        and any(is_of(dropped, key(leaf["course"])) for leaf in concurrent_leaves(expression))
    )


RULE = Rule(CODE, frozenset({DROP}), judge)
