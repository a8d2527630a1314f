"""`drop-deadline-passed`: a drop that is too late even for a withdrawal.

Facts: `drop_until` and `withdraw_until` of the course's term or part of term, the moment. A drop
from `drop_until` until before `withdraw_until` is a withdrawal. With an override, it is a drop.
Remedy: the way that is still open.
"""

from __future__ import annotations

from collections.abc import Iterator

from course_management.rules.case import DROP, Case, Rule
from course_management.rules.facts import Finding
from course_management.rules.wording import iso, label, spoken

CODE = "drop-deadline-passed"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each seat that the student drops too late. Withdrawals are noted in `case`."""
    for held in case.dropped:
        course, term = held.course, held.course.term
        if term.drop_until is None or case.moment < term.drop_until:
            continue
        if case.lifted(CODE, course):
            continue
        if term.withdraw_until is not None and case.moment < term.withdraw_until:
            case.withdrawals.append(course.id)
            continue
        last = term.withdraw_until or term.drop_until
        act = "drop" if term.withdraw_until is None else "withdraw from"
        yield case.finding(
            CODE,
            course,
            f"The deadline to {act} {label(course)} was {spoken(last)}.",
            "Stay in the course, or ask the registrar for an override.",
            term=term.label,
            drop_until=iso(term.drop_until),
            withdraw_until=iso(term.withdraw_until),
        )


RULE = Rule(CODE, frozenset({DROP}), judge)
