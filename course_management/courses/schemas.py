"""What comes in and goes out of courses."""

from __future__ import annotations

from marshmallow import ValidationError, fields

from course_management.web.changes import ChangeSchema
from course_management.web.fields import (
    TEXT,
    Answer,
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

# The same as `addressable`, for OpenAPI: neither digits alone or before a slash, nor "." or ".."
# alone between slashes.
_ADDRESSABLE = r"^(?!\s*[0-9]+(?:/|\s*$))(?!\s*(?:.*/)?\.{1,2}(?:/|\s*$))" + TEXT.removeprefix("^")
_NUMBER = {"description": "The number another system knows the course by.", "example": "MATH-204"}


def addressable(name: str) -> None:
    """Raise ValidationError for the few names that no address can hold safely, whatever proxy it
    passes.
    """
    first, *rest = name.split("/")
    if first.isascii() and first.isdigit():
        what = "begin with digits and a slash" if rest else "be digits alone"
        raise ValidationError(f"Must not {what}: in an address that would be an id.")
    if {".", ".."} & {first, *rest}:
        raise ValidationError(
            'Must not have "." or ".." alone between slashes: addresses lose them.'
        )


class CourseIn(StrictSchema):
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
            "description": "How many seats there are: null (the default) is without limit, 0 is "
            "none.",
            "example": 30,
        }
    )
    waitlist_capacity = Count(
        metadata={
            "description": "How many students may wait: 0 (the default) is none, null without "
            "limit.",
            "example": 10,
        }
    )


class CourseInChange(ChangeSchema, CourseIn):
    """A change of a course."""

    seats_taken = Total(dump_only=True, allow_none=True, metadata={"example": 12})
    waitlisted = Total(dump_only=True, metadata={"example": 0})


class CourseOut(Answer):
    """A course."""

    id = Id(metadata={"example": 1})
    name = fields.String(metadata={"example": "Linear Algebra"})
    level = fields.String(metadata={"example": "sophomore"})
    external_id = fields.String(allow_none=True, metadata=_NUMBER)
    capacity = Total(
        allow_none=True,
        metadata={"description": "How many seats there are; null is without limit.", "example": 30},
    )
    seats_taken = Total(
        allow_none=True,
        metadata={
            "description": "How many seats are taken; null where they are without limit: "
            "`GET /courses/{course}/students` counts them with `Prefer: count=exact`.",
            "example": 12,
        },
    )
    waitlist_capacity = Total(
        allow_none=True,
        metadata={"description": "How many may wait; null is without limit.", "example": 10},
    )
    waitlisted = Total(metadata={"description": "How many wait.", "example": 0})
    created_at = Moment()
    updated_at = Moment()
    version = Id(metadata={"description": "Counts the edits; enrolling is none.", "example": 1})


class CourseQuery(PageQuery):
    """How a list of courses is filtered, sorted and paged."""

    level = Text(1, 50, metadata={"description": "The courses of this level."})
    external_id = Text(1, 255, metadata={"description": "The course with this external id."})
    q = Text(1, 200, metadata={"description": "A part of the name, ignoring case."})
    open = FlagParameter(metadata={"description": "Whether a seat is free."})
    sort = Sort("id", "name", "level", "created_at")
