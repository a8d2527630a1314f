"""Finds the students who certainly may add a course, when many students add the same one. Each rule
has quick questions for that. The rules judge only the others, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from course_management.rules.case import ADD, Rule
from course_management.rules.facts import Course, Held, Settings, Student


def doubtful(
    students: Sequence[Student], rules: Sequence[Rule], moment: datetime, settings: Settings
) -> Sequence[Student]:
    """The students of a request, without those who only add a course that others add too and who
    certainly break no rule. `moment` is in UTC.
    """
    course = _common(students)
    if course is None:
        return students
    clear = [one for one in students if _only_adds(one, course)]
    concerned = [rule for rule in rules if ADD in rule.acts and rule.concerns(course)]
    clashing = _clashing(course, clear, concerned)
    clear = [one for one in clear if clashing.isdisjoint(one.before)]
    for rule in concerned:
        may_break = rule.screen(course, moment, settings)
        clear = [one for one in clear if not may_break(one)]
    ids = {one.id for one in clear}
    return [one for one in students if one.id not in ids]


def _clashing(course: Course, students: Iterable[Student], rules: Iterable[Rule]) -> set[int]:
    """The ids of those courses of the students that clash with a course. Each course is compared
    once, not once for each student.
    """
    others: dict[int, Held] = {}
    for student in students:
        others.update(student.before)
    tests = [rule.clashes for rule in rules if rule.clashes]
    return {i for i, held in others.items() if any(test(course, held.course) for test in tests)}


def _common(students: Sequence[Student]) -> Course | None:
    """The course that the first student adds, if there are more students and it is one course."""
    if len(students) < 2:
        return None
    first = students[0]
    added = [held.course for i, held in first.after.items() if i not in first.before]
    return added[0] if len(added) == 1 else None


def _only_adds(student: Student, course: Course) -> bool:
    """Whether a student adds this course and changes nothing else."""
    before, after = student.before, student.after
    return (
        len(after) == len(before) + 1
        and course.id in after
        and course.id not in before
        and before.items() <= after.items()
    )
