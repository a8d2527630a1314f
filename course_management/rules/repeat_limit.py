"""`repeat-limit`: more attempts at a catalog entry than it allows.

Facts: `max_attempts` of the entry, the completions (withdrawals and courses in progress too), the
set as it is and as it would be. All attempts in one whole term are one, so a lecture and its lab
are one attempt, and so is a course that the student adds again in the term in which they withdrew
from it. A completion without a term is an attempt of its own. Remedy: the attempts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from course_management.rules.case import ADD, Case, Rule, Screen, are_same, covers
from course_management.rules.facts import Course, Entry, Finding, Held, Settings
from course_management.rules.record import may_have
from course_management.rules.requirements import key
from course_management.rules.wording import label, listed

CODE = "repeat-limit"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each new course that is one attempt too many."""
    for held in case.added:
        course, entry = held.course, held.course.entry
        if entry is None or entry.max_attempts is None:
            continue
        possible = len(case.record.attempts(entry))
        for one in case.after.values():
            if one.course.entry is not None and are_same(one.course.entry, entry):
                possible += 1
        if possible <= entry.max_attempts:  # even if each of them is an attempt of its own
            continue
        done, unknown = _done(case, entry)
        before = done | _terms(case.before.values(), entry)
        after = done | _terms(case.after.values(), entry)
        attempts = len(after) + unknown
        is_new = course.term.whole_code not in before
        limit = entry.max_attempts
        if not is_new or attempts <= limit or _lifted(case, course, attempts):
            continue
        others = sorted(after - {course.term.whole_code})
        named = [*others, *(["a term that is not recorded"] * min(unknown, 1))]
        yield case.finding(
            CODE,
            course,
            f"{label(course, start=True)} would be attempt {attempts}, and {limit} are allowed.",
            f"The other attempts were in: {listed(named, 'and')}. Ask the registrar."
            if named
            else "The course takes no students. Ask the registrar.",
            terms=others,
            attempts=attempts,
            limit=limit,
        )


def _lifted(case: Case, course: Course, attempts: int) -> bool:
    """Whether an override lifts the limit: one without `value`, or with a large enough one."""
    for one in case.overrides(CODE):
        if covers(one, course) and (one.value is None or attempts <= one.value):
            case.use([one])
            return True
    return False


def _done(case: Case, entry: Entry) -> tuple[set[str], int]:
    """The whole terms of the completions of an entry, and how many of them have no term."""
    terms = [one.term and key(one.term) for one in case.record.attempts(entry)]
    if not terms:
        return set(), 0
    wholes = {
        held.course.term.code: held.course.term.whole_code
        for enrollments in (case.before, case.after)
        for held in enrollments.values()
    }
    return {wholes.get(term, term) for term in terms if term is not None}, terms.count(None)


def _terms(held: Iterable[Held], entry: Entry) -> set[str]:
    """The whole terms in which a set has an entry, or one that is the same."""
    return {
        one.course.term.whole_code
        for one in held
        if one.course.entry is not None and are_same(one.course.entry, entry)
    }


def screen(course: Course, moment: datetime, settings: Settings) -> Screen:
    """Whether a student may have completions of the entry, or of one that is the same."""
    entry = course.entry
    if entry is None or not entry.max_attempts:
        return lambda student: True
    codes = (entry.code, *entry.same_as)
    return lambda student: may_have(student.completions, codes)


def _are_attempts(course: Course, other: Course) -> bool:
    one, another = course.entry, other.entry
    return one is not None and another is not None and are_same(one, another)


RULE = Rule(
    CODE,
    frozenset({ADD}),
    judge,
    lambda course: course.entry and course.entry.max_attempts is not None,
    screen,
    _are_attempts,
)
