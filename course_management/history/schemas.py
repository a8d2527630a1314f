"""The responses of histories, and the reason that a request gives."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from course_management.history.models import MAX_REASON, SKIPPED, STATES, Why
from course_management.web.fields import Answer, Id, Moment, PageQuery, StrictSchema, Text

_one_state = validate.OneOf(STATES, error=f"Must be one of: {', '.join(STATES)}.")
_STATE = {"example": STATES[0]}


class Reason(Text):
    """An optional reason, which the history shows. A student does not see the reasons of others."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "Why, for the history.", "example": "Timetable clash"}
        super().__init__(1, MAX_REASON, allow_none=True, metadata=metadata, **kwargs)


class Explained(StrictSchema):
    """A request that may give a reason."""

    reason = Reason(load_default=None)


class ReasonOnly(Explained):
    """The body of a request that needs none."""

    optional = True


class HistoryQuery(PageQuery):
    """The query parameters of a history."""


# `from` is a keyword of Python, so this field cannot be an attribute in the body of a class.
_EventFrom = Answer.from_dict(
    {"from": fields.String(allow_none=True, validate=_one_state, metadata={"example": None})}
)


# mypy does not know a class that is made when the program runs.
class EventOut(_EventFrom):  # type: ignore[misc,valid-type]
    """An event of a history: the states before and after a change (null: no enrollment), and the
    reason.
    """

    id = Id(metadata={"example": 42})
    at = Moment()
    student_id = Id(metadata={"example": 1})
    course_id = Id(metadata={"example": 7})
    course_name = fields.String(
        allow_none=True,
        metadata={
            "description": "The name of the course; null if it was deleted by an older release.",
            "example": "Algebra",
        },
    )
    to = fields.String(allow_none=True, validate=_one_state, metadata=_STATE)
    why = fields.String(
        metadata={
            "description": f"{', '.join(Why)}. More may follow.",
            "example": "requested",
        }
    )
    reason = fields.String(
        allow_none=True,
        metadata={"description": "The `reason` of the request, if it gave one.", "example": None},
    )
    rules = fields.String(
        metadata={
            "enum": [SKIPPED],
            "description": f"`{SKIPPED}` if the request had `?rules=skip` and the course has a "
            "term; otherwise left out.",
            "example": SKIPPED,
            "sometimes": True,
        }
    )
    ticket = fields.Integer(
        allow_none=True,
        metadata={
            "format": "int64",
            "description": "The ticket of the waitlist position: the lowest is next.",
            "example": None,
        },
    )
    request_id = fields.String(
        allow_none=True,
        metadata={
            "description": "The id of the request that made the change.",
            "example": "6f1c0a52",
        },
    )
    actor = fields.String(
        allow_none=True,
        metadata={
            "description": "The sender of that request: `key:` and the name of an API key, or "
            "`oidc:` and the subject of a token; null if the service did not ask for one.",
            "example": "key:SIS sync",
        },
    )
