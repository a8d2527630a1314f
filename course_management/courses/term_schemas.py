"""The fields of a course of a term, in requests and responses."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from course_management.web.catalog_fields import Code, Expression
from course_management.web.fields import Answer, Credits, StrictSchema, Text

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CONSENTS = ("instructor", "department")
MAX_MEETINGS = 50
_COMPONENT = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_ANSWERS = {"sometimes": True}

_TERM = {"description": "The code of the term to which the course belongs.", "example": "2026-FA"}
_CATALOG = {"description": "The code of the catalog entry that the course teaches."}
_PART = {
    "description": "The part of the entry, such as `lecture` or `lab`. A student may take each "
    "part of an entry once.",
    "example": "lecture",
}
_MEETINGS = {
    "description": "When and where the course meets, in the time zone of the term. Without any, "
    "its times are arranged with the students."
}
_OPEN_TO = {
    "description": "The groups whose students may add the course, in the notation of "
    "docs/rules.md.",
    "example": {"any": [{"group": "program:cs"}, {"group": "standing:senior"}]},
}
_CONSENT = {
    "description": "Whose consent a student needs. An override records it.",
    "enum": [*CONSENTS, None],
    "example": "instructor",
}
_CONTACT = {"description": "Whom students ask about the course.", "example": "CS advising"}


class TimeOfDay(fields.String):
    """A time such as 09:30, from 00:00 to 23:59."""

    RULE = "Must be a time such as 09:30."

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise ValidationError(self.RULE)
        return value


class Day(fields.Date):
    """A date such as 2026-09-01, or null. It is kept as text, because it is stored as JSON."""

    RULE = "Must be a date such as 2026-09-01, or null."

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            if type(value) is not str or len(value) != 10:
                raise ValueError
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise ValidationError(self.RULE) from None


class Days(fields.List[str]):
    """Weekdays, each once, in the order of the week."""

    RULE = f"Must be a list of weekdays, each once: {', '.join(WEEKDAYS)}."

    def __init__(self, **kwargs: Any) -> None:
        one = fields.String(validate=validate.OneOf(WEEKDAYS))
        super().__init__(one, validate=validate.Length(1, 7), **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[Any]:
        if type(value) is not list or not all(type(day) is str for day in value):
            raise ValidationError(self.RULE)
        if not value or not set(value) <= set(WEEKDAYS) or len(set(value)) < len(value):
            raise ValidationError(self.RULE)
        return sorted(value, key=WEEKDAYS.index)


class Meeting(StrictSchema):
    """Weekly hours of a course. If `ends` is not after `starts`, the meeting ends on the next day.
    Without dates it takes place during the whole term, or the part of the term.
    """

    days = Days(required=True, metadata={"example": ["mon", "wed"]})
    starts = TimeOfDay(required=True, metadata={"example": "09:30"})
    ends = TimeOfDay(required=True, metadata={"example": "10:45"})
    first_on = Day(load_default=None, allow_none=True, metadata={"example": None})
    last_on = Day(load_default=None, allow_none=True, metadata={"example": None})
    location = Text(1, 100, load_default=None, allow_none=True, metadata={"example": "Hall 5"})

    @validates_schema
    def _lasts(self, data: dict[str, Any], **_: Any) -> None:
        if data["starts"] == data["ends"]:
            raise ValidationError({"ends": ["Must differ from starts."]})
        first, last = data.get("first_on"), data.get("last_on")
        if first and last and last < first:
            raise ValidationError({"last_on": ["Must not be before first_on."]})


class TermFieldsIn(Schema):
    """What a request may set in a course of a term."""

    term = Code(allow_none=True, metadata=_TERM)
    catalog_code = Code(allow_none=True, metadata={**_CATALOG, "example": "CS 225"})
    component = Text(
        1,
        32,
        also=[
            validate.Regexp(
                rf"{_COMPONENT}\Z",
                error="Must be lower-case words with hyphens between them, such as lecture.",
            )
        ],
        allow_none=True,
        metadata={**_PART, "pattern": rf"^\s*{_COMPONENT}\s*$"},
    )
    credits_min = Credits(
        allow_none=True,
        metadata={
            "description": "The least number of credits. By default that of the entry.",
            "example": 3,
        },
    )
    credits_max = Credits(
        allow_none=True,
        metadata={
            "description": "The largest number of credits. By default `credits_min`, if the "
            "course has one, or else that of the entry.",
            "example": 4,
        },
    )
    meetings = fields.List(
        fields.Nested(Meeting),
        allow_none=True,
        validate=validate.Length(max=MAX_MEETINGS, error=f"Must have at most {MAX_MEETINGS}."),
        metadata=_MEETINGS,
    )
    open_to = Expression(only_groups=True, metadata=_OPEN_TO)
    consent = fields.String(
        allow_none=True,
        validate=validate.OneOf(CONSENTS, error="Must be instructor, department or null."),
        metadata=_CONSENT,
    )
    contact = Text(1, 200, allow_none=True, metadata=_CONTACT)


class MeetingOut(Answer):
    """Weekly hours of a course."""

    days = fields.List(fields.String(), metadata={"example": ["mon", "wed"]})
    starts = fields.String(metadata={"example": "09:30"})
    ends = fields.String(metadata={"example": "10:45"})
    first_on = fields.Date(allow_none=True, metadata={"example": None})
    last_on = fields.Date(allow_none=True, metadata={"example": None})
    location = fields.String(allow_none=True, metadata={"example": "Hall 5"})


class TermFieldsOut(Answer):
    """The fields of a course of a term. Those that are not set are left out."""

    term = fields.String(metadata=_TERM | _ANSWERS)
    catalog_code = fields.String(metadata=_CATALOG | _ANSWERS | {"example": "CS 225"})
    component = fields.String(metadata=_PART | _ANSWERS)
    credits_min = Credits(metadata=_ANSWERS | {"example": 3})
    credits_max = Credits(metadata=_ANSWERS | {"example": 4})
    meetings = fields.List(fields.Nested(MeetingOut), metadata=_MEETINGS | _ANSWERS)
    open_to = fields.Dict(metadata=_OPEN_TO | _ANSWERS)
    consent = fields.String(metadata=_CONSENT | _ANSWERS | {"enum": list(CONSENTS)})
    contact = fields.String(metadata=_CONTACT | _ANSWERS)
