"""The schema of changes (PUT, PATCH): every field is optional, and a client may send back the
whole response of a GET.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from marshmallow import fields, pre_load

from course_management.core.errors import Invalid
from course_management.web.fields import Id, Moment, StrictSchema


class ChangeSchema(StrictSchema):
    """A base class for schemas of changes. List it before the schema of creations as a base class.

    Fields that the service sets (`dump_only`) are ignored in requests.
    """

    id = Id(
        metadata={
            "description": "Optional. If it is sent, it must equal the id of the resource in the "
            "address.",
            "example": 1,
        }
    )
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = Id(dump_only=True, metadata={"example": 1})

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Require nothing."""
        field_obj.required = False

    @pre_load
    def _ignore_dump_only(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: value
            for name, value in data.items()
            if name in self.load_fields or name not in self.fields
        }


Changes = TypeVar("Changes", bound=Mapping[str, Any])


def without_id(row_id: int, changes: Changes) -> Changes:
    """`changes` without their `id`.

    Raises Invalid if that id is not `row_id`, the id of the resource in the address.
    """
    if changes.get("id", row_id) != row_id:
        detail = f"Must be {row_id}, the id of the resource in the address, or be left out."
        raise Invalid([{"pointer": "/id", "detail": detail}])
    return cast(Changes, {name: value for name, value in changes.items() if name != "id"})
