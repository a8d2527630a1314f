"""What comes in and goes out of students."""

from __future__ import annotations

from marshmallow import fields, validate

from course_management.web.changes import ChangeSchema
from course_management.web.fields import PageQuery, Sort, StrictSchema, Text

_email = validate.Regexp(r"^[^@\s]+@[^@\s]+$", error="Must be one address: something, an @, something, without spaces.")


class StudentIn(StrictSchema):
    """A student to create."""

    name = Text(1, 200, required=True, metadata={"example": "Ada Lovelace"})
    email = Text(3, 254, also=[_email], allow_none=True, metadata={"example": "ada@example.edu"})
    external_id = Text(1, 255, allow_none=True, metadata={"description": "The number another system knows the student by."})


class StudentInChange(ChangeSchema, StudentIn):
    """A change of a student."""


class StudentOut(StrictSchema):
    """A student."""

    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata={"example": "Ada Lovelace"})
    email = fields.String(allow_none=True, metadata={"example": "ada@example.edu"})
    external_id = fields.String(allow_none=True)
    created_at = fields.DateTime()
    updated_at = fields.DateTime()
    version = fields.Integer(metadata={"description": "Counts the changes; the ETag is made from it."})


class StudentQuery(PageQuery):
    """How the list of students is filtered, sorted and paged."""

    email = Text(1, 254, metadata={"description": "The student with this address, ignoring case."})
    external_id = Text(1, 255, metadata={"description": "The student with this external id."})
    q = Text(1, 200, metadata={"description": "The beginning of the name, ignoring case."})
    sort = Sort("id", "name", "created_at")
