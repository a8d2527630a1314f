"""The work that no request does: `run` does all of it once. Each piece is safe on several hosts at
once.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import cast

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from course_management.core.errors import Unavailable
from course_management.courses.models import Course, CourseNotFound
from course_management.courses.refusals import CANCELLED
from course_management.courses.service import lock_course
from course_management.db import transaction
from course_management.db.base import now
from course_management.db.integrity import explain, reason
from course_management.enrollments.course_changes import empty_cancelled
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.locks import lock, lock_students
from course_management.enrollments.models import StudentCourse
from course_management.enrollments.recheck_queue import rechecks
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.requests import RulesContext
from course_management.enrollments.waitlist_ends import end_passed, find_passed
from course_management.history.recorder import events
from course_management.students.models import Student, StudentNotFound
from course_management.telemetry.logs import log

_courses = cast(sa.Table, Course.__table__)
_enrollments = cast(sa.Table, StudentCourse.__table__)
_students = cast(sa.Table, Student.__table__)
MAX_RECHECKS = 1000  # read at once


def run() -> dict[str, int]:
    """Do all work that is due. Returns how many of each thing were done, by its name."""
    return {
        "Courses emptied": empty_cancelled_courses(),
        "Reasons cleared": clear_reasons(),
        "Waitlists ended": end_waitlists(),
        "Students judged again": do_rechecks(),
    }


def run_every(seconds: float, parent: int) -> None:
    """Do the work every so many seconds, for as long as this process is a child of `parent`."""
    due = time.monotonic() + seconds
    while os.getppid() == parent:
        if time.monotonic() >= due:
            due = time.monotonic() + seconds
            try:
                done = run()
            except DBAPIError as error:  # the database is down, or too busy
                log.warning("tick failed", extra={"reason": reason(error)})
            else:
                if any(done.values()):
                    log.info("tick", extra={"done": done})
        time.sleep(min(seconds, 1))


def end_waitlists() -> int:
    """End the waitlists whose `add_until` has passed, each in its own transaction. Returns their
    number.
    """
    return sum(map(_end, transaction.read(lambda connection: find_passed(connection, now()))))


def _end(course_id: int) -> bool:
    def work(session: Session, _: None) -> bool:
        found = lock(session, [], [course_id], [course_id], students_locked=True)
        ledger = SeatLedger(session, found)
        ended = end_passed(ledger)
        ledger.write()
        return ended

    return transaction.write(work)


def do_rechecks() -> int:
    """Judge the waitlist places of all students whose recheck is due, each in a transaction of its
    own. Returns the number of these students.

    An error about one student is logged, and their rows stay for the next run. Raises DBAPIError
    if the database is down or too busy.
    """
    count, failed = 0, set[int]()
    while due := transaction.read(lambda connection: _read_due(connection, failed)):
        for student_id, row_ids in due.items():
            try:
                _recheck(student_id, row_ids)
            except Exception as error:
                if isinstance(explain(error), Unavailable):
                    raise
                log.error("recheck failed", exc_info=error, extra={"student_id": student_id})
                failed.add(student_id)
            else:
                count += 1
    return count


def _read_due(connection: Connection, failed: set[int]) -> dict[int, list[int]]:
    """The ids of rows that are due, by student, the oldest first, without those of students whose
    recheck has `failed`.
    """
    wanted = (
        sa.select(rechecks.c.student_id, rechecks.c.id)
        .where(rechecks.c.due_at <= now(), rechecks.c.student_id.not_in(failed))
        .order_by(rechecks.c.due_at, rechecks.c.id)
        .limit(MAX_RECHECKS)
    )
    found = defaultdict(list)
    for student_id, row_id in connection.execute(wanted):
        found[student_id].append(row_id)
    return found


def _recheck(student_id: int, row_ids: list[int]) -> None:
    """Judge the places of a student, and delete the rows that asked for it. Rows that were added
    since they were read stay: what they tell of may be committed after this has read the facts.
    """
    settings = current_app.config["RULES"]

    def work(session: Session, _: None) -> None:
        try:
            lock_students(session, [student_id])
        except StudentNotFound:  # deleted meanwhile
            pass
        else:
            recheck(session, student_id, RulesContext(settings=settings))
        session.execute(sa.delete(rechecks).where(rechecks.c.id.in_(row_ids)))

    transaction.write(work)


def empty_cancelled_courses() -> int:
    """Empty the cancelled courses that still have students, each in its own transaction. Returns
    their number.

    Such a course is left if the service ends between the two transactions of a cancellation.
    """
    left = (
        sa.select(_courses.c.id)
        .where(
            _courses.c.status == CANCELLED,
            sa.exists().where(_enrollments.c.course_id == _courses.c.id),
        )
        .order_by(_courses.c.id)
    )
    course_ids = transaction.read(lambda connection: connection.scalars(left).all())
    return sum(map(_empty, course_ids))


def _empty(course_id: int) -> bool:
    def work(session: Session, _: None) -> bool:
        return any(empty_cancelled(session, lock_course(session, course_id)))

    try:
        return transaction.write(work)
    except CourseNotFound:  # deleted meanwhile
        return False


def clear_reasons() -> int:
    """Clear the reasons of events about students whom an older release deleted. Returns their
    number.
    """
    cleared = (
        sa.update(events)
        .where(
            events.c.reason.is_not(None),
            events.c.student_id.is_not(None),
            ~sa.exists().where(_students.c.id == events.c.student_id),
        )
        .values(reason=None)
    )
    return transaction.write(lambda session, _: session.connection().execute(cleared).rowcount)
