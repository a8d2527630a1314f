"""The end of a waitlist: the `add_until` of its term, or of its part of a term.

Whoever changes such a course in a request first ends its waitlist (`end_passed`), so that nobody is
promoted later. `flask tick` ends the others. Courses without a term, and courses for which nobody
waits, cost no statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from course_management.courses.models import Course
from course_management.enrollments.allocation import Seats
from course_management.enrollments.ledger import SeatLedger
from course_management.enrollments.ledger_statements import IS_WAITLISTED, table
from course_management.enrollments.locks import CourseStates
from course_management.enrollments.models import WAITLISTED
from course_management.terms.models import Term

_courses, _terms = cast(sa.Table, Course.__table__), cast(sa.Table, Term.__table__)
_whole = _terms.alias("whole")
_ADD_UNTIL = sa.func.coalesce(_terms.c.add_until, _whole.c.add_until, type_=_terms.c.add_until.type)
_OF_TERMS = _courses.join(_terms, _terms.c.code == _courses.c.term).outerjoin(
    _whole, _whole.c.id == _terms.c.parent_id
)

Ends = Mapping[int, datetime | None]


def end_passed(
    ledger: SeatLedger, moment: datetime | None = None, ends: Ends | None = None
) -> bool:
    """End the waitlists of the ledger's courses whose end has passed at `moment` (by default, that
    of the ledger). Returns whether there were any.

    `ends` are the ends by course, if the caller has read them; otherwise they are read.
    """
    waiting = _waiting(ledger.courses)
    if not waiting:
        return False
    found = _read_ends(ledger.session.connection(), waiting) if ends is None else ends
    passed = _passed(waiting, found, ledger.moment if moment is None else moment)
    if passed:
        ledger.end_waitlists(passed)
    return bool(passed)


def leave_out_passed(found: CourseStates, moment: datetime, ends: Ends) -> list[int]:
    """Leave the places that `end_passed` will end out of what was read without a lock. Returns the
    ids of their courses.
    """
    passed = _passed(_waiting(found.courses), ends, moment)
    for course_id in passed:
        found.courses[course_id].waitlisted = found.courses[course_id].blocked = 0
    if passed:
        found.states = {
            pair: state
            for pair, state in found.states.items()
            if state != WAITLISTED or pair[1] not in passed
        }
    return passed


def _waiting(courses: Mapping[int, Seats]) -> list[int]:
    return [course.id for course in courses.values() if course.has_term and course.waitlisted]


def _passed(course_ids: list[int], ends: Ends, moment: datetime) -> list[int]:
    return [i for i in course_ids if (until := ends.get(i)) is not None and until <= moment]


def _read_ends(connection: Connection, course_ids: list[int]) -> Ends:
    wanted = sa.select(_courses.c.id, _ADD_UNTIL).select_from(_OF_TERMS)
    rows = connection.execute(wanted.where(_courses.c.id.in_(course_ids)))
    return {row[0]: row[1] for row in rows}


def find_passed(connection: Connection, moment: datetime) -> list[int]:
    """The ids of the courses whose waitlist has students although its end has passed. The cost
    depends on the length of the waitlists only.
    """
    waiting = sa.select(table.c.course_id).where(IS_WAITLISTED)
    wanted = (
        sa.select(_courses.c.id)
        .select_from(_OF_TERMS)
        .where(_courses.c.id.in_(waiting), moment >= _ADD_UNTIL)
        .order_by(_courses.c.id)
    )
    return list(connection.scalars(wanted))
