"""Finds the students who certainly may add a course, when many students add the same one. Each rule
has a quick question for that (its `screen`). The rules judge only the others, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from course_management.rules.case import ADD, Rule, Screen
from course_management.rules.facts import Course, Settings, Student


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
    for rule in rules:
        if ADD in rule.acts and rule.concerns(course):
            may_break = rule.screen(course, moment, settings)
            clear = [one for one in clear if not may_break(one)]
    ids = {one.id for one in clear}
    return [one for one in students if one.id not in ids]


def pairwise(
    may_clash: Callable[[Course, Course], object],
) -> Callable[[Course, datetime, Settings], Screen]:
    """The screen of a rule about two courses of a set, from a question about two courses. It is
    asked once for each other course, not for each student.
    """

    def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
        fine: set[int] = set()

        def may_break(student: Student) -> bool:
            for i in student.before.keys() - fine:
                if may_clash(course, student.before[i].course):
                    return True
                fine.add(i)
            return False

        return may_break

    return screen


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
