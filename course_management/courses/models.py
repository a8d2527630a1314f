"""The table of courses, and the errors of its constraints."""

from __future__ import annotations

from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from course_management.catalog.models import CatalogEntryNotFound
from course_management.core import text
from course_management.core.errors import Conflict, ExternalIdTaken, NotFound, Taken
from course_management.core.problem_fields import COUNT, MISSING
from course_management.courses.refusals import OPEN, CourseFull, WaitlistFull
from course_management.db.base import KeyText, Model, Versioned
from course_management.terms.models import TermNotFound


class CourseNotFound(NotFound):
    """A course that the request names does not exist. If ids in the body do not exist, `missing`
    lists all of them.
    """

    code = "course-not-found"
    title = "There is no such course."
    remedy = (
        "Find the course with GET /courses (q= searches names). In an address, percent-encode the "
        "name."
    )
    sometimes = MISSING


class CourseNameTaken(Taken):
    """Two courses cannot have the same name. Upper and lower case make no difference."""

    code = "course-name-taken"
    pointer = "/name"
    title = "Another course has this name."
    remedy = "Read that course with GET /courses/{name}, or choose another name."


class CapacityBelowEnrolled(Conflict):
    """The new `capacity` is below `seats_taken`. An edit does not take a seat from a student."""

    code = "capacity-below-enrolled"
    title = "More seats are taken than the new capacity allows."
    remedy = (
        "Drop students first with POST /courses/{course}/drop, or choose a capacity of at least "
        "seats_taken."
    )
    always = {
        "capacity": {
            **COUNT,
            "description": "The capacity that the request asks for.",
            "example": 10,
        },
        "seats_taken": {**COUNT, "description": "The number of seats taken.", "example": 12},
    }


class WaitlistCapacityBelowWaitlisted(Conflict):
    """The new `waitlist_capacity` is below `waitlisted`. An edit does not take a waitlist position
    from a student.
    """

    code = "waitlist-capacity-below-waitlisted"
    title = "More students are on the waitlist than the new waitlist_capacity allows."
    remedy = "Drop waitlisted students first, or choose a waitlist_capacity of at least waitlisted."
    always = {
        "waitlist_capacity": {
            **COUNT,
            "description": "The waitlist_capacity that the request asks for.",
            "example": 3,
        },
        "waitlisted": {
            **COUNT,
            "description": "The number of students on the waitlist.",
            "example": 5,
        },
    }


class TermHasCourses(Conflict):
    """A term cannot be deleted while courses belong to it."""

    code = "term-has-courses"
    title = "Courses belong to this term."
    remedy = (
        "List the courses with GET /courses?term=…, and delete them or change their term first."
    )


class CatalogEntryHasCourses(Conflict):
    """A catalog entry cannot be deleted while courses name it."""

    code = "catalog-entry-has-courses"
    title = "Courses name this catalog entry."
    remedy = (
        "List the courses with GET /courses?catalog_code=…, and delete them or change their "
        "catalog_code first."
    )


class _Detail:
    """An attribute of a course that `details` may have."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, course: Course, owner: type) -> Any:
        return (course.details or {}).get(self.name)


class Course(Versioned, Model):
    """A course. Search, addresses and uniqueness compare its `name_key` (`text.key`).

    If seats are unlimited, `capacity` and `seats_taken` are null: enrollments then do not update
    the course. `waitlist_capacity` is null if the waitlist is unlimited. `blocked` counts those of
    `waitlisted` whose places rules block: only the others forbid a free seat. `next_ticket` is the
    ticket of the next student who joins the waitlist. The database computes `is_open`: whether
    the status is open and a seat is free. An enrollment that does not change `is_open` updates no
    index.

    A course may belong to a `term`, and then also to a catalog entry. Both are codes as they are
    written, so that a list of courses needs no join. `details` has the fields of such a course that
    are not null (DETAILS).
    """

    __tablename__ = "courses"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["term"], ["terms.code"], onupdate="CASCADE", info={"error": TermNotFound}
        ),
        sa.ForeignKeyConstraint(
            ["catalog_code"],
            ["catalog_entries.code"],
            onupdate="CASCADE",
            info={"error": CatalogEntryNotFound},
        ),
        sa.Index(None, "term", "id"),
        sa.Index(None, "catalog_code", "id"),
        sa.UniqueConstraint("name_key", info={"error": CourseNameTaken}),
        sa.UniqueConstraint("external_id", info={"error": ExternalIdTaken}),
        sa.CheckConstraint("capacity >= 0", name="capacity_not_negative"),
        sa.CheckConstraint(
            "(capacity IS NULL) = (seats_taken IS NULL)", name="seats_counted_where_limited"
        ),
        sa.CheckConstraint(
            "seats_taken BETWEEN 0 AND capacity",
            name="seats_within_capacity",
            info={"error": CourseFull},
        ),
        sa.CheckConstraint(
            "waitlisted BETWEEN 0 AND coalesce(waitlist_capacity, waitlisted)",
            # "line" in the released names of constraints and indexes means the waitlist.
            name="line_within_capacity",
            info={"error": WaitlistFull},
        ),
        sa.CheckConstraint(
            "waitlisted - blocked = 0 OR (capacity IS NOT NULL AND seats_taken = capacity) "
            "OR status = 'cancelled'",
            name="no_seat_beside_a_line",
        ),
        sa.CheckConstraint("blocked BETWEEN 0 AND waitlisted", name="blocked_within_line"),
        sa.CheckConstraint("status IN ('open', 'closed', 'cancelled')", name="status_known"),
        # One index for each order of all courses, of the courses of a level, of the courses with a
        # free seat, and of those of a level with a free seat. So a page reads only its own rows.
        # db/keyset.py (`Listing`) explains the order of the columns.
        sa.Index(None, "created_at", "id"),
        sa.Index(None, "level", "id"),
        sa.Index(None, "level", "name_key", "id"),
        sa.Index(None, "level", "created_at", "id"),
        sa.Index(None, "is_open", "id"),
        sa.Index(None, "is_open", "name_key", "id"),
        sa.Index(None, "is_open", "created_at", "id"),
        sa.Index(None, "is_open", "level", "id"),
        sa.Index(None, "is_open", "level", "name_key", "id"),
        sa.Index(None, "is_open", "level", "created_at", "id"),
        sa.Index(None, "status", "id"),
        sa.Index(None, "status", "name_key", "id"),
        sa.Index(None, "status", "created_at", "id"),
        sa.Index(None, "status", "level", "id"),
        {"sqlite_autoincrement": True},
    )

    name: Mapped[str] = mapped_column(sa.Text)
    name_key: Mapped[str] = mapped_column(KeyText)
    level: Mapped[str] = mapped_column(KeyText)
    external_id: Mapped[str | None] = mapped_column(KeyText)

    capacity: Mapped[int | None] = mapped_column(sa.Integer)
    seats_taken: Mapped[int | None] = mapped_column(sa.Integer)
    waitlist_capacity: Mapped[int | None] = mapped_column(sa.Integer)
    waitlisted: Mapped[int] = mapped_column(sa.Integer, default=0)
    # The default is for releases that do not know the column.
    blocked: Mapped[int] = mapped_column(sa.Integer, default=0, server_default="0")
    next_ticket: Mapped[int] = mapped_column(sa.BigInteger, default=1)
    # The default is for releases that do not know the column.
    status: Mapped[str] = mapped_column(KeyText, default=OPEN, server_default=OPEN)
    is_open: Mapped[bool] = mapped_column(
        sa.Computed("status = 'open' AND (capacity IS NULL OR seats_taken < capacity)")
    )
    term: Mapped[str | None] = mapped_column(KeyText)
    catalog_code: Mapped[str | None] = mapped_column(KeyText)
    details: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))

    component = _Detail()
    credits_min = _Detail()
    credits_max = _Detail()
    meetings = _Detail()
    open_to = _Detail()
    consent = _Detail()
    contact = _Detail()

    @property
    def etag(self) -> str:
        return tag(self.id, self.version, self.seats_taken, self.waitlisted, self.blocked)

    @property
    def waitlist_blocked(self) -> int | None:
        """The number of blocked places, or None for a course without a term."""
        return None if self.term is None else self.blocked

    @validates("name")
    def _keep_key(self, attribute: str, value: str) -> str:
        self.name_key = text.key(value)
        return value


DETAILS = tuple(name for name, value in vars(Course).items() if isinstance(value, _Detail))


class CourseChanges(TypedDict, total=False):
    """The fields of a course that a request sets."""

    name: str
    level: str
    external_id: str | None
    capacity: int | None
    waitlist_capacity: int | None
    status: str
    term: str | None
    catalog_code: str | None
    component: str | None
    credits_min: float | None
    credits_max: float | None
    meetings: list[dict[str, Any]] | None
    open_to: dict[str, Any] | None
    consent: str | None
    contact: str | None


def tag(
    id: int,  # noqa: A002 - the name of the column
    version: int,
    seats_taken: int | None,
    waitlisted: int,
    blocked: int = 0,
) -> str:
    """The entity tag of a course (`ETag`): its id and version and, if it has a capacity, the counts
    of seats taken and of students who wait; if places are blocked, also their number.
    """
    counts = "" if seats_taken is None else f".{seats_taken}.{waitlisted}"
    return f"{id}-{version}{counts}{f'.b{blocked}' if blocked else ''}"
