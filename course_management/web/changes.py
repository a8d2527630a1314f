"""The schema of changes (PUT, PATCH): every field is optional, and a client may send back the
whole response of a GET.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from marshmallow import ValidationError, fields, pre_load

from course_management.core.errors import Invalid
from course_management.web.fields import Id, Moment, StrictSchema, Text


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


class ByExternalId(ChangeSchema):
    """A base class for schemas of changes at addresses with an external id. List it first.

    The service ignores the `id`: the external id says which row the request is about.
    """

    id = Id(dump_only=True, metadata={"example": 1})
    external_id = Text(
        1,
        255,
        allow_none=True,
        metadata={
            "description": "Optional. If it is sent and is not null, it must equal the external id "
            "in the address.",
            "example": None,
        },
    )


EXTERNAL_ID = Text(1, 255)


def without_external_id(external_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` without their external id.

    Raises Invalid if that is not `external_id`, which the address has.
    """
    if changes.get("external_id") not in (None, external_id):
        detail = f"Must be {external_id}, the external id in the address, or be left out."
        raise Invalid([{"pointer": "/external_id", "detail": detail}])
    return {name: value for name, value in changes.items() if name != "external_id"}


def as_creation(
    schema: StrictSchema, external_id: str, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """`changes` and the external id of the address, as the fields of a new row.

    Raises Invalid with every fault: for each required field of `schema` that is missing, and for an
    external id that a row cannot have.
    """
    faults = missing_fields(schema, changes)
    try:
        EXTERNAL_ID.deserialize(external_id)
    except ValidationError as error:
        faults += [{"parameter": "external_id", "detail": detail} for detail in error.messages]
    if faults:
        raise Invalid(faults)
    return {**changes, "external_id": external_id}


def missing_fields(schema: StrictSchema, given: Mapping[str, Any]) -> list[dict[str, str]]:
    """A fault for each field that `schema` requires and that is not `given`."""
    return [
        {"pointer": f"/{name}", "detail": "This field is required."}
        for name, field in schema.fields.items()
        if field.required and name not in given
    ]


Changes = TypeVar("Changes", bound=Mapping[str, Any])


def without_id(row_id: int, changes: Changes) -> Changes:
    """`changes` without their `id`.

    Raises Invalid if that id is not `row_id`, the id of the resource in the address.
    """
    if changes.get("id", row_id) != row_id:
        detail = f"Must be {row_id}, the id of the resource in the address, or be left out."
        raise Invalid([{"pointer": "/id", "detail": detail}])
    return cast(Changes, {name: value for name, value in changes.items() if name != "id"})
