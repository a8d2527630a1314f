"""What comes in and goes out of courses."""

from __future__ import annotations

from marshmallow import ValidationError, fields

from course_management.web.fields import Level, PageQuery, Sort, StrictSchema, Text


def addressable(name: str) -> None:
    """Raise ValidationError for the few names that no address can hold safely, whatever proxy it passes."""
    first, *rest = name.split("/")
    if first.isascii() and first.isdigit():
        what = "begin with digits and a slash" if rest else "be digits alone"
        raise ValidationError(f"Must not {what}: in an address that would be an id.")
    if {".", ".."} & {first, *rest}:
        raise ValidationError('Must not have "." or ".." alone between slashes: addresses lose them.')


class CourseIn(StrictSchema):
    """A course to create; every field is optional where one is changed."""

    name = Text(1, 200, also=[addressable], required=True, metadata={"example": "Linear Algebra"})
    level = Level(required=True, metadata={"example": "sophomore"})
    external_id = Text(1, 255, allow_none=True, metadata={"description": "The number another system knows the course by."})


class CourseOut(StrictSchema):
    """A course."""

    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata={"example": "Linear Algebra"})
    level = fields.String(metadata={"example": "sophomore"})
    external_id = fields.String(allow_none=True)
    created_at = fields.DateTime()
    updated_at = fields.DateTime()
    version = fields.Integer(metadata={"description": "Counts the changes; the ETag is made from it."})


class CourseQuery(PageQuery):
    """How a list of courses is filtered, sorted and paged."""

    level = Text(1, 50, metadata={"description": "The courses of this level."})
    external_id = Text(1, 255, metadata={"description": "The course with this external id."})
    q = Text(1, 200, metadata={"description": "A part of the name, ignoring case."})
    sort = Sort("id", "name", "level", "created_at")
