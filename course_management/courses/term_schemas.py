"""The fields of a course of a term, in requests and responses."""

from __future__ import annotations

from datetime import date
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from course_management.rules.facts import WEEKDAYS
from course_management.web.calendar_fields import Date, TimeOfDay
from course_management.web.catalog_fields import Code, Expression
from course_management.web.fields import Answer, Credits, StrictSchema, Text

CONSENTS = ("instructor", "department")
MAX_MEETINGS = 50
_COMPONENT = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_ANSWERS = {"sometimes": True}
# Examples of requests have no term: /docs fills them in, and the term may not exist.
_NONE = {"example": None}

_TERM = {"description": "The code of the term to which the course belongs.", "example": "2026-FALL"}
_CATALOG = {
    "description": "The code of the catalog entry that the course teaches.",
    "example": "CS 225",
}
_PART = {
    "description": "The part of the entry, such as `lecture` or `lab`. A student may take each "
    "part of an entry once.",
    "example": "lecture",
}
_MEETINGS = {
    "description": "When and where the course meets, in the time zone of the term. Without any, "
    "its times are arranged with the students.",
    "example": [
        {
            "days": ["mon", "wed"],
            "starts": "09:30",
            "ends": "10:45",
            "first_on": None,
            "last_on": None,
            "location": "Hall 5",
        }
    ],
}
_DAYS = {
    "description": "The weekdays. A meeting that goes past midnight begins on them.",
    "example": ["mon", "wed"],
}
_STARTS = {"description": "When it begins, in local time.", "example": "09:30"}
_ENDS = {
    "description": "When it ends, in local time. If this is not after `starts`, it ends on the "
    "next day.",
    "example": "10:45",
}
_FIRST = {
    "description": "The first date on which it may take place; null means the first day of the "
    "term.",
    "example": None,
}
_LAST = {
    "description": "The last date on which it may begin; null means the last day of the term.",
    "example": None,
}
_LOCATION = {"description": "Where it takes place.", "example": "Hall 5"}
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


class Days(fields.List[str]):
    """Weekdays, each once, in the order of the week."""

    RULE = f"Must be a list of weekdays, each once: {', '.join(WEEKDAYS)}."

    def __init__(self, **kwargs: Any) -> None:
        one = fields.String(validate=validate.OneOf(WEEKDAYS))
        super().__init__(one, validate=validate.Length(1, 7), **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """The part of the JSON Schema that the base class does not know."""
        return {"uniqueItems": True}

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

    days = Days(required=True, metadata=_DAYS)
    starts = TimeOfDay(required=True, metadata=_STARTS)
    ends = TimeOfDay(required=True, metadata=_ENDS)
    first_on = Date(load_default=None, allow_none=True, metadata=_FIRST)
    last_on = Date(load_default=None, allow_none=True, metadata=_LAST)
    location = Text(1, 100, load_default=None, allow_none=True, metadata=_LOCATION)

    @validates_schema
    def _lasts(self, data: dict[str, Any], **_: Any) -> None:
        if data["starts"] == data["ends"]:
            raise ValidationError({"ends": ["Must differ from starts."]})
        first, last = data.get("first_on"), data.get("last_on")
        if first and last and last < first:
            raise ValidationError({"last_on": ["Must not be before first_on."]})

    @post_load
    def _as_json(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The meeting as it is stored: dates as text."""
        return {n: v.isoformat() if isinstance(v, date) else v for n, v in data.items()}


class TermFieldsIn(Schema):
    """What a request may set in a course of a term."""

    term = Code(allow_none=True, metadata=_TERM | _NONE)
    catalog_code = Code(allow_none=True, metadata=_CATALOG | _NONE)
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
        metadata={**_PART, **_NONE, "pattern": rf"^\s*{_COMPONENT}\s*$"},
    )
    credits_min = Credits(
        allow_none=True,
        metadata={
            "description": "The least number of credits. By default that of the entry.",
            "example": None,
        },
    )
    credits_max = Credits(
        allow_none=True,
        metadata={
            "description": "The largest number of credits. By default `credits_min`, if the "
            "course has one, or else that of the entry.",
            "example": None,
        },
    )
    meetings = fields.List(
        fields.Nested(Meeting),
        allow_none=True,
        validate=validate.Length(max=MAX_MEETINGS, error=f"Must have at most {MAX_MEETINGS}."),
        metadata=_MEETINGS | _NONE,
    )
    open_to = Expression(only_groups=True, metadata=_OPEN_TO | _NONE)
    consent = fields.String(
        allow_none=True,
        validate=validate.OneOf(CONSENTS, error="Must be instructor, department or null."),
        metadata=_CONSENT | _NONE,
    )
    contact = Text(1, 200, allow_none=True, metadata=_CONTACT | _NONE)


class MeetingOut(Answer):
    """Weekly hours of a course."""

    days = fields.List(fields.String(metadata={"enum": list(WEEKDAYS)}), metadata=_DAYS)
    starts = fields.String(metadata=_STARTS)
    ends = fields.String(metadata=_ENDS)
    first_on = fields.Date(allow_none=True, metadata=_FIRST)
    last_on = fields.Date(allow_none=True, metadata=_LAST)
    location = fields.String(allow_none=True, metadata=_LOCATION)


class TermFieldsOut(Answer):
    """The fields of a course of a term. Those that are not set are left out."""

    term = fields.String(metadata=_TERM | _ANSWERS)
    catalog_code = fields.String(metadata=_CATALOG | _ANSWERS)
    component = fields.String(metadata=_PART | _ANSWERS)
    credits_min = Credits(metadata=_ANSWERS | {"example": 3})
    credits_max = Credits(metadata=_ANSWERS | {"example": 4})
    meetings = fields.List(fields.Nested(MeetingOut), metadata=_MEETINGS | _ANSWERS)
    open_to = fields.Dict(metadata=_OPEN_TO | _ANSWERS)
    consent = fields.String(metadata=_CONSENT | _ANSWERS | {"enum": list(CONSENTS)})
    contact = fields.String(metadata=_CONTACT | _ANSWERS)
