"""The marshmallow fields of what the school knows about students."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from marshmallow import ValidationError, fields

from course_management.web.fields import Text

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


class Hundredths(fields.Float):
    """A JSON number from 0 to `high` with at most two decimals. Loads the number of hundredths."""

    def __init__(self, high: float, **kwargs: Any) -> None:
        self.high = high
        rule = f"Must be a number from 0 to {high:.2f} with at most two decimals."
        metadata = {"minimum": 0, "maximum": high, **kwargs.pop("metadata", {})}
        messages: dict[str, Any] = {"invalid": rule, "null": rule}
        super().__init__(metadata=metadata, error_messages=messages, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if type(value) not in (int, float) or not 0 <= value <= self.high:
            raise self.make_error("invalid")
        hundredths: int = round(value * 100)
        if abs(value * 100 - hundredths) > 1e-6:
            raise self.make_error("invalid")
        return hundredths


class Time(fields.DateTime):
    """A time with its offset from UTC (RFC 3339), in a request. Loads a datetime in UTC."""

    RULE = "Must be a time with its offset, such as 2026-09-01T08:00:00Z."

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        if type(value) is not str or not _MOMENT.fullmatch(value):
            raise ValidationError(self.RULE)
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(self.RULE) from None


class Grade(Text):
    """One of the grades of the setting GRADES."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 10, also=[self._known], **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the field: its values, and their names for generated clients, which
        cannot tell A+ from A- otherwise.
        """
        grades = current_app.config["GRADES"].order
        nothing = [None] if self.allow_none else []
        kinds = ["string", "null"] if self.allow_none else "string"
        names = {"x-enum-varnames": _enum_names(grades)}
        return {"type": kinds, "enum": [*grades, *nothing]} | names

    @staticmethod
    def _known(value: str) -> None:
        order = current_app.config["GRADES"].order
        if value not in order:
            raise ValidationError(f"Must be one of: {', '.join(order)}.")


def _enum_names(grades: Sequence[str]) -> list[str]:
    """A different identifier for each grade, such as A_PLUS for A+."""
    names = [
        re.sub(
            r"\W", "_", grade if re.match("[A-Za-z]", grade) else f"GRADE_{grade}", flags=re.ASCII
        )
        for grade in (one.replace("+", "_PLUS").replace("-", "_MINUS") for one in grades)
    ]
    unique = len({name.upper() for name in names}) == len(names)
    return names if unique else [f"GRADE_{number}" for number in range(1, len(names) + 1)]
