"""The marshmallow fields of this service. They check types strictly. They trim and NFC-normalise
texts (core/text.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from flask import current_app
from marshmallow import Schema, ValidationError, fields, validate
from marshmallow.constants import EXCLUDE, RAISE

from course_management.core import text
from course_management.db.base import MAX_ID
from course_management.db.keyset import DEFAULT_LIMIT, MAX_LIMIT


class StrictSchema(Schema):
    """A base class for schemas of requests. An unknown field is a fault.

    A request whose schema is `optional` may have no body, which is an empty object.
    """

    optional: ClassVar[bool] = False

    class Meta:
        unknown = RAISE

    error_messages: dict[str, Any] = {
        "type": "Send a JSON object.",
        "unknown": "Unknown field.",
    }


class Answer(Schema):
    """A base class for schemas of responses.

    Every response has every field, except fields with `sometimes` in their metadata. Later
    releases may add fields.
    """

    class Meta:
        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Mark the fields that every response has as required in OpenAPI."""
        field_obj.required = not field_obj.metadata.get("sometimes", False)


CONTROLS = r"\x00-\x1f\x7f-\x9f"
# Regular expressions for OpenAPI that mean the same in every language. White space at both ends is
# trimmed, so it may contain control characters.
TEXT = rf"^\s*[^\s{CONTROLS}][^{CONTROLS}]*\s*$"
CURSOR = "^[A-Za-z0-9_-]+$"


class Text(fields.String):
    """A visible text of `low` to `high` characters, without control characters.

    Characters are counted after trimming and NFC normalisation. `also` is a list of further
    validators.
    """

    default_error_messages: dict[str, Any] = {
        "invalid": "Must be a text.",
        "required": "This field is required.",
        "null": "May not be null.",
        "control": "Must not contain control characters.",
        "blank": "Must not be blank.",
    }

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        self._length = f"Must have {low} to {high} characters."
        super().__init__(
            validate=[validate.Length(low, high, error=self._length), *kwargs.pop("also", ())],
            **kwargs,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if type(value) is not str:
            raise self.make_error("invalid")
        try:
            cleaned = text.clean(value)
        except text.TooLong:
            raise ValidationError(self._length) from None
        except text.TooManyMarks as error:
            raise ValidationError(str(error)) from None
        if text.is_blank(cleaned):
            raise self.make_error("blank")
        if text.has_control(cleaned):
            raise self.make_error("control")
        return cleaned


class Id(fields.Integer):
    """A whole JSON number from 1 to 2^63-1.

    `3.0` is a whole number (JSON Schema 2020-12, section 6.1.1); `true`, `"3"` and `3.5` are not.
    """

    RULE = "Must be a whole number from 1 to 9223372036854775807."
    default_error_messages: dict[str, Any] = {
        "invalid": RULE,
        "required": "This field is required.",
        "null": RULE,
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(1, MAX_ID, error=self.RULE), **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        number = whole(value)
        if number is None:
            raise self.make_error("invalid")
        return number


def whole(value: object) -> int | None:
    """The integer that a JSON number represents, or None.

    Returns None for values that are not whole numbers, and for floats above 2^53, which may have
    been rounded.
    """
    if type(value) is int:
        return value
    return (
        int(value) if type(value) is float and value.is_integer() and abs(value) <= 2**53 else None
    )


class Moment(fields.DateTime):
    """A time in UTC, in a response."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"example": "2026-09-01T08:00:00.000000Z", **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)


class Total(fields.Integer):
    """A count, in a response."""


class Ids(fields.List[int]):
    """A list of `low` to `high` ids. Repeated ids are removed; the order is kept."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        self.low, self.high = low, high
        messages: dict[str, Any] = {
            "invalid": "Must be a list of ids.",
            "required": "This field is required.",
            "null": "Must be a list of ids.",
        }
        super().__init__(
            Id(), validate=validate.Length(low, high), error_messages=messages, **kwargs
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if type(value) is not list:
            raise self.make_error("invalid")
        # The length is checked before the items, so that no response lists a million faults.
        if not self.low <= len(value) <= self.high:
            raise ValidationError(f"Must have {self.low} to {self.high} ids, not {len(value)}.")
        numbers = [whole(item) for item in value]
        faults = {i: [Id.RULE] for i, n in enumerate(numbers) if n is None or not 1 <= n <= MAX_ID}
        if faults:
            raise ValidationError(faults)
        return list(dict.fromkeys(n for n in numbers if n is not None))


class Level(Text):
    """The level of a course: one of COURSE_LEVELS, if that is set, or any text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 50, also=[self._known], **kwargs)

    @staticmethod
    def _known(value: str) -> None:
        levels = current_app.config["COURSE_LEVELS"]
        if levels and value not in levels:
            raise ValidationError(f"Must be one of: {', '.join(levels)}.")


class Group(Text):
    """The name of a group of students: a lower-case word, or two that a colon separates."""

    _WORD = "[a-z0-9][a-z0-9._-]*"
    RULE = "Must be lower-case letters, digits and . _ - such as program:cs."

    def __init__(self, **kwargs: Any) -> None:
        name = f"{self._WORD}(:{self._WORD})?"
        known = {"pattern": rf"^\s*{name}\s*$", "example": "program:cs"}
        metadata = known | kwargs.pop("metadata", {})
        rule = validate.Regexp(rf"{name}\Z", error=self.RULE)
        super().__init__(1, 64, also=[rule], metadata=metadata, **kwargs)


class Credits(fields.Float):
    """A JSON number from 0 to 99.99 with at most two decimals. Whole numbers load as `int`."""

    RULE = "Must be a number from 0 to 99.99."
    DECIMALS = "Must have at most two decimals."

    def __init__(self, **kwargs: Any) -> None:
        messages: dict[str, Any] = {"required": "This field is required.", "null": self.RULE}
        limits = validate.Range(0, 99.99, error=self.RULE)
        super().__init__(validate=limits, error_messages=messages, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if type(value) not in (int, float):
            raise ValidationError(self.RULE)
        if 0 <= value <= 99.99 and round(value, 2) != value:
            raise ValidationError(self.DECIMALS)
        return int(value) if value == int(value) else float(value)


class Count(fields.Integer):
    """A whole JSON number from 0 to 2^31-1, or null for no limit."""

    RULE = "Must be a whole number from 0 to 2147483647, or null for no limit."

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            validate=validate.Range(0, 2**31 - 1, error=self.RULE), allow_none=True, **kwargs
        )

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = whole(value)
        if number is None:
            raise ValidationError(self.RULE)
        return number


class Flag(fields.Boolean):
    """A JSON `true` or `false`."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError("Must be true or false.")
        return value


class FlagParameter(fields.Boolean):
    """`true` or `false` in a query."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if value not in ("true", "false"):
            raise ValidationError("Must be true or false.")
        return bool(value == "true")


class Limit(fields.Integer):
    """The largest number of items on a page, in a query."""

    def __init__(self, most: int = MAX_LIMIT) -> None:
        self.most = most
        metadata = {"default": DEFAULT_LIMIT, "format": "int32"}
        rule = validate.Range(1, most)
        super().__init__(load_default=DEFAULT_LIMIT, metadata=metadata, validate=rule)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not re.fullmatch("[0-9]{1,4}", value) or not 1 <= int(value) <= self.most:
            raise ValidationError(f"Must be a whole number from 1 to {self.most}.")
        return int(value)


class Sort(fields.String):
    """The field by which a list is sorted, in a query; a minus before it means descending."""

    def __init__(self, *names: str) -> None:
        choices = [sign + name for name in names for sign in ("", "-")]
        # Names for generated clients: ID and ID_DESCENDING instead of VALUE_0 and VALUE_1.
        labels = [name.upper() + end for name in names for end in ("", "_DESCENDING")]
        described = {"default": "id", "x-enum-varnames": labels}
        rule = validate.OneOf(choices, error=f"Must be one of: {', '.join(choices)}.")
        super().__init__(load_default="id", metadata=described, validate=rule)


class PageQuery(StrictSchema):
    """The query parameters of every list."""

    limit = Limit()
    cursor = fields.String(
        metadata={
            "description": "The start of the page. Take it from the `Link` of the previous page.",
            "minLength": 1,
            "pattern": CURSOR,
        }
    )
