"""Query parameters that may be repeated: the filter finds the rows that have one of the values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from marshmallow import ValidationError, fields, validate

from course_management.db.base import MAX_ID
from course_management.web.fields import Id, Text

MAX_VALUES = 200

Value = TypeVar("Value")


class _Repeated(fields.List[Value]):
    def __init__(self, value: fields.Field[Value], about: str) -> None:
        description = f"{about} Up to {MAX_VALUES} times: rows that have one of the values."
        length = validate.Length(1, MAX_VALUES)
        super().__init__(value, validate=length, metadata={"description": description})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        # The length is checked before the values, so that no response lists thousands of faults.
        if len(value) > MAX_VALUES:
            raise ValidationError(f"Send this parameter at most {MAX_VALUES} times.")
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))


class _IdParameter(Id):
    """An id in a query."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not re.fullmatch("[0-9]{1,19}", value) or not 1 <= int(value) <= MAX_ID:
            raise ValidationError(self.RULE)
        return int(value)


class IdFilter(_Repeated[int]):
    """The filter `id=` of a list."""

    def __init__(self) -> None:
        super().__init__(_IdParameter(metadata={"format": "int64"}), "Only this id.")


class ExternalIdFilter(_Repeated[str]):
    """The filter `external_id=` of a list."""

    def __init__(self) -> None:
        super().__init__(Text(1, 255), "Only this external id.")
