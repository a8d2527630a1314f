"""`hold`: a hold blocks adding or dropping.

Facts: the holds of the student that are not released, the moment. Remedy: who releases the hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from course_management.rules.case import ADD, CHANGE, DROP, Case, Rule
from course_management.rules.facts import Course, Finding, Hold
from course_management.rules.wording import iso, label, listed

CODE = "hold"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each hold that blocks an act of the request."""
    for hold in case.student.holds:
        if hold.until is not None and case.moment >= hold.until:
            continue
        courses = [course for course in _blocked(hold, case) if not case.lifted(CODE, course)]
        if courses:
            names = listed([label(course) for course in courses], "and")
            yield case.finding(
                CODE,
                None,
                f"The hold “{hold.code}” blocks this request for {names}: {hold.detail}",
                f"{hold.contact or 'The registrar'} can release the hold.",
                hold=hold.id,
                code=hold.code,
                contact=hold.contact,
                until=iso(hold.until),
                course_ids=[course.id for course in courses],
            )


def without_details(finding: Finding) -> Finding:
    """A finding of this rule for readers who may not see holds."""
    return replace(
        finding,
        detail="A hold blocks this request.",
        remedy="The student can see their holds, and who releases them.",
        facts={name: finding.facts[name] for name in ("moment", "course_ids")},
    )


def _blocked(hold: Hold, case: Case) -> Iterator[Course]:
    """The courses of the acts that a hold blocks. A change of credits is an add."""
    if "add" in hold.blocks:
        yield from (held.course for held in case.added_or_changed)
    if "drop" in hold.blocks:
        yield from (held.course for held in case.dropped)


RULE = Rule(
    CODE,
    frozenset({ADD, CHANGE, DROP}),
    judge,
    screen=lambda *facts: lambda student: student.holds,
)
