"""Splits the prerequisites of a course into what must be done before and what may be concurrent.

A condition with `concurrent` is a corequisite. If an expression is not met,

- `prerequisite-missing` is broken if it is not met either when all corequisites count as met;
- `corequisite-missing` is broken if it is not met either when all other conditions count as met,
  and whenever `prerequisite-missing` is not broken.

So a refusal has one of these rules at least, and both if both kinds are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from course_management.rules.case import Case, Screen
from course_management.rules.expressions import Expression
from course_management.rules.facts import Course, Held, Settings, Student
from course_management.rules.record import Record
from course_management.rules.requirements import MET, NOT_MET, Situation, level


def of(course: Course) -> Expression | None:
    """The prerequisites of a course, if its entry has any."""
    return course.entry.prerequisites if course.entry is not None else None


def level_of(case: Case, course: Course, expression: Expression) -> int:
    """How far the prerequisites of a new course are met in the set as it would be."""
    if course.id not in case.levels:
        case.levels[course.id] = level(expression, case.situation(course))
    return case.levels[course.id]


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether a student does not meet the prerequisites with certainty."""
    expression = of(course)
    if expression is None:
        return lambda student: False

    def may_break(student: Student) -> bool:
        record = Record(student.completions, settings.grades)
        held = student.after.values()
        now = Situation(course, student.groups, record, held, settings)
        return level(expression, now) != MET

    return may_break


def without_prerequisite(case: Case, course: Course, expression: Expression) -> Situation | None:
    """The situation in which `course` lacks a prerequisite in the set as it would be; or None."""
    if level_of(case, course, expression) != NOT_MET:
        return None
    now = case.situation(course, assumed=True)
    return now if level(expression, now) == NOT_MET else None


def without_corequisite(
    case: Case, course: Course, expression: Expression, held: Mapping[int, Held]
) -> Situation | None:
    """The situation in which `course` lacks a corequisite in this set of enrollments; or None."""
    now = case.situation(course, held)
    if level(expression, now) != NOT_MET:
        return None
    others_met = replace(now, assumed=False)
    if level(expression, others_met) == NOT_MET:
        return others_met
    return now if level(expression, replace(now, assumed=True)) != NOT_MET else None
