"""`restricted`: a course that is open to other students only.

Facts: `open_to` of the course, the groups of the student. Remedy: who may add the course.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules.case import ADD, Case, Rule
from course_management.rules.facts import Finding
from course_management.rules.requirements import NOT_MET, level, unsure
from course_management.rules.wording import audience, label

CODE = "restricted"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course that is not open to the student; warnings for texts."""
    for held in case.added:
        course = held.course
        if course.open_to is None:
            continue
        now = case.situation(course)
        if level(course.open_to, now) != NOT_MET:
            for leaf, _ in unsure(course.open_to, now):
                detail = f"Nobody has checked this condition of {label(course)}: “{leaf['text']}”."
                found = case.finding(CODE, course, detail, "Check it by hand.", condition=leaf)
                case.warnings.append(found)
        elif not case.lifted(CODE, course):
            yield case.finding(
                CODE,
                course,
                f"{label(course, start=True)} is not open to this student.",
                f"It is open to students who {audience(course.open_to)}.",
                open_to=course.open_to,
            )


RULE = Rule(CODE, frozenset({ADD}), judge, lambda course: course.open_to)
