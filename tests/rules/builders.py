"""Short builders of facts for tests of one rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from course_management.rules.evaluator import judge
from course_management.rules.facts import (
    Completion,
    Course,
    Entry,
    Grades,
    Held,
    Hold,
    Meeting,
    Override,
    Settings,
    Student,
    Term,
    Window,
)

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
BEFORE, AFTER = NOW.replace(hour=11, minute=59), NOW.replace(hour=12, minute=1)
MONDAY = date(2026, 9, 7)
RULES = Settings(Grades(("A", "B", "C", "D", "F"), passing=4))
OPEN = Window(None, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
TERM = Term(1, "fall", 1, "fall", date(2026, 8, 24), date(2026, 12, 11), windows=(OPEN,))
FIRST_HALF = replace(TERM, id=2, code="fall-a", ends_on=date(2026, 10, 16))
SECOND_HALF = replace(TERM, id=3, code="fall-b", starts_on=date(2026, 10, 19))
SPRING = replace(TERM, id=4, code="spring", whole=4, whole_code="spring")


def entry(shown="CS 1", **fields):
    return Entry(shown.casefold(), shown, **fields)


def course(number=1, term=TERM, **fields):
    return Course(number, "open", term, **fields)


def meeting(days, starts, ends, first_on=MONDAY, last_on=date(2026, 12, 11)):
    """A meeting from "09:30" to "10:45" on days such as {0, 2}."""
    minutes = [int(time[:2]) * 60 + int(time[3:]) for time in (starts, ends)]
    return Meeting(frozenset(days), *minutes, first_on, last_on)


def passed(shown="CS 1", grade="A", kind="course", **fields):
    return Completion(kind, shown.casefold(), grade=grade, **fields)


def hold(blocks=("add", "drop"), **fields):
    return Hold(5, "fee", "Pay your fee.", "The bursar", frozenset(blocks), **fields)


def override(rule, number=70, **fields):
    return Override(number, rule, **fields)


def seats(*courses, credits_each=300):
    return {one.id: Held(one, True, credits_each) for one in courses}


def places(*courses, credits_each=300):
    return {one.id: Held(one, False, credits_each) for one in courses}


def judged(before=None, after=None, moment=NOW, settings=RULES, **student):
    """The judgement of a request that turns one set into another."""
    student.setdefault("groups", frozenset())
    one = Student(9, before=before or {}, after=after or {}, **student)
    return judge([one], moment=moment, settings=settings)


def broken(*arguments, **options):
    """The codes and courses of the findings of `judged`."""
    return [(one.rule, one.course) for one in judged(*arguments, **options).broken]
