"""What batches share: the list of items in the body, and the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from course_management.web.fields import Answer, Id

MAX_ITEMS = 1000


class Items(fields.List[Any]):
    """A list of 1 to MAX_ITEMS items, each an object of this schema."""

    RULE = f"Must be a list of 1 to {MAX_ITEMS} items."

    def __init__(self, schema: type[Schema], example: dict[str, Any]) -> None:
        super().__init__(
            fields.Nested(schema),
            required=True,
            validate=validate.Length(1, MAX_ITEMS),
            error_messages={"null": self.RULE, "required": "This field is required."},
            metadata={"example": [example]},
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        # The length is checked before the items, so that no response lists a million faults.
        if type(value) is not list or not 1 <= len(value) <= MAX_ITEMS:
            raise ValidationError(self.RULE)
        return super()._deserialize(value, attr, data, **kwargs)


class BatchOut(Answer):
    """What a batch did. Each item is in one list, in the order of the request."""

    created = fields.List(Id(), metadata={"description": "The new rows.", "example": [3]})
    updated = fields.List(Id(), metadata={"description": "The changed rows.", "example": [1]})
    unchanged = fields.List(
        Id(), metadata={"description": "Rows that were as the items say.", "example": [2]}
    )
