"""`prerequisite-missing`: a course before which another one must be passed.

Facts: the prerequisites of the catalog entry, the completions and groups of the student, the set
as it would be. A course in progress counts, and so does one that is held in an earlier part of the
same term; a warning says so. Remedy: the conditions that are nearest to being met.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules import prerequisites
from course_management.rules.case import ADD, Case, Rule
from course_management.rules.expressions import Expression
from course_management.rules.facts import Course, Finding
from course_management.rules.requirements import PROVISIONAL, UNVERIFIED, unsure
from course_management.rules.wording import condition, label, missing

CODE = "prerequisite-missing"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course without a prerequisite; warnings for conditions not certain."""
    for held in case.added:
        course = held.course
        expression = prerequisites.of(course)
        if expression is None:
            continue
        lacking = prerequisites.without_prerequisite(case, course, expression)
        if lacking is None:
            if prerequisites.level_of(case, course, expression) in (UNVERIFIED, PROVISIONAL):
                _warn(case, course, expression)
        elif not case.lifted(CODE, course):
            yield case.finding(
                CODE,
                course,
                f"{label(course, start=True)} has prerequisites that this student does not meet.",
                missing(expression, lacking),
                prerequisites=expression,
            )


def _warn(case: Case, course: Course, expression: Expression) -> None:
    for leaf, level in unsure(expression, case.situation(course)):
        if level == UNVERIFIED:
            detail = f"Nobody has checked this condition of {label(course)}: “{leaf['text']}”."
            remedy = "Check it by hand."
        else:
            detail = (
                f"This student meets a prerequisite of {label(course)} only provisionally: "
                f"{condition(leaf)}."
            )
            remedy = "Check it again when the grades are known."
        case.warnings.append(case.finding(CODE, course, detail, remedy, condition=leaf))


RULE = Rule(
    CODE,
    frozenset({ADD}),
    judge,
    lambda course: course.entry and course.entry.prerequisites,
    prerequisites.screen,
)
