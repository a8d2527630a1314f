"""What acts break that no rule judges: cancelling a course, moving and reinstating students."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from course_management.rules import credits_below_minimum
from course_management.rules.case import Case
from course_management.rules.evaluator import judge_set
from course_management.rules.facts import Finding, Settings, Student


def consequences(
    students: Iterable[Student], *, moment: datetime, settings: Settings
) -> Iterator[Finding]:
    """What is wrong with the sets `after` of some students and was not wrong, or less so, with
    their sets `before`. Drops count as late from the `add_until` of their term on.
    """
    moment = moment.astimezone(UTC)
    for student in students:
        if _may_break(student):
            judge = partial(judge_set, student, moment=moment, settings=settings)
            found = judge(student.after).broken
            earlier = judge(student.before).broken if found else ()
            sizes = {_key(one): _size(one) for one in earlier}
            yield from (one for one in found if _size(one) > sizes.get(_key(one), -1))
        case = Case(student, student.after, moment, settings)
        yield from credits_below_minimum.judge(case)


def _may_break(student: Student) -> bool:
    """Whether judging the set can find anything. Most students who only lose courses have no course
    that needs another one.
    """
    return not student.after.keys() <= student.before.keys() or any(
        held.course.entry is not None and held.course.entry.prerequisites is not None
        for held in student.after.values()
    )


def _key(finding: Finding) -> tuple[Any, ...]:
    """What a finding is about."""
    others = ("other_course_id", "excluding_course_id", "excluded_by", "term")
    return finding.rule, finding.course, *(finding.facts.get(name) for name in others)


def _size(finding: Finding) -> float:
    """By how much a limit is exceeded; 0 for other rules."""
    size: float = finding.facts.get("exceeded_by", finding.facts.get("attempts", 0))
    return size
