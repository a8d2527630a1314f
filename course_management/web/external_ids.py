"""The fields of bodies that name students or courses by their ids, or instead by their external
ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import g
from marshmallow import ValidationError, fields, missing, validate

from course_management.db.base import Reader
from course_management.web.fields import Ids, StrictSchema, Text

Find = Callable[[Reader, Sequence[str]], list[int]]


class IdsOrExternalIds(Ids):
    """A list of ids that may be left out if the body has the list `instead`, of external ids.

    With `required`, the body must have one of the two lists. It cannot have both.
    """

    def __init__(
        self, low: int, high: int, instead: str, *, required: bool = True, **kwargs: Any
    ) -> None:
        self.instead, self.one_required = instead, required
        super().__init__(low, high, **kwargs)

    def deserialize(
        self,
        value: Any,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The ids, if the body has them. Raises ValidationError."""
        other = None if data is None else data.get(self.instead)
        if value is missing and other is None and self.one_required:
            raise ValidationError("This field is required.")
        if value is not missing and other is not None:
            raise ValidationError(f"Send either `{attr}` or `{self.instead}`.")
        return super().deserialize(value, attr, data, **kwargs)


class ExternalIds(fields.List[str]):
    """A list of `low` to `high` external ids, or null. Repeated ones are removed; the order is
    kept. It loads as `external_ids`.
    """

    def __init__(self, low: int, high: int, instead_of: str) -> None:
        self.low, self.high = low, high
        super().__init__(
            Text(1, 255),
            load_default=None,
            allow_none=True,
            attribute="external_ids",
            validate=validate.Length(low, high),
            error_messages={"invalid": "Must be a list of external ids."},
            metadata={"description": f"Instead of `{instead_of}`.", "example": None},
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if type(value) is not list:
            raise self.make_error("invalid")
        # The length is checked before the items, so that no response lists a million faults.
        if not self.low <= len(value) <= self.high:
            raise ValidationError(f"Must have {self.low} to {self.high} ids, not {len(value)}.")
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))


class NamesStudents(StrictSchema):
    """A body that names students: 1 to 1,000 ids, or as many external ids."""

    student_ids = IdsOrExternalIds(1, 1000, "student_external_ids", metadata={"example": [1, 2]})
    student_external_ids = ExternalIds(1, 1000, "student_ids")


def resolve(reader: Reader, find: Find, external_ids: Sequence[str]) -> list[int]:
    """The ids of the rows with these external ids, in the same order. `find` reads them, and raises
    an error with those that are missing.
    """
    found = find(reader, external_ids)
    g.places = {row_id: place for place, row_id in enumerate(found)}
    return found


def place_of(row_id: int) -> int:
    """The place of a row in the list of external ids that `resolve` has resolved."""
    return int(g.places[row_id])


def chosen_ids(reader: Reader, find: Find, request: dict[str, Any], name: str) -> list[int]:
    """The ids that a request names: those of its list `name`, or those of its `external_ids`."""
    external_ids = request["external_ids"]
    ids: list[int] = request[name] if external_ids is None else resolve(reader, find, external_ids)
    return ids
