"""`already-taking`: the same catalog entry and component twice in one whole term.

Facts: the entries, components and terms of the set as it would be. Remedy: the other course.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules.case import ADD, Case, Rule, are_same, no_more
from course_management.rules.facts import Course, Finding
from course_management.rules.wording import label

CODE = "already-taking"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each pair of courses that are the same."""
    for course, other in case.pairs:
        if course.component != other.component:
            continue
        if _is_same(course, other) and not case.lifted(CODE, course, other):
            kind = f" {course.component}" if course.component else " course"
            yield case.finding(
                CODE,
                course,
                f"{label(course, start=True)} is the same{kind} as {label(other)}.",
                f"Choose {label(course)} or {label(other)}.",
                other_course_id=other.id,
            )


def _is_same(course: Course, other: Course) -> bool:
    """Whether two courses of a component are of one entry, in one whole term."""
    return (
        course.entry is not None
        and other.entry is not None
        and course.term.whole == other.term.whole
        and are_same(course.entry, other.entry)
    )


RULE = Rule(CODE, frozenset({ADD}), judge, lambda course: course.entry, no_more, _is_same)
