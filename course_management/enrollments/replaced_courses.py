"""Which courses a replacement of a student's set drops. A set is that of a whole term, or the
courses without a term: a request about one term leaves the other terms alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.core import text
from course_management.core.errors import Invalid
from course_management.courses.models import Course
from course_management.enrollments.ledger_statements import table
from course_management.enrollments.requests import EnrollmentRequest
from course_management.terms.models import Term, TermNotFound

_courses, _terms = cast(sa.Table, Course.__table__), cast(sa.Table, Term.__table__)
_WHOLE = sa.func.coalesce(_terms.c.parent_id, _terms.c.id).label("whole")


def find_replaced(session: Session, student_id: int, request: EnrollmentRequest) -> list[int]:
    """The courses of a locked student that the request drops, in the order of their ids.

    With `term`, these are the other courses of that whole term. Without, they are the other courses
    without a term, and those of the whole terms of the courses that the request names. Raises
    TermNotFound, and Invalid for a named course that is not of `term`.
    """
    taken = (
        sa.select(_courses.c.id, _courses.c.term)
        .join(_courses, _courses.c.id == table.c.course_id)
        .where(table.c.student_id == student_id)
        .order_by(table.c.course_id)
    )
    held = {row.id: row.term for row in session.execute(taken)}
    others = [course_id for course_id in held if course_id not in set(request.course_ids)]
    if request.term is None and not any(held.values()):
        return others
    wholes = _wholes(session, [*held, *request.course_ids])
    if request.term is None:
        scope: Collection[int | None] = {wholes.get(i) for i in request.course_ids} | {None}
    else:
        scope = {_find_whole(session, request.term)}
        _require_term(request.course_ids, wholes, scope)
    return [course_id for course_id in others if wholes.get(course_id) in scope]


def _wholes(session: Session, course_ids: Sequence[int]) -> dict[int, int]:
    """The id of the whole term of each course that belongs to one."""
    wanted = (
        sa.select(_courses.c.id, _WHOLE)
        .join(_terms, _terms.c.code == _courses.c.term)
        .where(_courses.c.id.in_(course_ids))
    )
    return {row.id: row.whole for row in session.execute(wanted)}


def _find_whole(session: Session, code: str) -> int:
    found = session.scalar(sa.select(_WHOLE).where(_terms.c.code_key == text.key(code)))
    if found is None:
        raise TermNotFound(missing=[code])
    return int(found)


def _require_term(
    course_ids: Sequence[int], wholes: dict[int, int], scope: Collection[int | None]
) -> None:
    faults = [
        {"pointer": f"/course_ids/{i}", "detail": "Must be a course of the term."}
        for i, course_id in enumerate(course_ids)
        if wholes.get(course_id) not in scope
    ]
    if faults:
        raise Invalid(faults)
