"""`excluded-by`: a course whose catalog entry excludes one that the student takes or has passed.

Facts: `excludes` and `same_as` of the entries, the completions, the set as it would be. Remedy:
the course that excludes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from course_management.rules.case import ADD, Case, Rule, Screen
from course_management.rules.facts import Course, Finding, Settings
from course_management.rules.record import may_have
from course_management.rules.wording import label

CODE = "excluded-by"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course and each course or completion that excludes it."""
    for course, other in case.pairs:
        excluding = other.entry
        if excluding is None or not _exclude(course, other) or case.lifted(CODE, course, other):
            continue
        yield case.finding(
            CODE,
            course,
            f"{label(course, start=True)} cannot be taken beside {label(other)}.",
            f"Choose {label(course)} or {label(other)}.",
            excluded_by=excluding.code,
            excluding_course_id=other.id,
        )
    yield from _judge_completions(case)


def _judge_completions(case: Case) -> Iterator[Finding]:
    for held in case.added:
        course, entry = held.course, held.course.entry
        if entry is None or not entry.excludes:
            continue
        for code in sorted(entry.excludes):
            if case.record.passed(code) and not case.lifted(CODE, course):
                yield case.finding(
                    CODE,
                    course,
                    f"{label(course, start=True)} is excluded by {code.upper()}, which this "
                    "student has passed.",
                    "Choose another course.",
                    excluded_by=code,
                    excluding_course_id=None,
                )


def _exclude(course: Course, another: Course) -> bool:
    """Whether one of two courses excludes the other, or an entry that is the same."""
    one, other = course.entry, another.entry
    if one is None or other is None or not (one.excludes or other.excludes):
        return False
    return not (
        one.excludes.isdisjoint((other.code, *other.same_as))
        and other.excludes.isdisjoint((one.code, *one.same_as))
    )


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether a student may have completions of an entry that excludes this course."""
    excluding = course.entry.excludes if course.entry is not None else ()
    return lambda student: excluding and may_have(student.completions, excluding)


RULE = Rule(CODE, frozenset({ADD}), judge, lambda course: course.entry, screen, _exclude)
