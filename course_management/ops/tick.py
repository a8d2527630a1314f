"""Finishes what an interrupted request or an older release left."""

from __future__ import annotations

from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.courses.models import Course, CourseNotFound
from course_management.courses.refusals import CANCELLED
from course_management.courses.service import lock_course
from course_management.db import transaction
from course_management.enrollments.course_changes import empty_cancelled
from course_management.enrollments.models import StudentCourse
from course_management.history.recorder import events
from course_management.students.models import Student

_courses = cast(sa.Table, Course.__table__)
_enrollments = cast(sa.Table, StudentCourse.__table__)
_students = cast(sa.Table, Student.__table__)


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
