"""`consent-required`: a course that needs the consent of its instructor or department.

Facts: `consent` and `contact` of the course. Only an override gives consent. Remedy: whom to ask.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules.case import ADD, Case, Rule
from course_management.rules.facts import Finding
from course_management.rules.wording import label

CODE = "consent-required"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course that needs consent."""
    for held in case.added:
        course = held.course
        if course.consent is not None and not case.lifted(CODE, course):
            yield case.finding(
                CODE,
                course,
                f"{label(course, start=True)} needs the consent of its {course.consent}.",
                f"Ask {course.contact or f'the {course.consent}'} for consent. It is recorded as "
                "an override.",
                consent=course.consent,
                contact=course.contact,
            )


RULE = Rule(CODE, frozenset({ADD}), judge, lambda course: course.consent)
