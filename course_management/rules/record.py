"""What the completions of a student say: which entries they passed, and which are in progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from course_management.rules.facts import (
    COURSE,
    IN_PROGRESS,
    TEST,
    TRANSFER,
    Completion,
    Grades,
    Settings,
)

PASSED = frozenset({COURSE, TRANSFER})


def passes(grades: Grades, grade: str | None, *, at_least: str | None = None) -> bool:
    """Whether a grade passes, and is as good as `at_least` if that is given.

    A completion without a grade is passed, and reaches no `at_least`. A grade that the school does
    not list does not pass.
    """
    if grade is None:
        return at_least is None
    order = grades.order
    if grade not in order:
        return False
    position = order.index(grade)
    if position >= grades.passing:
        return False
    return at_least is None or (at_least in order and position <= order.index(at_least))


class Record:
    """The completions of a student, indexed once for all conditions of a request."""

    __slots__ = ("attempts", "by_entry", "grades", "in_progress", "tests", "total")

    def __init__(self, completions: Iterable[Completion], settings: Settings) -> None:
        self.grades = settings.grades
        self.attempts: list[Completion] = []
        self.by_entry: dict[str, list[Completion]] = {}
        self.tests: list[Completion] = []
        self.total = self.in_progress = 0  # credits in hundredths
        for one in completions:
            if one.kind == TEST:
                self.tests.append(one)
                self.total += one.credits
                continue
            self.attempts.append(one)
            if one.kind == IN_PROGRESS:
                self.in_progress += one.credits
            elif self.is_passed(one):
                self.total += one.credits
            for code in (one.entry, *one.same_as):
                if code is not None:
                    self.by_entry.setdefault(code, []).append(one)

    def is_passed(self, one: Completion, at_least: str | None = None) -> bool:
        """Whether this is a course or transfer with a grade that passes and reaches `at_least`."""
        return one.kind in PASSED and passes(self.grades, one.grade, at_least=at_least)

    def of(self, code: str) -> Sequence[Completion]:
        """The completions of an entry and of those that are the same."""
        return self.by_entry.get(code, ())

    def passed_codes(self) -> dict[str, Completion]:
        """The keys of the entries that are done, each with a completion that says so."""
        return {
            code: one for code, ones in self.by_entry.items() for one in ones if self.is_passed(one)
        }
