"""What the completions of a student say: which entries they passed, and which are in progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from course_management.rules.facts import (
    COURSE,
    IN_PROGRESS,
    TEST,
    TRANSFER,
    Completion,
    Entry,
    Grades,
)
from course_management.rules.stored_completions import StoredCompletions

PASSED = frozenset({COURSE, TRANSFER})


@lru_cache(maxsize=16)
def _positions(grades: Grades) -> tuple[dict[str, int], frozenset[str | None]]:
    """The position of each grade, and those that pass. A completion without a grade is passed."""
    positions = {grade: position for position, grade in enumerate(grades.order)}
    return positions, frozenset({None, *grades.order[: grades.passing]})


def may_have(completions: Sequence[Completion], codes: Iterable[str]) -> bool:
    """False if no completion is of one of these entries: this is so most of the time."""
    if isinstance(completions, StoredCompletions):
        return completions.may_have(codes)
    return bool(completions)


class Record:
    """The completions of a student, and questions about them."""

    __slots__ = ("_found", "completions", "passing", "positions")

    def __init__(self, completions: Sequence[Completion], grades: Grades) -> None:
        self.completions = completions
        self.positions, self.passing = _positions(grades)
        self._found: dict[str, list[Completion]] = {}

    def is_passed(self, one: Completion, at_least: str | None = None) -> bool:
        """Whether this is a course or transfer with a grade that passes and reaches `at_least`.

        A completion without a grade is passed, and reaches no `at_least`. A grade that the school
        does not list does not pass.
        """
        if one.kind not in PASSED or one.grade not in self.passing:
            return False
        if at_least is None:
            return True
        return one.grade is not None and (
            self.positions[one.grade] <= self.positions.get(at_least, -1)
        )

    def of(self, code: str) -> Sequence[Completion]:
        """The completions of an entry, and of the entries that are the same by their `same_as`."""
        if code not in self._found:
            self._found[code] = [one for one in self._of(code) if one.kind != TEST]
        return self._found[code]

    def _of(self, code: str) -> Iterable[Completion]:
        completions = self.completions
        if isinstance(completions, StoredCompletions):
            return completions.of(code) if completions.may_have((code,)) else ()
        return (one for one in completions if one.entry == code or code in one.same_as)

    def tests(self, name: str) -> Iterable[Completion]:
        """The completions of a test, by its key."""
        completions = self.completions
        if isinstance(completions, StoredCompletions):
            return completions.tests(name)
        return (one for one in completions if one.kind == TEST and one.test == name)

    def beginning_with(self, start: str) -> list[Completion]:
        """The completions of the entries whose code begins with `start`, as `of`."""
        return [
            one
            for one in self.completions
            if one.entry is not None
            and one.kind != TEST
            and (one.entry.startswith(start) or any(c.startswith(start) for c in one.same_as))
        ]

    def attempts(self, entry: Entry) -> list[Completion]:
        """The completions of an entry, and of the entries that are the same by either side."""
        found = list(self.of(entry.code))
        for code in entry.same_as:
            found += [
                one for one in self.of(code) if one.entry == code and entry.code not in one.same_as
            ]
        return found

    def passed(self, code: str) -> bool:
        """Whether an entry is done."""
        return any(map(self.is_passed, self.of(code)))

    def credits(self) -> tuple[int, int]:
        """The credits (in hundredths) of all that is done, and of all that is in progress."""
        completions, passing = self.completions, self.passing
        rows = completions.rows if isinstance(completions, StoredCompletions) else completions
        done = in_progress = 0
        # Positions instead of names: this loop takes most of the time of a large request.
        for row in rows:
            kind = row[0]
            if kind == IN_PROGRESS:
                in_progress += row[5]
            elif kind == TEST or (kind in PASSED and row[3] in passing):
                done += row[5]
        return done, in_progress
