"""The form of a change (PUT, PATCH): every field is optional, and what GET answered may come
back whole.
"""

from __future__ import annotations

from typing import Any

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


def without_id(row_id: int, changes: dict[str, Any]) -> dict[str, Any]:
    """What `changes` says of the row with this id. Raises Invalid where it names another one."""
    if changes.get("id", row_id) != row_id:
        raise Invalid(
            [
                {
                    "pointer": "/id",
                    "detail": f"Must be {row_id}, the id of what the address names, or be left "
                    "out.",
                }
            ]
        )
    return {name: value for name, value in changes.items() if name != "id"}
