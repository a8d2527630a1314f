"""The requests and responses of students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from course_management.students.models import MAX_GROUPS
from course_management.web.batches import Items
from course_management.web.changes import ByExternalId, ChangeSchema
from course_management.web.fields import (
    CONTROLS,
    Answer,
    Group,
    Id,
    Moment,
    PageQuery,
    Sort,
    StrictSchema,
    Text,
)
from course_management.web.repeated import ExternalIdFilter, IdFilter

_email = validate.Regexp(
    r"^[^@\s]+@[^@\s]+$",
    error="Must be an e-mail address such as ada@example.edu, without spaces.",
)
_EMAIL = rf"^\s*[^@\s{CONTROLS}]+@[^@\s{CONTROLS}]+\s*$"
_NUMBER = {
    "description": "The number of the student in another system.",
    "example": "S-2026-0042",
}


class GroupNames(fields.List[str]):
    """The groups of a student, sorted. Repeated names are removed."""

    RULE = f"Must be a list of at most {MAX_GROUPS} groups; [] for none."

    def __init__(self) -> None:
        super().__init__(
            Group(),
            validate=validate.Length(max=MAX_GROUPS),
            error_messages={"invalid": self.RULE, "null": self.RULE},
            metadata={
                "description": "The groups of the student. To set them, you also need the scope "
                "`records:write`.",
                "example": ["program:cs"],
            },
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        # The length is checked before the items, so that no response lists a million faults.
        if type(value) is not list or len(value) > MAX_GROUPS:
            raise ValidationError(self.RULE)
        return sorted(set(super()._deserialize(value, attr, data, **kwargs)))


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
    groups = GroupNames()


class StudentInChange(ChangeSchema, StudentIn):
    """A change of a student."""


class StudentByExternalId(ByExternalId, StudentInChange):
    """A student to create or to change, whose external id is in the address. A new student needs a
    `name`.
    """


class StudentItem(StudentInChange):
    """A student of a batch: a new one, who needs a `name`, or changes of one."""

    id = Id(dump_only=True, metadata={"example": 1})
    external_id = Text(1, 255, required=True, metadata=_NUMBER)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Require the external id only."""
        field_obj.required = field_name == "external_id"


class StudentItems(StrictSchema):
    """Students to create or to change."""

    items = Items(
        StudentItem,
        {"external_id": "S-2026-0042", "name": "Ada Lovelace", "email": "ada@example.edu"},
    )


class StudentOut(Answer):
    """A student."""

    id = Id(metadata={"example": 1})
    name = fields.String(metadata={"example": "Ada Lovelace"})
    email = fields.String(allow_none=True, metadata={"example": "ada@example.edu"})
    external_id = fields.String(allow_none=True, metadata=_NUMBER)
    groups = fields.List(
        fields.String(),
        metadata={
            "description": "The groups of the student, sorted.",
            "example": ["program:cs", "standing:senior"],
        },
    )
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
    id = IdFilter()
    external_id = ExternalIdFilter()
    group = Group(metadata={"description": "Only students of this group."})
    q = Text(
        1,
        200,
        metadata={
            "description": "The beginning of a word of the name, ignoring case. With several "
            "words, the name must have a word for each."
        },
    )
    sort = Sort("id", "name", "created_at")
