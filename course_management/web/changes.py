"""The form of a change (PUT, PATCH): every field is optional, and what GET answered may come
back whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from marshmallow import fields, pre_load

from course_management.core.errors import Invalid
from course_management.web.fields import Id, StrictSchema


class ChangeSchema(StrictSchema):
    """To be put before the schema of what is created. Fields that the service makes
    (`dump_only`) are ignored.
    """

    id = Id(
        metadata={
            "description": "Need not be sent; where it is, it must be the id of what the address "
            "names."
        }
    )
    created_at = fields.DateTime(dump_only=True)
    updated_at = fields.DateTime(dump_only=True)
    version = fields.Integer(dump_only=True)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Require nothing."""
        field_obj.required = False

    @pre_load
    def _ignore_made(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: value
            for name, value in data.items()
            if name in self.load_fields or name not in self.fields
        }


Changes = TypeVar("Changes", bound=Mapping[str, Any])


def without_id(row_id: int, changes: Changes) -> Changes:
    """The `changes` without their `id`. Raises Invalid where it is not the id of the row."""
    if changes.get("id", row_id) != row_id:
        detail = f"Must be {row_id}, the id of what the address names, or be left out."
        raise Invalid([{"pointer": "/id", "detail": detail}])
    return cast(Changes, {name: value for name, value in changes.items() if name != "id"})
