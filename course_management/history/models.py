"""The table of events, and the words that events use."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.db.base import BigId, Model, UTCDateTime, database_clock

MAX_REASON = 500  # characters
STATES = ("enrolled", "waitlisted")  # of an enrollment
SKIPPED = "skipped"  # `rules` of an event whose request the rules of registration did not judge


class EventType(StrEnum):
    """What an event tells of. Clients ignore types that they do not know."""

    STUDENT_CREATED = "student.created"
    STUDENT_CHANGED = "student.changed"
    STUDENT_DELETED = "student.deleted"
    COURSE_CREATED = "course.created"
    COURSE_CHANGED = "course.changed"
    COURSE_DELETED = "course.deleted"
    CATALOG_CREATED = "catalog.created"
    CATALOG_CHANGED = "catalog.changed"
    CATALOG_DELETED = "catalog.deleted"
    TERM_CREATED = "term.created"
    TERM_CHANGED = "term.changed"
    TERM_DELETED = "term.deleted"
    ENROLLMENT_CHANGED = "enrollment.changed"
    COMPLETION_CREATED = "completion.created"
    COMPLETION_CHANGED = "completion.changed"
    COMPLETION_DELETED = "completion.deleted"
    HOLD_CREATED = "hold.created"
    HOLD_CHANGED = "hold.changed"
    OVERRIDE_CREATED = "override.created"
    OVERRIDE_CHANGED = "override.changed"
    OVERRIDE_USED = "override.used"


class Why(StrEnum):
    """What caused an event."""

    REQUESTED = "requested"
    DROPPED = "dropped"  # at /students/…
    REMOVED = "removed"  # at /courses/…
    PROMOTED = "promoted"
    CANCELLED = "cancelled"  # with the course
    MOVED = "moved"  # from one course to another
    REINSTATED = "reinstated"  # after a mistaken drop
    BLOCKED = "blocked"  # a waitlist place, by rules of registration
    UNBLOCKED = "unblocked"
    WAITLIST_CLOSED = "waitlist-closed"  # at the `add_until` of the term
    STUDENT_DELETED = "student-deleted"
    LOADED = "loaded"  # demo data
    MIGRATED = "migrated"  # existed before the history began


class EnrollmentEvent(Model):
    """An event: a change of an enrollment (`enrollment.changed`), of a student, a course, a term, a
    catalog entry, or of a completion, a hold or an override of a student.

    An event is written in the transaction of the change, as its last row, and remains when the
    student or the course is deleted. It contains no personal data, except that a `reason` may
    mention somebody: the reasons of events about a student are cleared when the student is deleted.
    Nothing else in an event ever changes.

    `data` depends on the type: for an enrollment that lost its seat, `enrolled_at`; for one in a
    course of a term, its `credits`, `withdrawn`, the id of the completion of its withdrawal, and
    `rules`, which is SKIPPED if the rules did not judge the request; for a waitlist place that
    rules block or clear, `blocked` and the codes of the rules that are `broken`;
    for a deleted student or course, `external_id`, and for a course its `name`; for a term or a
    catalog entry, its `code`, and for new windows their number as `windows`; for a completion, a
    hold or an override, its id and its codes.
    """

    __tablename__ = "enrollment_events"
    __table_args__ = (
        sa.Index(None, "student_id", "id"),
        sa.Index(None, "course_id", "id"),
        sa.Index(
            "ix_enrollment_events_reasons",
            "student_id",
            sqlite_where=sa.text("reason IS NOT NULL"),
            postgresql_where=sa.text("reason IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, sa.Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=database_clock())
    student_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    course_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    from_state: Mapped[str | None] = mapped_column(sa.Text)
    to_state: Mapped[str | None] = mapped_column(sa.Text)
    why: Mapped[str] = mapped_column(sa.Text)
    request_id: Mapped[str | None] = mapped_column(sa.Text)
    actor: Mapped[str | None] = mapped_column(sa.Text)
    # The default is for releases that do not know the column.
    type: Mapped[str] = mapped_column(sa.Text, server_default=EventType.ENROLLMENT_CHANGED)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    ticket: Mapped[int | None] = mapped_column(sa.BigInteger)
    data: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
