"""The requests and responses of students."""

from __future__ import annotations

from marshmallow import fields, validate

from course_management.web.changes import ChangeSchema
from course_management.web.fields import (
    CONTROLS,
    Answer,
    Id,
    Moment,
    PageQuery,
    Sort,
    StrictSchema,
    Text,
)

_email = validate.Regexp(
    r"^[^@\s]+@[^@\s]+$",
    error="Must be an e-mail address such as ada@example.edu, without spaces.",
)
_EMAIL = rf"^\s*[^@\s{CONTROLS}]+@[^@\s{CONTROLS}]+\s*$"
_NUMBER = {
    "description": "The number of the student in another system.",
    "example": "S-2026-0042",
}


class StudentIn(StrictSchema):
    """A student to create."""

    name = Text(1, 200, required=True, metadata={"example": "Ada Lovelace"})
    email = Text(
        3,
        254,
        also=[_email],
        allow_none=True,
        metadata={"example": "ada@example.edu", "pattern": _EMAIL},
    )
    external_id = Text(1, 255, allow_none=True, metadata=_NUMBER)


class StudentInChange(ChangeSchema, StudentIn):
    """A change of a student."""


class StudentOut(Answer):
    """A student."""

    id = Id(metadata={"example": 1})
    name = fields.String(metadata={"example": "Ada Lovelace"})
    email = fields.String(allow_none=True, metadata={"example": "ada@example.edu"})
    external_id = fields.String(allow_none=True, metadata=_NUMBER)
    created_at = Moment()
    updated_at = Moment()
    version = Id(metadata={"description": "Counts the edits. The ETag contains it.", "example": 1})


class StudentQuery(PageQuery):
    """The query parameters of a list of students."""

    email = Text(
        1,
        254,
        metadata={"description": "Only the student with this e-mail address, ignoring case."},
    )
    external_id = Text(1, 255, metadata={"description": "Only the student with this external id."})
    q = Text(1, 200, metadata={"description": "The beginning of the name, ignoring case."})
    sort = Sort("id", "name", "created_at")
