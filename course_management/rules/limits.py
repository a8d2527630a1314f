"""The limits of whole terms, and the overrides of limits.

An override without `value` lifts a limit for the courses that it is for: they count no more. An
override with `value` replaces the limit if the student takes a course that it is for. An override
never makes a limit stricter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from course_management.rules.case import Case, covers
from course_management.rules.facts import Course, Held, Override, Term


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that the set as it would be exceeds: the term, the limit and the sum."""

    term: Term
    limit: int
    total: int


def terms(held: Iterable[Held]) -> list[Term]:
    """One term or part for each whole term of these enrollments. Parts have the limits of the
    whole term.
    """
    found = {one.course.term.whole: one.course.term for one in held}
    return list(found.values())


def in_term(held: Iterable[Held], term: Term) -> list[Held]:
    """The enrollments in a whole term."""
    return [one for one in held if one.course.term.whole == term.whole]


def is_free(course: Course, overrides: Sequence[Override]) -> bool:
    """Whether an override without `value` lifts the limit for a course."""
    return any(one.value is None and covers(one, course) for one in overrides)


def values(overrides: Sequence[Override], courses: Iterable[Course]) -> list[int]:
    """The limits that overrides set for a student with these courses."""
    courses = list(courses)
    return [
        one.value
        for one in overrides
        if one.value is not None and any(covers(one, course) for course in courses)
    ]


def lifted(case: Case, rule: str, is_broken: Callable[[Sequence[Override]], object]) -> bool:
    """Whether the overrides of a limit, which is broken without them, lift it. Those that are
    needed for it count as used.
    """
    overrides = case.overrides(rule)
    if not overrides or is_broken(overrides):
        return False
    needed = list(overrides)
    for one in overrides[::-1]:
        others = [another for another in needed if another is not one]
        if not is_broken(others):
            needed = others
    case.use(needed)
    return True


def exceeded(
    case: Case,
    rule: str,
    limit_of: Callable[[Term], int | None],
    measure: Callable[[Held], int],
    position: int,
) -> Iterator[Excess]:
    """The whole terms in which the request exceeds a limit, or exceeds it by more than before.

    `position` is that of the same measure in `case.totals`, without overrides.
    """
    for term in terms(case.added_or_changed):
        limit = limit_of(term)
        if limit is None or case.totals[term.whole][position] <= limit:
            continue
        excess = partial(_excess, case, term, limit, measure)
        if excess(()) and not lifted(case, rule, excess):
            found = excess(case.overrides(rule))
            if found:
                yield found


def _excess(
    case: Case,
    term: Term,
    limit: int,
    measure: Callable[[Held], int],
    overrides: Sequence[Override],
) -> Excess | None:
    """The excess of a limit under these overrides."""
    if overrides:
        after = in_term(case.after.values(), term)
        limit = max([limit, *values(overrides, (one.course for one in after))])
    total = _total(case.after, term, measure, overrides)
    is_worse = total > limit and total > _total(case.before, term, measure, overrides)
    return Excess(term, limit, total) if is_worse else None


def _total(
    held: Mapping[int, Held],
    term: Term,
    measure: Callable[[Held], int],
    overrides: Sequence[Override] = (),
) -> int:
    """The sum for a whole term, without the courses for which overrides lift the limit."""
    return sum(
        measure(one)
        for one in held.values()
        if one.course.term.whole == term.whole
        and not (overrides and is_free(one.course, overrides))
    )
