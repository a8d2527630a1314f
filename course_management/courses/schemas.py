"""The requests and responses of courses."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from course_management.core import text
from course_management.courses.refusals import CANCELLED, CLOSED, OPEN, STATUSES
from course_management.courses.term_schemas import TermFieldsIn, TermFieldsOut
from course_management.history.schemas import Reason
from course_management.web.changes import ByExternalId, ChangeSchema
from course_management.web.fields import (
    TEXT,
    Count,
    FlagParameter,
    Id,
    Level,
    Moment,
    PageQuery,
    Sort,
    StrictSchema,
    Text,
    Total,
)
from course_management.web.repeated import ExternalIdFilter, IdFilter

BY_EXTERNAL_ID = "by-external-id"  # a segment of addresses
_RESERVED = "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in BY_EXTERNAL_ID)
# The rule of `addressable` as a pattern for OpenAPI.
_ADDRESSABLE = (
    rf"^(?!\s*{_RESERVED}\s*$)"
    r"(?!\s*[0-9]+(?:/|\s*$))(?!\s*(?:.*/)?\.{1,2}(?:/|\s*$))" + TEXT.removeprefix("^")
)
_NUMBER = {"description": "The number of the course in another system.", "example": "MATH-204"}


def addressable(name: str) -> None:
    """Raise ValidationError for the few names that cannot be a part of an address.

    ASCII digits, alone or before a slash, look like an id. Proxies remove `.` and `..` between
    slashes (RFC 3986, section 5.2.4). BY_EXTERNAL_ID is a part of other addresses.
    """
    first, *rest = name.split("/")
    if first.isascii() and first.isdigit():
        form = "begin with digits and a slash" if rest else "consist of digits only"
        raise ValidationError(f"Must not {form}: an address could not tell it from an id.")
    if text.key(name) == BY_EXTERNAL_ID:
        raise ValidationError(
            f"Must not be {BY_EXTERNAL_ID}: addresses of external ids begin with these words."
        )
    if {".", ".."} & {first, *rest}:
        raise ValidationError(
            'Must not have "." or ".." alone between slashes: proxies remove them from addresses.'
        )


NOT_SETTABLE = f"Must be {OPEN} or {CLOSED}."


def settable(status: str) -> None:
    """Raise ValidationError for a status that a request cannot set."""
    if status == CANCELLED:
        raise ValidationError(
            "Cancel the course with POST /courses/{course}/cancel: that takes its students out."
        )
    if status not in (OPEN, CLOSED):
        raise ValidationError(NOT_SETTABLE)


class CourseIn(TermFieldsIn, StrictSchema):
    """A course to create."""

    name = Text(
        1,
        200,
        also=[addressable],
        required=True,
        metadata={"example": "Linear Algebra", "pattern": _ADDRESSABLE},
    )
    level = Level(required=True, metadata={"example": "sophomore"})
    external_id = Text(1, 255, allow_none=True, metadata=_NUMBER)
    capacity = Count(
        metadata={
            "description": "The number of seats. null (the default) means unlimited.",
            "example": 30,
        }
    )
    waitlist_capacity = Count(
        metadata={
            "description": "The number of students who may wait. 0 (the default) means no "
            "waitlist, null means unlimited.",
            "example": 10,
        }
    )
    status = fields.String(
        validate=settable,
        error_messages=dict.fromkeys(("null", "invalid"), NOT_SETTABLE),
        metadata={
            "description": "`open` (the default), or `closed`: nobody new gets a seat or a "
            "waitlist position. Cancel a course with POST /courses/{course}/cancel.",
            "enum": [OPEN, CLOSED],
            "example": OPEN,
        },
    )


class CourseInChange(ChangeSchema, CourseIn):
    """A change of a course. More seats go to the students who wait, and the history shows the
    `reason` with each of these promotions.
    """

    reason = Reason()

    seats_taken = Total(dump_only=True, allow_none=True, metadata={"example": 12})
    waitlisted = Total(dump_only=True, metadata={"example": 0})
    waitlist_blocked = Total(dump_only=True, metadata={"example": 0, "sometimes": True})


class CourseByExternalId(ByExternalId, CourseInChange):
    """A course to create or to change, whose external id is in the address. A new course needs a
    `name` and a `level`.
    """


class CourseOut(TermFieldsOut):
    """A course. The fields from `term` on are those of a course of a term."""

    id = Id(metadata={"example": 1})
    name = fields.String(metadata={"example": "Linear Algebra"})
    level = fields.String(metadata={"example": "sophomore"})
    external_id = fields.String(allow_none=True, metadata=_NUMBER)
    capacity = Total(
        allow_none=True,
        metadata={"description": "The number of seats; null means unlimited.", "example": 30},
    )
    seats_taken = Total(
        allow_none=True,
        metadata={
            "description": "The number of seats taken; null if seats are unlimited. Then "
            "`GET /courses/{course}/students` with `Prefer: count=exact` counts the students.",
            "example": 12,
        },
    )
    waitlist_capacity = Total(
        allow_none=True,
        metadata={
            "description": "The number of students who may wait; null means unlimited.",
            "example": 10,
        },
    )
    waitlisted = Total(
        metadata={"description": "The number of students on the waitlist.", "example": 0}
    )
    waitlist_blocked = Total(
        metadata={
            "description": "How many of them wait in a place that rules of registration block. "
            "Only for a course of a term.",
            "example": 0,
            "sometimes": True,
        }
    )
    status = fields.String(
        metadata={
            "description": "Whether new students may enroll; `cancelled` courses have no students.",
            "enum": list(STATUSES),
            "example": OPEN,
        }
    )
    created_at = Moment()
    updated_at = Moment()
    version = Id(
        metadata={"description": "Counts the edits. Enrollments do not change it.", "example": 1}
    )


class CourseQuery(PageQuery):
    """The query parameters of a list of courses."""

    level = Text(1, 50, metadata={"description": "Only courses of this level."})
    id = IdFilter()
    external_id = ExternalIdFilter()
    q = Text(1, 200, metadata={"description": "A part of the name, ignoring case."})
    open = FlagParameter(metadata={"description": "Whether the status is open and a seat is free."})
    status = fields.String(
        validate=validate.OneOf(STATUSES, error=f"Must be one of: {', '.join(STATUSES)}."),
        metadata={"description": "Only courses with this status."},
    )
    term = Text(
        1,
        32,
        metadata={"description": "Only courses of the term with this code, and of its parts."},
    )
    catalog_code = Text(
        1, 32, metadata={"description": "Only courses of the catalog entry with this code."}
    )
    sort = Sort("id", "name", "level", "created_at")
