"""`add-deadline-passed`: an add at or after `add_until` of the course's term or part of term.

Facts: `add_until`, the moment. Remedy: the way that is still open.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from course_management.rules.case import ADD, CHANGE, Case, Rule, Screen
from course_management.rules.facts import Course, Finding, Settings
from course_management.rules.wording import iso, label, spoken

CODE = "add-deadline-passed"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each course that the student adds or changes too late."""
    for held in case.added_or_changed:
        course, until = held.course, held.course.term.add_until
        if until is not None and case.moment >= until and not case.lifted(CODE, course):
            yield case.finding(
                CODE,
                course,
                f"The deadline to add {label(course)} was {spoken(until)}.",
                "Choose a course of a part of term that can still be added, or ask the registrar "
                "for an override.",
                term=course.term.label,
                add_until=iso(until),
            )


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether the deadline has passed."""
    until = course.term.add_until
    has_passed = until is not None and moment >= until
    return lambda student: has_passed


RULE = Rule(CODE, frozenset({ADD, CHANGE}), judge, lambda course: course.term.add_until, screen)
