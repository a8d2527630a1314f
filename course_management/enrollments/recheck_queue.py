"""Queues rechecks of waitlist places: the rows of `waitlist_rechecks`, which `flask tick` works
through.

A change that concerns many students queues them with one INSERT of what a SELECT finds, and locks
none of them. An edit that is committed while a student joins a waitlist may not see the place: the
student then joined before the edit, like somebody who got a seat at that moment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.catalog.models import CatalogEntry, CatalogRelation
from course_management.core import text
from course_management.courses.models import Course
from course_management.db.base import among, now
from course_management.enrollments.ledger_statements import table as _enrollments
from course_management.enrollments.models import WAITLISTED, WaitlistRecheck
from course_management.records.completions.models import Completion
from course_management.terms.models import Term

rechecks = cast(sa.Table, WaitlistRecheck.__table__)
_courses, _terms = cast(sa.Table, Course.__table__), cast(sa.Table, Term.__table__)
_completions = cast(sa.Table, Completion.__table__)
_entries = cast(sa.Table, CatalogEntry.__table__)
_relations = cast(sa.Table, CatalogRelation.__table__)
_place, _held = _enrollments.alias("place"), _enrollments.alias("held")
_of_place, _of_held = _courses.alias("of_place"), _courses.alias("of_held")

# The fields of a course, an entry and a term by which places are judged. Windows and deadlines
# are not among them.
FIELDS_OF_COURSE = (
    *("term", "catalog_code", "component", "credits_min", "credits_max", "meetings", "open_to"),
    "consent",
)
FIELDS_OF_ENTRY = (
    *("code", "prerequisites", "excludes", "same_as", "max_attempts"),
    *("credits_min", "credits_max"),
)
FIELDS_OF_TERM = (
    *("code", "parent", "starts_on", "ends_on", "min_credits", "max_credits", "max_courses"),
)


def values_of(thing: Any, fields: Sequence[str]) -> list[Any]:
    """The values of these fields, to see whether an edit changes one of them."""
    return [getattr(thing, name) for name in fields]


def queue_students(
    session: Session, student_ids: Collection[int], *, only_blocked: bool = False
) -> None:
    """Queue those of these students who wait for a course of a term; with `only_blocked`, those
    with a blocked place.
    """
    if student_ids:
        wanted = among(_place.c.student_id, "students")
        condition = sa.and_(wanted, _place.c.blocked) if only_blocked else wanted
        _queue(session, condition, {"students": sorted(student_ids)})


def queue_course(session: Session, course_id: int) -> None:
    """Queue the waiting students who take this course or wait for it."""
    _queue(session, _have(_held.c.course_id == course_id))


def queue_entry(session: Session, codes: Collection[str]) -> None:
    """Queue the waiting students who have something to do with one of these catalog entries, given
    by their codes: a course or a completion of it, or of an entry that names it.
    """
    keys = sorted({text.key(code) for code in codes})
    naming = sa.select(_relations.c.entry_id).where(_relations.c.code_key.in_(keys))
    concerned = sa.or_(_entries.c.code_key.in_(keys), _entries.c.id.in_(naming))
    has_course = _have(_of_held.c.catalog_code.in_(sa.select(_entries.c.code).where(concerned)))
    done = _completions.c.catalog_key
    of_entry = sa.or_(done.in_(keys), done.in_(sa.select(_entries.c.code_key).where(concerned)))
    has_done = sa.exists().where(_completions.c.student_id == _place.c.student_id, of_entry)
    _queue(session, sa.or_(has_course, has_done))


def queue_term(session: Session, term_id: int) -> None:
    """Queue the waiting students who have a course of this term or of one of its parts."""
    own = sa.or_(_terms.c.id == term_id, _terms.c.parent_id == term_id)
    _queue(session, _have(_of_held.c.term.in_(sa.select(_terms.c.code).where(own))))


def queue_at(session: Session, student_id: int, due_at: datetime | None) -> None:
    """Queue a student at a moment at which something expires, unless that has passed. Also a
    student who does not wait: they may join a waitlist before.
    """
    if due_at is not None and due_at > now():
        session.execute(sa.insert(rechecks).values(student_id=student_id, due_at=due_at))


def _have(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the student has an enrollment in a course that meets the condition."""
    of_course = _held.join(_of_held, _of_held.c.id == _held.c.course_id)
    found = sa.select(1).select_from(of_course)
    return sa.exists(found.where(_held.c.student_id == _place.c.student_id, condition))


def _queue(
    session: Session, concerned: sa.ColumnElement[bool], values: dict[str, Any] | None = None
) -> None:
    """Queue the students with a place in a course of a term, or with a blocked one, whom the
    condition about `_place` selects.
    """
    waiting = (
        sa.select(_place.c.student_id, sa.literal(now(), rechecks.c.due_at.type))
        .select_from(_place.join(_of_place, _of_place.c.id == _place.c.course_id))
        .where(
            _place.c.state == sa.literal_column(f"'{WAITLISTED}'"),
            sa.or_(_of_place.c.term.is_not(None), _place.c.blocked),
            concerned,
        )
        .distinct()
    )
    inserted = sa.insert(rechecks).from_select(["student_id", "due_at"], waiting)
    session.execute(inserted, values or {})
