"""The request of one student, as the rules see it: what they add, drop and change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from course_management.rules.facts import (
    Course,
    Entry,
    Finding,
    Held,
    Override,
    Settings,
    Student,
)
from course_management.rules.record import Record
from course_management.rules.requirements import Situation
from course_management.rules.wording import iso

# The acts that a rule judges. An add is a new seat or waitlist position. A change is a course that
# stays, with other credits. A drop is the end of a seat. Nothing judges who leaves a waitlist.
ADD, CHANGE, DROP = "add", "change", "drop"


_ACTS = {
    made: frozenset(act for act, is_made in zip((ADD, CHANGE, DROP), made, strict=True) if is_made)
    for made in product((False, True), repeat=3)
}


# Whether a student may break a rule by adding one course and changing nothing else, or cause a
# warning. False must be certain.
Screen = Callable[[Student], object]


def no_more(*facts: object) -> Screen:
    """The screen of a rule about which other questions have said enough."""
    return lambda student: False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its code, the acts that it judges, and the function that yields what breaks it.

    Three more functions save time. `concerns` says whether any student can break the rule by adding
    this course: most courses have no `open_to` and need no consent. `screens.py` uses the others if
    many students add one course: `screen` makes a question about a student, and `clashes` says
    whether having two courses may break the rule.
    """

    code: str
    acts: frozenset[str]
    judge: Callable[[Case], Iterator[Finding]]
    concerns: Callable[[Course], object] = lambda course: True
    screen: Callable[[Course, datetime, Settings], Screen] = lambda *facts: lambda student: True
    clashes: Callable[[Course, Course], object] | None = None


class Case:
    """The request of one student at one moment. `after` is the set as it would be. The cases of a
    student may share `record`.

    `added`, `dropped` and `changed` are in the order of the ids of the courses. `used` collects the
    overrides that lift something, `warnings` and `withdrawals` what the rules find beside faults.
    """

    __slots__ = (
        *(
            "_moment",
            "_overrides",
            "_pairs",
            "_record",
            "_totals",
            "acts",
            "added",
            "after",
            "before",
            "changed",
        ),
        *("dropped", "levels", "moment", "settings", "student", "used", "warnings", "withdrawals"),
    )

    def __init__(
        self,
        student: Student,
        after: Mapping[int, Held],
        moment: datetime,
        settings: Settings,
        record: Record | None = None,
    ) -> None:
        self.student, self.moment, self.settings = student, moment, settings
        self._moment: str | None = None
        self._record = record
        self._overrides: Mapping[str, list[Override]] | None = None
        self._pairs: Sequence[tuple[Course, Course]] | None = None
        self._totals: dict[int, list[int]] | None = None
        self.before, self.after = student.before, after
        before = student.before
        self.added = [after[i] for i in sorted(after) if i not in before]
        self.dropped = [before[i] for i in sorted(before) if i not in after and before[i].is_seat]
        # Pairs: as it was, as it would be.
        self.changed = [
            (before[i], held)
            for i, held in after.items()
            if i in before and before[i].credits != held.credits
        ]
        self.acts = _ACTS[bool(self.added), bool(self.changed), bool(self.dropped)]
        self.levels: dict[int, int] = {}  # of prerequisites, by id of the course
        self.used: list[int] = []
        self.warnings: list[Finding] = []
        self.withdrawals: list[int] = []

    @property
    def record(self) -> Record:
        """The completions of the student."""
        if self._record is None:
            self._record = Record(self.student.completions, self.settings.grades)
        return self._record

    @property
    def totals(self) -> Mapping[int, Sequence[int]]:
        """The number of courses and the credits of the set as it would be, by whole term."""
        if self._totals is None:
            self._totals = {}
            for held in self.after.values():
                total = self._totals.setdefault(held.course.term.whole, [0, 0])
                total[0] += 1
                total[1] += held.credits
        return self._totals

    @property
    def added_or_changed(self) -> list[Held]:
        """The courses that need an open registration."""
        return (
            self.added if not self.changed else [*self.added, *(after for _, after in self.changed)]
        )

    @property
    def pairs(self) -> Sequence[tuple[Course, Course]]:
        """Each new course with each other course of the set, every pair once. Of two new courses,
        the one with the greater id is first.
        """
        if self._pairs is None:
            before = self.before
            self._pairs = [
                (held.course, other.course)
                for held in self.added
                for i, other in self.after.items()
                if i in before or i < held.course.id
            ]
        return self._pairs

    def situation(
        self, course: Course, held: Mapping[int, Held] | None = None, assumed: bool | None = None
    ) -> Situation:
        """The facts for the conditions of a course, with the set as it would be or another one."""
        student = self.student
        enrollments = (self.after if held is None else held).values()
        return Situation(course, student.groups, self.record, enrollments, self.settings, assumed)

    def overrides(self, rule: str) -> list[Override]:
        """The overrides of a rule that have not expired."""
        if self._overrides is None:
            found: dict[str, list[Override]] = {}
            for one in self.student.overrides:
                if one.expires_at is None or self.moment < one.expires_at:
                    found.setdefault(one.rule, []).append(one)
            self._overrides = found
        return self._overrides.get(rule, [])

    def lifted(self, rule: str, *courses: Course) -> bool:
        """Whether an override lifts a rule for one of these courses. It then counts as used, so
        call this only for a rule that is broken.
        """
        for one in self.overrides(rule):
            if any(covers(one, course) for course in courses):
                self.use([one])
                return True
        return False

    def use(self, overrides: Iterable[Override]) -> None:
        """Note that these overrides were needed."""
        self.used += [one.id for one in overrides if one.id not in self.used]

    def finding(
        self, rule: str, course: Course | None, detail: str, remedy: str, **facts: Any
    ) -> Finding:
        """A finding about the student. Its facts contain the moment of the request."""
        if self._moment is None:
            self._moment = iso(self.moment)
        facts = {"moment": self._moment, **facts}
        course_id = course.id if course is not None else None
        return Finding(rule, self.student.id, course_id, detail, remedy, facts)


def covers(override: Override, course: Course) -> bool:
    """Whether an override is for a course: by its id, its catalog entry, its term, or the whole
    term of its part.
    """
    if override.course is not None:
        return override.course == course.id
    if override.entry is not None:
        return course.entry is not None and course.entry.code == override.entry
    return override.term is not None and override.term in (
        course.term.code,
        course.term.whole_code,
    )


def are_same(one: Entry, other: Entry) -> bool:
    """Whether two catalog entries are the same, by code or by `same_as`."""
    return one.code == other.code or one.code in other.same_as or other.code in one.same_as
