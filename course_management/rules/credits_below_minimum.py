"""`credits-below-minimum`: a drop after `add_until` that leaves fewer credits than the minimum.

Facts: `min_credits` of the whole term, `add_until` of the dropped course's part, the credits of the
set as it is and as it would be, waitlist positions included. Fewer credits for a course that stays
are judged as a drop. Remedy: the registrar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from course_management.rules.case import CHANGE, DROP, Case, Rule
from course_management.rules.facts import Course, Finding, Held, Override, Term
from course_management.rules.limits import in_term, is_free, lifted, terms, values
from course_management.rules.wording import counted, number

CODE = "credits-below-minimum"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each whole term with too few credits."""
    late = _late(case)
    for term in terms(late):
        if term.min_credits is None:
            continue
        courses = [held.course for held in in_term(late, term)]
        is_below = partial(_is_below, case, term, term.min_credits, courses)
        if not is_below(()) or lifted(case, CODE, is_below):
            continue
        total, least = number(_total(case.after.values(), term)), number(term.min_credits)
        yield case.finding(
            CODE,
            None,
            f"The student would have {counted(total, 'credit')} in the term {term.whole_label}, "
            f"and the minimum is {least}.",
            "Ask the registrar for an override.",
            term=term.whole_label,
            credits=total,
            limit=least,
            course_ids=[course.id for course in courses],
        )


def _late(case: Case) -> list[Held]:
    """The seats that the request drops, and the courses whose credits it lowers, after the
    `add_until` of each.
    """
    lowered = [after for before, after in case.changed if after.credits < before.credits]
    return [
        held
        for held in (*case.dropped, *lowered)
        if (until := held.course.term.add_until) is not None and case.moment >= until
    ]


def _is_below(
    case: Case, term: Term, least: int, late: Sequence[Course], overrides: Sequence[Override]
) -> bool:
    """Whether late drops leave too few credits under these overrides."""
    least = min([least, *values(overrides, late)])
    after, before = (_total(held.values(), term) for held in (case.after, case.before))
    return after < least and after < before and any(not is_free(c, overrides) for c in late)


def _total(held: Iterable[Held], term: Term) -> int:
    return sum(one.credits for one in in_term(held, term))


RULE = Rule(CODE, frozenset({DROP, CHANGE}), judge)
