"""The requests and responses of terms and of their windows."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from course_management.terms.models import MAX_WINDOWS
from course_management.web.calendar_fields import Date, LocalOrMoment, TimeZone
from course_management.web.catalog_fields import Code
from course_management.web.changes import ChangeSchema
from course_management.web.fields import (
    Answer,
    Count,
    Credits,
    Group,
    Id,
    Moment,
    PageQuery,
    Sort,
    StrictSchema,
    Text,
)
from course_management.web.repeated import IdFilter

_PARENT = {"description": "The code of the whole term, for a part of a term.", "example": None}
_ZONE = {
    "description": "The IANA name of the time zone. A whole term needs one; a part has that of its "
    "whole term.",
    "example": "America/Chicago",
}
_LIMIT = "The {} of a student in the whole term; null means no limit. Not for parts."
_MIN_CREDITS = {"description": _LIMIT.format("least credits"), "example": 6}
_MAX_CREDITS = {"description": _LIMIT.format("most credits"), "example": 18.5}
_MAX_COURSES = {
    "description": _LIMIT.format("largest number of courses"),
    "example": 7,
    "minimum": 0,
}
_GROUP = {"description": "The group whose students may add courses; null means all students."}


def _deadline(what: str, day: int) -> dict[str, Any]:
    return {
        "description": f"{what} With an offset, or a local time in the time zone of the term.",
        "example": f"2026-09-{day:02}T17:00:00",
    }


class TermIn(StrictSchema):
    """A term to create, or a part of a term."""

    code = Code(required=True, metadata={"example": "2026-FALL"})
    name = Text(1, 200, required=True, metadata={"example": "Fall 2026"})
    parent = Text(1, 32, allow_none=True, metadata=_PARENT)
    starts_on = Date(required=True, metadata={"example": "2026-08-24"})
    ends_on = Date(required=True, metadata={"example": "2026-12-18"})
    time_zone = TimeZone(allow_none=True, metadata=_ZONE)
    add_until = LocalOrMoment(
        allow_none=True, metadata=_deadline("Students may add courses before it.", 4)
    )
    drop_until = LocalOrMoment(
        allow_none=True, metadata=_deadline("Students may drop courses before it.", 18)
    )
    withdraw_until = LocalOrMoment(
        allow_none=True,
        metadata=_deadline("After `drop_until`, students may withdraw before it.", 30),
    )
    min_credits = Credits(allow_none=True, metadata=_MIN_CREDITS)
    max_credits = Credits(allow_none=True, metadata=_MAX_CREDITS)
    max_courses = Count(metadata=_MAX_COURSES)


class TermInChange(ChangeSchema, TermIn):
    """A change of a term."""


class TermOut(Answer):
    """A term, or a part of a term."""

    id = Id(metadata={"example": 1})
    code = fields.String(metadata={"example": "2026-FALL"})
    name = fields.String(metadata={"example": "Fall 2026"})
    parent = fields.String(allow_none=True, metadata=_PARENT)
    starts_on = fields.Date(metadata={"example": "2026-08-24"})
    ends_on = fields.Date(metadata={"example": "2026-12-18"})
    time_zone = fields.String(allow_none=True, metadata=_ZONE)
    add_until = Moment(
        allow_none=True, metadata={"description": "Students may add courses before it."}
    )
    drop_until = Moment(
        allow_none=True, metadata={"description": "Students may drop courses before it."}
    )
    withdraw_until = Moment(
        allow_none=True,
        metadata={"description": "After `drop_until`, students may withdraw before it."},
    )
    min_credits = Credits(allow_none=True, metadata=_MIN_CREDITS)
    max_credits = Credits(allow_none=True, metadata=_MAX_CREDITS)
    max_courses = Count(metadata=_MAX_COURSES)
    created_at = Moment()
    updated_at = Moment()
    version = Id(
        metadata={"description": "Counts the edits of the term and its windows.", "example": 1}
    )


class TermQuery(PageQuery):
    """The query parameters of the list of terms."""

    id = IdFilter()
    parent = Text(
        1, 32, metadata={"description": "Only the parts of the term with this code, ignoring case."}
    )
    sort = Sort("id", "code", "starts_on")


class WindowIn(StrictSchema):
    """A window in which students may add courses of the term."""

    group = Group(allow_none=True, load_default=None, metadata=_GROUP)
    opens_at = LocalOrMoment(
        required=True,
        metadata={
            "description": "With an offset, or a local time in the time zone of the term.",
            "example": "2026-04-06T08:00:00",
        },
    )
    closes_at = LocalOrMoment(
        required=True,
        metadata={
            "description": "The window is open before this time. With an offset, or a local time.",
            "example": "2026-04-10T17:00:00",
        },
    )


class _Windows(fields.List[Any]):
    """At most MAX_WINDOWS windows."""

    def __init__(self) -> None:
        rule = f"Must be a list of at most {MAX_WINDOWS} windows."
        messages: dict[str, Any] = {
            "required": "This field is required.",
            "null": rule,
            "invalid": rule,
        }
        example = {
            "group": "standing:senior",
            "opens_at": "2026-04-06T08:00:00",
            "closes_at": "2026-04-10T17:00:00",
        }
        super().__init__(
            fields.Nested(WindowIn),
            required=True,
            error_messages=messages,
            metadata={"example": [example], "maxItems": MAX_WINDOWS},
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        # The length is checked before the items, so that no response lists thousands of faults.
        if type(value) is not list or len(value) > MAX_WINDOWS:
            raise self.make_error("invalid")
        return super()._deserialize(value, *args, **kwargs)


class WindowSet(StrictSchema):
    """The windows that replace all windows of the term."""

    windows = _Windows()


class WindowOut(Answer):
    """A window."""

    group = fields.String(allow_none=True, metadata={**_GROUP, "example": "standing:senior"})
    opens_at = Moment(metadata={"example": "2026-04-06T13:00:00Z"})
    closes_at = Moment(metadata={"example": "2026-04-10T22:00:00Z"})


class WindowsOut(Answer):
    """The windows of a term, in the order of `opens_at`, `closes_at` and `group`."""

    windows = fields.List(
        fields.Nested(WindowOut),
        metadata={
            "example": [
                {
                    "group": "standing:senior",
                    "opens_at": "2026-04-06T13:00:00Z",
                    "closes_at": "2026-04-10T22:00:00Z",
                }
            ]
        },
    )
