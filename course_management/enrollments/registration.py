"""Applies the rules of registration (the package `rules`) to requests. Courses without a term have
no rules, and requests without a course of a term read no facts.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import Invalid
from course_management.courses.refusals import (
    CourseClosed,
    CourseFull,
    Refusal,
    WaitlistFull,
)
from course_management.enrollments.allocation import Allocation, Pair, refusal
from course_management.enrollments.facts_reader import Facts, read_facts
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.locks import CourseStates
from course_management.enrollments.models import ENROLLED, WAITLISTED
from course_management.enrollments.recheck_queue import queue_students
from course_management.enrollments.refusals import RulesBroken, render_finding
from course_management.enrollments.requests import RuledRequest
from course_management.enrollments.waitlist_ends import end_passed, leave_out_passed
from course_management.history.models import SKIPPED, EventType
from course_management.history.recorder import record
from course_management.records.completions.models import Completion
from course_management.records.completions.service import insert_completions, record_completions
from course_management.rules import evaluator
from course_management.rules.case import covers
from course_management.rules.facts import WITHDRAWN, Course, Finding, Held, Judgement, Student

SEAT_RULES = frozenset({CourseClosed.code, CourseFull.code, WaitlistFull.code})


@dataclass(slots=True)
class Case:
    """A request about courses of terms, and the facts about it. After `judge`, the `students` have
    the sets of courses that they would have, `wanted` has the courses of the request and whether
    they get a seat, by student, and `used` has the overrides about seats and status without which
    they would not.
    """

    facts: Facts
    request: RuledRequest
    students: list[Student] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    wanted: Mapping[int, Mapping[int, bool]] = field(default_factory=dict)
    lifted: dict[tuple[Pair, str], int] | None = None  # see the function of this name


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, and what it was made from: facts, and the sets that a request adds and drops."""

    facts: Facts
    sets: Any
    students: list[Student]
    judgement: Judgement


def read_case(
    connection: Connection,
    found: CourseStates,
    student_ids: Sequence[int],
    request: RuledRequest,
) -> Case | None:
    """The case of a request about the courses of `found`; None if none of them belongs to a term.

    Raises Invalid for credits that a course does not allow.
    """
    versions = found.term_versions
    if not versions and not request.credits:
        return None
    facts = request.facts = read_facts(
        connection, student_ids, versions, request.facts, found.facts
    )
    _check_credits(facts, request.credits)
    return Case(facts, request)


def seat_overrides(
    students: Iterable[Student], courses: Collection[Course], moment: datetime
) -> dict[tuple[Pair, str], int]:
    """The ids of the overrides about seats and status that are in force, by the pair of a student
    and a course that they are for, and by the code that they lift.
    """
    return {
        ((student.id, course.id), one.rule): one.id
        for student in students
        if student.overrides
        for one in student.overrides
        if one.rule in SEAT_RULES and (one.expires_at is None or moment < one.expires_at)
        for course in courses
        if covers(one, course)
    }


def end_waitlists(ledger: SeatLedger, case: Case | None) -> None:
    """End the waitlists of the courses of the request whose `add_until` has passed. The case is
    then one of students without these places.
    """
    if case is None:
        return
    if not end_passed(ledger, case.request.context.moment, _ends(case, ledger.courses)):
        return
    _forget_places(case, ledger.courses, ledger.states)


def forget_ended(found: CourseStates, case: Case | None) -> None:
    """Leave the places that `end_waitlists` will end out of what was read without a lock."""
    if case is not None:
        ends = _ends(case, found.courses)
        if ended := leave_out_passed(found, case.request.context.moment, ends):
            _forget_places(case, ended, found.states)


def _ends(case: Case, course_ids: Iterable[int]) -> dict[int, datetime | None]:
    """The ends of the waitlists of these courses, which the request locks."""
    return {i: one.term.add_until for i in course_ids if (one := case.facts.courses.get(i))}


def _forget_places(case: Case, course_ids: Container[int], states: Container[Pair]) -> None:
    """Leave out the places in these courses that are not in `states`."""

    def remains(student_id: int, course_id: int, held: Held) -> bool:
        untouched = held.is_seat or course_id not in course_ids
        return untouched or (student_id, course_id) in states

    students = {
        student.id: student._replace(
            before={i: one for i, one in student.before.items() if remains(student.id, i, one)},
        )
        for student in case.facts.students.values()
    }
    # A copy: a repetition of the request begins with the facts as they were read.
    case.facts = replace(case.facts, students=students)


def lifted(case: Case | None) -> dict[tuple[Pair, str], int]:
    """The refusals about seats and status that overrides lift in this case."""
    if case is None:
        return {}
    if case.lifted is None:
        facts, moment = case.facts, case.request.context.moment
        case.lifted = seat_overrides(facts.students.values(), facts.courses.values(), moment)
    return case.lifted


def judge(
    case: Case | None,
    allocation: Allocation,
    refusals: Sequence[Refusal],
    dropped: Collection[Pair] = (),
) -> Judgement:
    """What the rules say about the sets of courses that the students would have.

    A pair that gets no seat is judged as if it did. Raises RulesBroken with all broken rules, those
    of `refusals` among them, or the error of `refusals` if no other rule is broken.
    """
    judgement = _judge(case, allocation, dropped) if case else Judgement()
    if case:
        case.used = {lifted(case)[one] for one in allocation.lifted}
    if judgement.broken:
        raise RulesBroken(judgement.broken, refusals)
    if refusals:
        raise refusal(refusals)
    return judgement


def _judge(case: Case, allocation: Allocation, dropped: Collection[Pair]) -> Judgement:
    wanted: dict[int, dict[int, bool]] = {}
    seated = (allocation.added, allocation.already_enrolled, allocation.refused)
    for pairs, is_seat in (*((pairs, True) for pairs in seated), (allocation.waitlisted, False)):
        for student_id, course_id in pairs:
            if course_id in case.facts.courses:
                wanted.setdefault(student_id, {})[course_id] = is_seat
    case.wanted, gone = wanted, set(dropped)
    # Most requests are judged twice, and nothing has changed since the first time.
    same = wanted, gone
    judged: Judged | None = case.request.judged
    if judged and judged.facts is case.facts and judged.sets == same:
        case.students = judged.students
        return judged.judgement
    case.students = [
        student.with_after(_after(case, student, gone)) for student in case.facts.students.values()
    ]
    context, judgement = case.request.context, Judgement()
    if not context.skip:
        judgement = evaluator.judge(case.students, moment=context.moment, settings=context.settings)
    case.request.judged = Judged(case.facts, same, case.students, judgement)
    return judgement


def _after(case: Case, student: Student, dropped: Collection[Pair]) -> dict[int, Held]:
    """The set of courses that a student would have."""
    after = dict(student.before)
    if dropped:
        after = {i: held for i, held in after.items() if (student.id, i) not in dropped}
    for course_id, is_seat in case.wanted.get(student.id, {}).items():
        course, before = case.facts.courses[course_id], after.get(course_id)
        default = before.credits if before else course.credits_min
        after[course_id] = Held(course, is_seat, case.request.credits.get(course_id, default))
    return after


def write(ledger: SeatLedger, case: Case | None, judgement: Judgement) -> None:
    """Write the changes of the ledger, with the credits of new enrollments, the withdrawals, and
    the uses of overrides.
    """
    if case is None:
        ledger.write()
        return
    for student in case.students:
        for course_id in case.wanted.get(student.id, ()):
            pair, before = (student.id, course_id), student.before.get(course_id)
            held = student.after[course_id]
            if before is None:
                ledger.credits[pair] = held.credits
            elif before.credits != held.credits:
                ledger.set_credits(pair, ENROLLED if held.is_seat else WAITLISTED, held.credits)
    _queue_rechecks(ledger.session, case)
    withdrawn = _withdrawn(case, judgement)
    if withdrawn:
        insert_completions(ledger.session, withdrawn.values())
        ledger.annotate({pair: {"withdrawn": one.id} for pair, one in withdrawn.items()})
    if case.request.context.skip:
        ledger.annotate(_skipped(case.students))
    ledger.write()
    record_completions(ledger.session, withdrawn.values())
    used = {*judgement.overrides_used, *case.used}
    for student in case.students if used else ():
        for override in student.overrides:
            if override.id in used:
                data = {"override_id": override.id, "rule": override.rule}
                record(ledger.session, EventType.OVERRIDE_USED, student_id=student.id, data=data)


def _skipped(students: Iterable[Student]) -> dict[Pair, dict[str, str]]:
    """The data of the events that were written without judging their request."""
    return {
        (student.id, course_id): {"rules": SKIPPED}
        for student in students
        for course_id in {*student.before, *student.after}
    }


def _queue_rechecks(session: Session, case: Case) -> None:
    """Let `tick` judge the places that the students keep. Who drops a course may clear or break
    them. Who adds one can only clear them: the rules have judged the whole set.
    """
    dropped: list[int] = []
    added: list[int] = []
    for student in case.students:
        waiting = {i for i, held in student.before.items() if not held.is_seat}
        if waiting & student.after.keys() and student.before != student.after:
            drops = student.before.keys() - student.after.keys()
            (dropped if drops else added).append(student.id)
    queue_students(session, dropped)
    queue_students(session, added, only_blocked=not case.request.context.skip)


def _withdrawn(case: Case, judgement: Judgement) -> dict[Pair, Completion]:
    """The completions of the drops that are withdrawals, from courses of catalog entries."""
    facts = case.facts
    return {
        (student_id, course_id): Completion(
            student_id=student_id,
            kind=WITHDRAWN,
            catalog_code=entry.shown,
            credits=facts.students[student_id].before[course_id].credits,
            term=course.term.whole_shown,
        )
        for student_id, course_id in judgement.withdrawals
        if (course := facts.courses[course_id]) and (entry := course.entry)
    }


def shown(warnings: Sequence[Finding]) -> list[dict[str, Any]] | None:
    """The warnings of a response; None if there are none."""
    return [render_finding(one) for one in warnings] or None


def _check_credits(facts: Facts, credits: Mapping[int, int]) -> None:  # noqa: A002
    faults = []
    for course_id, chosen in credits.items():
        course = facts.courses.get(course_id)
        if course is None:
            faults.append(f"Course {course_id} belongs to no term, so it has no credits.")
        elif not course.credits_min <= chosen <= course.credits_max:
            least, most = course.credits_min / 100, course.credits_max / 100
            faults.append(f"Course {course_id} has {least:g} to {most:g} credits.")
    if faults:
        raise Invalid([{"pointer": "", "detail": detail} for detail in faults])
