"""Judges waitlist places again, after a fact about their student has changed.

A place that breaks a rule is blocked: it keeps its ticket, and promotions pass over it. A place
that was blocked and breaks none any more is cleared, and gets a seat at once if one is free.

A promotion locks no student, so it cannot judge. It only looks at `blocked`, under the lock of the
course. So whoever changes a fact blocks the places in the same transaction, under the locks of the
student and then of the courses: docs/decisions/0018-waitlists-under-rules.md.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.courses.models import Course
from course_management.db.prepared_statements import Statement, send
from course_management.enrollments.facts_reader import Facts, read_facts
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.ledger_statements import IS_WAITLISTED, table
from course_management.enrollments.locks import lock
from course_management.enrollments.recheck_queue import queue_at
from course_management.enrollments.requests import RulesContext
from course_management.enrollments.waitlist_ends import end_passed
from course_management.history.models import EventType
from course_management.history.recorder import record
from course_management.rules import evaluator
from course_management.rules.facts import Judgement, Student

_PLACES = Statement(
    "places_of_student",
    sa.select(table.c.course_id, table.c.blocked)
    .join(Course, Course.id == table.c.course_id)
    .where(
        table.c.student_id == sa.bindparam("student", type_=sa.BigInteger),
        IS_WAITLISTED,
        sa.or_(Course.term.is_not(None), table.c.blocked),
    )
    .order_by(table.c.course_id),
)


def recheck(
    session: Session,
    student_id: int,
    context: RulesContext,
    *,
    again_at: datetime | None = None,
) -> int:
    """Judge the places of a student, whom the caller has locked, on waitlists of courses of terms.
    Returns the number of places that were blocked or cleared.

    `again_at` is when the changed fact expires: `flask tick` then judges the places again. Sends
    one statement if the student has no such place, and always the same number otherwise.
    """
    queue_at(session, student_id, again_at)
    connection = session.connection()
    course_ids = [row[0] for row in send(connection, (_PLACES, {"student": student_id}))]
    if not course_ids:
        return 0
    found = lock(session, [student_id], course_ids, course_ids, students_locked=True)
    ledger = SeatLedger(session, found)
    facts = read_facts(connection, [student_id], found.term_versions)
    ends = {course.id: course.term.add_until for course in facts.courses.values()}
    end_passed(ledger, context.moment, ends)
    # Read again: a place may have been promoted or blocked while this request waited.
    places = list(send(connection, (_PLACES, {"student": student_id})))
    was_blocked = {i: bool(blocked) for i, blocked in places if i in found.courses}
    student = _without_ended(facts, student_id, {course_id for course_id, _ in places})
    judged = {i: judge_place(student, i, context) for i in was_blocked}
    changed = {
        i: judgement for i, judgement in judged.items() if bool(judgement.broken) != was_blocked[i]
    }
    if changed:
        ledger.set_blocked(student_id, {i: _codes(one) for i, one in changed.items()})
        ledger.promote()
    ledger.write()
    used = {one for judgement in changed.values() for one in judgement.overrides_used}
    _record_uses(session, student, used)
    return len(changed)


def judge_place(student: Student, course_id: int, context: RulesContext) -> Judgement:
    """What the rules say about a waitlist place: about the set of courses with it, as if it were
    asked for now. Windows and deadlines are not judged. A course without a term has no rules.
    """
    if course_id not in student.before:
        return Judgement()
    others = {i: held for i, held in student.before.items() if i != course_id}
    return evaluator.judge(
        [student._replace(before=others, after=student.before)],
        moment=context.moment,
        settings=context.settings,
        rules=evaluator.WAITLIST_RULES,
    )


def _without_ended(facts: Facts, student_id: int, places: Container[int]) -> Student:
    """The student without the places that ended after the facts were read."""
    student = facts.students[student_id]
    kept = {i: held for i, held in student.before.items() if held.is_seat or i in places}
    return student._replace(before=kept)


def _codes(judgement: Judgement) -> Sequence[str]:
    return list(dict.fromkeys(finding.rule for finding in judgement.broken))


def _record_uses(session: Session, student: Student, used: set[int]) -> None:
    """Record the overrides without which a cleared place would still be blocked."""
    for override in student.overrides:
        if override.id in used:
            data = {"override_id": override.id, "rule": override.rule}
            record(session, EventType.OVERRIDE_USED, student_id=student.id, data=data)
