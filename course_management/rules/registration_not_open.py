"""`registration-not-open`: an add while no window of the student's groups is open.

Facts: the windows of the whole term, the groups of the student, the moment. Remedy: when a window
opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from course_management.rules.case import ADD, CHANGE, Case, Rule, Screen
from course_management.rules.facts import Course, Finding, Settings, Student, Window
from course_management.rules.wording import iso, label, spoken

CODE = "registration-not-open"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each course that the student adds or changes too early or too late."""
    moment, groups = case.moment, case.student.groups
    for held in case.added_or_changed:
        course = held.course
        mine = [w for w in course.term.windows if w.group is None or w.group in groups]
        if any(w.opens_at <= moment < w.closes_at for w in mine):
            continue
        if case.lifted(CODE, course):
            continue
        opens_at = _next_opening(mine, moment)
        term = course.term.whole_label
        yield case.finding(
            CODE,
            course,
            f"Registration in the term {term} is not open to this student, so they cannot add "
            f"{label(course)}.",
            f"Registration opens on {spoken(opens_at)}."
            if opens_at
            else "No later window is open to this student. Ask the registrar.",
            term=term,
            opens_at=iso(opens_at),
        )


def _next_opening(windows: Iterable[Window], moment: datetime) -> datetime | None:
    """When one of these windows opens next, in UTC; None if none does.

    Local times of one zone would be compared without their offsets.
    """
    utc = ((w.opens_at.astimezone(UTC), w.closes_at.astimezone(UTC)) for w in windows)
    return min((opens for opens, closes in utc if moment < opens < closes), default=None)


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether no window is open to a student."""
    groups = {w.group for w in course.term.windows if w.opens_at <= moment < w.closes_at}

    def may_break(student: Student) -> bool:
        return None not in groups and groups.isdisjoint(student.groups)

    return may_break


RULE = Rule(CODE, frozenset({ADD, CHANGE}), judge, screen=screen)
