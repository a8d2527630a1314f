"""The requests and responses of holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from course_management.records.fields import Time
from course_management.records.holds.models import ACTS
from course_management.web.changes import ChangeSchema
from course_management.web.fields import (
    Answer,
    FlagParameter,
    Id,
    Moment,
    PageQuery,
    StrictSchema,
    Text,
)

_CODE = {"description": "The code of the hold at the school.", "example": "BURSAR"}
_DETAIL = {
    "description": "The reason, for the student and the staff.",
    "example": "A fee is not paid.",
}
_CONTACT = {"description": "Who can release the hold.", "example": "bursar@example.edu"}
_UNTIL = {
    "description": "The hold ends at this time; null (the default) means that it is released.",
    "example": "2126-09-01T08:00:00Z",
}


class Blocks(fields.List[str]):
    """The acts that a hold blocks, at least one. Repeated acts are removed."""

    RULE = f"Must be a list of one or more of: {', '.join(ACTS)}."

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            fields.String(validate=validate.OneOf(ACTS)),
            validate=validate.Length(min=1, max=10),
            error_messages={"null": self.RULE},
            metadata={"description": "The acts that the hold blocks.", "example": ["add"]},
            **kwargs,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if type(value) is not list or not 1 <= len(value) <= 10:
            raise ValidationError(self.RULE)
        if any(act not in ACTS for act in value):
            raise ValidationError(self.RULE)
        return [act for act in ACTS if act in value]


class HoldChangeFields(StrictSchema):
    """The fields of a hold that can change."""

    detail = Text(1, 500, required=True, metadata=_DETAIL)
    contact = Text(1, 200, allow_none=True, metadata=_CONTACT)
    blocks = Blocks(required=True)
    until = Time(allow_none=True, metadata=_UNTIL)


class HoldIn(HoldChangeFields):
    """A hold to create."""

    code = Text(1, 64, required=True, metadata=_CODE)


class HoldInChange(ChangeSchema, HoldChangeFields):
    """A change of a hold. Its `code` never changes."""

    student_id = Id(dump_only=True, metadata={"example": 1})
    code = fields.String(dump_only=True, metadata=_CODE)
    created_by = fields.String(dump_only=True, metadata={"example": "key:SIS sync"})
    released_at = Moment(dump_only=True)
    released_by = fields.String(dump_only=True, metadata={"example": "key:SIS sync"})


class HoldOut(Answer):
    """A hold: it blocks acts of a student until it is released, or until `until`."""

    id = Id(metadata={"example": 5})
    student_id = Id(metadata={"example": 1})
    code = fields.String(metadata=_CODE)
    detail = fields.String(metadata=_DETAIL)
    contact = fields.String(allow_none=True, metadata=_CONTACT)
    blocks = fields.List(
        fields.String(validate=validate.OneOf(ACTS)), metadata={"example": ["add"]}
    )
    until = Moment(allow_none=True, metadata=_UNTIL)
    created_by = fields.String(
        allow_none=True,
        metadata={
            "description": "The caller who placed the hold. Students do not see other callers.",
            "example": "key:SIS sync",
        },
    )
    released_at = Moment(
        allow_none=True,
        metadata={"description": "null while the hold is not released.", "example": None},
    )
    released_by = fields.String(
        allow_none=True,
        metadata={
            "description": "The caller who released the hold. Students do not see other callers.",
            "example": None,
        },
    )
    created_at = Moment()
    updated_at = Moment()
    version = Id(metadata={"description": "Counts the edits. The ETag contains it.", "example": 1})


class HoldQuery(PageQuery):
    """The query parameters of a list of holds."""

    active = FlagParameter(
        metadata={
            "description": "Whether the hold is neither released nor past its `until`.",
        }
    )
