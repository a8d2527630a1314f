"""Judges requests by all rules, on the set of courses as it would be afterwards.

A new rule is a module and a line in RULES. The rules about seats and status (`course-full`,
`waitlist-full`, `course-closed`, `course-cancelled`) are in `enrollments/allocation.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from course_management.rules import (
    add_deadline_passed,
    already_taking,
    consent_required,
    corequisite_missing,
    courses_exceeded,
    credits_below_minimum,
    credits_exceeded,
    drop_deadline_passed,
    excluded_by,
    hold,
    prerequisite_missing,
    registration_not_open,
    repeat_limit,
    required_by,
    restricted,
    time_conflict,
)
from course_management.rules.case import ADD, Case, Rule
from course_management.rules.facts import Course, Finding, Held, Judgement, Settings, Student
from course_management.rules.record import Record
from course_management.rules.screens import doubtful

# Findings are listed in this order.
RULES: tuple[Rule, ...] = (
    registration_not_open.RULE,
    hold.RULE,
    add_deadline_passed.RULE,
    drop_deadline_passed.RULE,
    prerequisite_missing.RULE,
    corequisite_missing.RULE,
    required_by.RULE,
    excluded_by.RULE,
    already_taking.RULE,
    time_conflict.RULE,
    credits_exceeded.RULE,
    courses_exceeded.RULE,
    credits_below_minimum.RULE,
    restricted.RULE,
    consent_required.RULE,
    repeat_limit.RULE,
)
CODES = tuple(rule.code for rule in RULES)
# The rules by which a waitlist position is judged again: those without windows and deadlines.
WAITLIST_RULES = tuple(
    rule
    for rule in RULES
    if rule.code not in (registration_not_open.CODE, add_deadline_passed.CODE)
)
# The rules that say what is wrong with a set of courses, whenever it was chosen: those for adds
# without windows, deadlines and holds.
SET_RULES = tuple(
    rule
    for rule in WAITLIST_RULES
    if ADD in rule.acts and rule.code not in (hold.CODE, credits_below_minimum.CODE)
)
_ADD_RULES = tuple(rule for rule in RULES if ADD in rule.acts)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rule, and whether adding a course meets it.

    `findings` say why not, and `warnings` what is not certain. `overrides` are the ids of the
    overrides without which the rule would not be met.
    """

    rule: str
    met: bool
    findings: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    overrides: tuple[int, ...] = ()


def judge(
    students: Sequence[Student],
    *,
    moment: datetime,
    settings: Settings,
    rules: Sequence[Rule] = RULES,
) -> Judgement:
    """What the rules say about the requests of some students at an aware `moment`.

    To judge a waitlist position again, pass the set without it as `before`, the set with it as
    `after`, and WAITLIST_RULES.

    Faults that stood before and are not made worse are left out. Findings are in the order of the
    students, then of RULES, then of the ids of the courses.
    """
    # In one zone, Python compares local times. UTC compares moments.
    moment = moment.astimezone(UTC)
    judgement = Judgement()
    for student in doubtful(students, rules, moment, settings):
        case = Case(student, student.after, moment, settings)
        if not case.acts:
            continue
        for judge_case in _judges(rules, case):
            judgement.broken += judge_case(case)
        judgement.warnings += case.warnings
        judgement.withdrawals += [(student.id, course_id) for course_id in case.withdrawals]
        judgement.overrides_used += case.used
    return judgement


def _judges(rules: Sequence[Rule], case: Case) -> Sequence[Callable[[Case], Iterator[Finding]]]:
    """The functions of those rules that the request may break. Most requests add one course, which
    remembers them.
    """
    if len(case.added) != 1 or rules is not RULES:
        added = [held.course for held in case.added]
        return [rule.judge for rule in rules if _may_break(rule, case.acts, added)]
    course = case.added[0].course
    if case.acts not in course.concerned:
        found = [rule.judge for rule in rules if _may_break(rule, case.acts, [course])]
        course.concerned[case.acts] = found
    judges: Sequence[Callable[[Case], Iterator[Finding]]] = course.concerned[case.acts]
    return judges


def _may_break(rule: Rule, acts: frozenset[str], added: Sequence[Course]) -> bool:
    """Whether a request with these acts, which adds these courses, may break a rule."""
    judged = acts & rule.acts
    return bool(judged - {ADD}) or (ADD in judged and any(map(rule.concerns, added)))


def judge_set(
    student: Student, held: Mapping[int, Held], *, moment: datetime, settings: Settings
) -> Judgement:
    """What is wrong with a set of courses of a student, by SET_RULES: as if they added all of them
    at the aware `moment`.
    """
    added = student._replace(before={}, after=held)
    return judge([added], moment=moment, settings=settings, rules=SET_RULES)


def explain(
    student: Student,
    course: Course,
    *,
    moment: datetime,
    settings: Settings,
    chosen_credits: int | None = None,
) -> tuple[Explanation, ...]:
    """How each rule for adds judges a student who adds a course to their set `before`.

    `chosen_credits` is in hundredths; the default is the least that the course allows. A course
    that the student has already meets all rules.
    """
    held = Held(course, True, course.credits_min if chosen_credits is None else chosen_credits)
    record = Record(student.completions, settings.grades)
    return _explain(student, held, moment.astimezone(UTC), settings, record)


def explain_place(
    student: Student, course: Course, *, moment: datetime, settings: Settings
) -> tuple[Explanation, ...]:
    """How each rule for adds judges a waitlist position of the student again: see `judge`. The
    rules that are not judged again count as met.
    """
    others = {i: held for i, held in student.before.items() if i != course.id}
    waiting = student._replace(before=others)
    record = Record(student.completions, settings.grades)
    held = student.before[course.id]
    found = _explain(waiting, held, moment.astimezone(UTC), settings, record)
    return tuple(
        one if rule in WAITLIST_RULES else _MET[rule.code]
        for rule, one in zip(_ADD_RULES, found, strict=True)
    )


def explain_each(
    student: Student, courses: Iterable[Course], *, moment: datetime, settings: Settings
) -> Iterator[tuple[Course, tuple[Explanation, ...]]]:
    """Each course with what `explain` says about adding it alone."""
    moment = moment.astimezone(UTC)
    record = Record(student.completions, settings.grades)
    for course in courses:
        held = Held(course, True, course.credits_min)
        yield course, _explain(student, held, moment, settings, record)


def eligible(
    student: Student, courses: Iterable[Course], *, moment: datetime, settings: Settings
) -> Iterator[Course]:
    """Those courses that the student may add alone: `explain` says that each rule is met. This is
    faster, since one broken rule is enough to leave a course out.
    """
    moment = moment.astimezone(UTC)
    record = Record(student.completions, settings.grades)
    for course in courses:
        case = _case(student, Held(course, True, course.credits_min), moment, settings, record)
        if not any(True for judge_case in _judges(RULES, case) for _ in judge_case(case)):
            yield course


def _case(
    student: Student, held: Held, moment: datetime, settings: Settings, record: Record
) -> Case:
    """A request that adds one course. A course that the student has stays as it is."""
    after = {held.course.id: held, **student.before}
    return Case(student, after, moment, settings, record)


def _explain(
    student: Student, held: Held, moment: datetime, settings: Settings, record: Record
) -> tuple[Explanation, ...]:
    case = _case(student, held, moment, settings, record)
    return tuple(_explain_rule(rule, case) for rule in _ADD_RULES)


def _explain_rule(rule: Rule, case: Case) -> Explanation:
    if ADD not in case.acts:
        return _MET[rule.code]
    case.warnings, case.used = [], []
    findings = tuple(rule.judge(case))
    if not findings and not case.warnings and not case.used:
        return _MET[rule.code]
    return Explanation(rule.code, not findings, findings, tuple(case.warnings), tuple(case.used))


_MET = {rule.code: Explanation(rule.code, met=True) for rule in _ADD_RULES}
