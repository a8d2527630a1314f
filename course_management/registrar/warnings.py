"""What the registrar's acts break for the students concerned. No rule judges these acts, so they
answer with warnings.
"""

from __future__ import annotations

from collections.abc import Mapping

from course_management.enrollments.facts_reader import Facts
from course_management.enrollments.requests import RulesContext
from course_management.registrar.moving import Placement
from course_management.rules.consequences import consequences
from course_management.rules.facts import Finding, Held


def find_consequences(
    facts: Facts,
    context: RulesContext,
    *,
    left: int | None = None,
    gained: Mapping[int, Held] | None = None,
) -> list[Finding]:
    """What breaks for the students of `facts` who leave the course `left` and gain an enrollment:
    `gained`, by the id of the student.
    """
    students = []
    for student in facts.students.values():
        after = {i: held for i, held in student.before.items() if i != left}
        if gained and (held := gained.get(student.id)):
            after[held.course.id] = held
        students.append(student.with_after(after))
    return list(consequences(students, moment=context.moment, settings=context.settings))


def gains(
    facts: Facts, placed: Placement, to: int, kept: Mapping[int, int | None]
) -> dict[int, Held]:
    """The new enrollments in the course `to`, by the id of the student; none if it has no term.

    `kept` are the credits that students bring, in hundredths.
    """
    course = facts.courses.get(to)
    if course is None:
        return {}
    gained = {}
    for student_id in (*placed.seats, *placed.positions):
        number = kept.get(student_id)
        credits_taken = course.credits_min if number is None else number
        gained[student_id] = Held(course, student_id in placed.seats, credits_taken)
    return gained
