"""`excluded-by`: a course whose catalog entry excludes one that the student takes or has passed.

Facts: `excludes` and `same_as` of the entries, the completions, the set as it would be. Remedy:
the course that excludes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules.case import ADD, Case, Rule
from course_management.rules.facts import Entry, Finding
from course_management.rules.wording import label

CODE = "excluded-by"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course and each course or completion that excludes it."""
    for course, other in case.pairs:
        if (
            course.entry is not None
            and other.entry is not None
            and (course.entry.excludes or other.entry.excludes)
            and _exclude(course.entry, other.entry)
            and not case.lifted(CODE, course, other)
        ):
            yield case.finding(
                CODE,
                course,
                f"{label(course, start=True)} cannot be taken beside {label(other)}.",
                f"Choose {label(course)} or {label(other)}.",
                excluded_by=other.entry.code,
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


def _exclude(one: Entry, other: Entry) -> bool:
    """Whether one of two entries, or one that is the same, is excluded by the other."""
    return not (
        one.excludes.isdisjoint((other.code, *other.same_as))
        and other.excludes.isdisjoint((one.code, *one.same_as))
    )


RULE = Rule(CODE, frozenset({ADD}), judge, lambda course: course.entry)
