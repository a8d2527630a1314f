"""Reads of enrollments: a student's courses, a course's roster, and the history of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, cast

import sqlalchemy as sa

from course_management.courses import queries as courses
from course_management.courses.models import Course
from course_management.db.base import Reader, among, as_number, connection_of
from course_management.db.keyset import Condition, Listing, Page
from course_management.db.prepared_statements import Statement, send
from course_management.enrollments.ledger_statements import IS_WAITLISTED, table
from course_management.enrollments.models import WAITLISTED, EnrollmentNotFound
from course_management.enrollments.requests import CourseSet
from course_management.history.models import EventType
from course_management.history.recorder import events as _events
from course_management.students import queries as students
from course_management.students.models import Student

_shown: dict[str, sa.ColumnElement[Any]] = {
    name: table.c[name] for name in ("enrolled_at", "state")
}
_filters: dict[str, Condition] = {"state": lambda value: table.c.state == value}


def _add_credits(items: list[dict[str, Any]], rows: Sequence[Any]) -> None:
    """Add the credits to the items of a page. They are in the last column but one of a row."""
    if any(number is not None for number in map(itemgetter(-2), rows)):
        for item, row in zip(items, rows, strict=False):
            if row[-2] is not None:
                item["credits"] = as_number(row[-2])


COURSES_OF_STUDENT = Listing(
    "courses of a student",
    courses.COLUMNS | _shown,
    table.join(Course.__table__),
    courses.SORTS | {"id": table.c.course_id},
    courses.FILTERS | _filters | {"student_id": lambda value: table.c.student_id == value},
    frozenset({"student_id"}),
    more=(courses.term_column(table.c.credits),),
    finish=courses.add_term_fields,
)
ROSTER = Listing(
    "students of a course",
    students.COLUMNS | _shown,
    table.join(Student.__table__),
    students.SORTS | {"id": table.c.student_id},
    students.FILTERS | _filters | {"course_id": lambda value: table.c.course_id == value},
    frozenset({"course_id"}),
    more=(table.c.credits,),
    finish=_add_credits,
)

_courses = cast(sa.Table, Course.__table__)


def _add_rules(items: list[dict[str, Any]], rows: Sequence[Any]) -> None:
    """Say which events of a page skipped the rules. Their data is in the last column but one."""
    for item, row in zip(items, rows, strict=False):
        if row[-2] and "rules" in row[-2]:
            item["rules"] = row[-2]["rules"]


HISTORY = Listing(
    "history",
    {
        **{name: _events.c[name] for name in ("id", "at", "student_id", "course_id")},
        "from": _events.c.from_state,
        "to": _events.c.to_state,
        **{name: _events.c[name] for name in ("why", "reason", "ticket", "request_id", "actor")},
        "course_name": _courses.c.name,
    },
    _events.outerjoin(_courses, _courses.c.id == _events.c.course_id),
    {"id": _events.c.id},
    {
        "student_id": lambda value: _events.c.student_id == value,
        "course_id": lambda value: _events.c.course_id == value,
        "type": lambda value: _events.c.type == value,
    },
    frozenset({"student_id", "course_id", "type"}),
    more=(_events.c.data,),
    finish=_add_rules,
)


# The positions on waitlists. A student is on few waitlists, so one count per course finds their
# positions. A roster shows many students of one waitlist, so the whole waitlist is ranked once.
_own, _waitlist = table.alias("own"), table.alias("waitlist")
_position_of_own = sa.select(sa.func.count()).where(
    _waitlist.c.course_id == _own.c.course_id,
    _waitlist.c.state == sa.literal_column(f"'{WAITLISTED}'"),
    _waitlist.c.ticket <= _own.c.ticket,
)
_ranked = (
    sa.select(
        table.c.student_id,
        sa.func.row_number().over(order_by=table.c.ticket).label("position"),
        table.c.blocked,
    )
    .where(table.c.course_id == sa.bindparam("course_id"), table.c.state == WAITLISTED)
    .subquery()
)
_POSITIONS = {
    "course_id": sa.select(
        _own.c.course_id, _position_of_own.scalar_subquery().label("position"), _own.c.blocked
    ).where(
        _own.c.student_id == sa.bindparam("student_id"),
        among(_own.c.course_id, "ids"),
        _own.c.state == WAITLISTED,
    ),
    "student_id": sa.select(_ranked).where(among(_ranked.c.student_id, "ids")),
}


_ONE = Statement(
    "enrollment",
    sa.select(
        *(table.c[name] for name in ("enrolled_at", "state", "ticket", "credits", "blocked"))
    ).where(
        table.c.student_id == sa.bindparam("student_id"),
        table.c.course_id == sa.bindparam("course_id"),
    ),
)
_POSITION = Statement(
    "position",
    sa.select(sa.func.count()).where(
        table.c.course_id == sa.bindparam("course_id"),
        IS_WAITLISTED,
        table.c.ticket <= sa.bindparam("ticket"),
    ),
)


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A student takes a course, or waits for it. `position` is the position on the waitlist (1 is
    next), or None with a seat. `credits` are None for a course without a term. `blocked` is True
    for a place that rules of registration block, else None. `warnings` are those of the request
    that made the enrollment.
    """

    student_id: int
    course_id: int
    enrolled_at: datetime | None
    state: str
    ticket: int | None
    position: int | None
    credits: float | None = None
    blocked: bool | None = None
    warnings: list[dict[str, Any]] | None = None

    @property
    def etag(self) -> str:
        since = (
            f"{self.enrolled_at.timestamp():.6f}".replace(".", "")
            if self.enrolled_at
            else f"line-{self.ticket}"
        )
        tag = since if self.position is None else f"{since}.{self.position}"
        tag = f"{tag}-blocked" if self.blocked else tag
        return tag if self.credits is None else f"{tag}-{self.credits}"


def get_enrollment(reader: Reader, student_id: int, course_id: int) -> Enrollment:
    """The enrollment of a student in a course. Raises EnrollmentNotFound, or StudentNotFound or
    CourseNotFound if that is the reason.
    """
    connection = connection_of(reader)
    rows = send(connection, (_ONE, {"student_id": student_id, "course_id": course_id}))
    if not rows:
        students.require_student(reader, student_id)
        courses.require_course(reader, course_id)
        raise EnrollmentNotFound
    (enrolled_at, state, ticket, number, blocked), position = rows[0], None
    if state == WAITLISTED:
        position = send(connection, (_POSITION, {"course_id": course_id, "ticket": ticket}))[0][0]
    taken, is_blocked = as_number(number), bool(blocked) or None
    return Enrollment(
        *(student_id, course_id, enrolled_at, state, ticket, position, taken, is_blocked)
    )


def get_course_set(reader: Reader, student_id: int) -> CourseSet:
    """All courses of a student. Raises StudentNotFound."""
    wanted = sa.select(table.c.course_id, table.c.state).where(table.c.student_id == student_id)
    rows = connection_of(reader).execute(wanted.order_by(table.c.course_id)).all()
    if not rows:
        students.require_student(reader, student_id)
    return CourseSet(
        student_id,
        [row.course_id for row in rows if row.state != WAITLISTED],
        [row.course_id for row in rows if row.state == WAITLISTED],
    )


def list_courses_of(reader: Reader, student_id: int, **query: Any) -> Page:
    """A page of the courses that a student takes or waits for. Raises StudentNotFound.

    `query` has the arguments of `keyset.Listing.page`.
    """
    page = COURSES_OF_STUDENT.page(reader, **courses.folded(query), student_id=student_id)
    if not page.items:  # if the page has items, the student exists
        students.require_student(reader, student_id)
    _add_positions(reader, page, "course_id", student_id=student_id)
    return page


def list_students_of(reader: Reader, course: int | str, **query: Any) -> Page:
    """A page of the students who take a course or wait for it. Raises CourseNotFound.

    `query` has the arguments of `keyset.Listing.page`.
    """
    course_id = courses.get_course_id(reader, course)
    page = ROSTER.page(reader, **students.folded(query), course_id=course_id)
    if not page.items:
        courses.require_course(reader, course_id)
    _add_positions(reader, page, "student_id", course_id=course_id)
    return page


def student_history(
    reader: Reader, student_id: int, seen_by: str | None = None, **query: Any
) -> Page:
    """A page of the history of a student, the newest event first. Raises StudentNotFound if the
    student does not exist and has no events.

    If students read their own history, `seen_by` is the name of their principal. Events of other
    principals then have no `actor`, `request_id` and `reason`, because a promotion would show who
    dropped the course. `query` has the arguments of `keyset.Listing.page`.
    """
    page = _history(reader, student_id=student_id, **query)
    if not page.items and "cursor" not in query:
        students.require_student(reader, student_id)
    if seen_by is not None:
        for event in page.items:
            if event["actor"] != seen_by:
                event.update(actor=None, request_id=None, reason=None)
    return page


def course_history(reader: Reader, course: int | str, **query: Any) -> Page:
    """A page of the history of a course, the newest event first. The history of a deleted course is
    found by its id. Raises CourseNotFound if the course does not exist and has no events.

    `query` has the arguments of `keyset.Listing.page`.
    """
    course_id = courses.get_course_id(reader, course)
    page = _history(reader, course_id=course_id, **query)
    if not page.items and "cursor" not in query:
        courses.require_course(reader, course_id)
    return page


def _history(reader: Reader, **query: Any) -> Page:
    """A page of changes of enrollments, the newest first. Sends a second statement if a course of
    the page is deleted: the event of its deletion has its name.
    """
    page = HISTORY.page(reader, sort="-id", type=EventType.ENROLLMENT_CHANGED.value, **query)
    deleted = {event["course_id"] for event in page.items if event["course_name"] is None}
    if deleted:
        wanted = sa.select(_events.c.course_id, _events.c.data).where(
            _events.c.type == EventType.COURSE_DELETED.value, _events.c.course_id.in_(deleted)
        )
        names = {row.course_id: row.data["name"] for row in connection_of(reader).execute(wanted)}
        for event in page.items:
            event["course_name"] = event["course_name"] or names.get(event["course_id"])
    return page


def _add_positions(reader: Reader, page: Page, other: str, **given: int) -> None:
    """Set the `position` of every item (1 is next; None with a seat), and `blocked` if it is True.

    `other` is the column of the other ids: `course_id` for the courses of a student, whose id is in
    `given`, and `student_id` for the students of a course. Sends one statement if an item of the
    page is waitlisted, else none.
    """
    waiting = [item["id"] for item in page.items if item["state"] == WAITLISTED]
    positions = {}
    if waiting:
        rows = connection_of(reader).execute(_POSITIONS[other], {"ids": waiting} | given)
        positions = {row[0]: row for row in rows}
    for item in page.items:
        row = positions.get(item["id"])
        item["position"] = row.position if row else None
        if row and row.blocked:
            item["blocked"] = True
