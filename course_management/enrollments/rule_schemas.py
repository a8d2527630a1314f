"""What requests and responses say about the rules of registration."""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import ValidationError, fields

from course_management.enrollments.requests import RulesContext
from course_management.web import rules_query
from course_management.web.fields import Answer, Flag, Id
from course_management.web.request_context import began_at


def rules_context(reason: str | None = None) -> RulesContext:
    """The moment at which the head of the request was read, the settings of the rules, and whether
    the request skips them.

    Raises ScopeMissing if the principal may not skip them, and ValidationError if they are skipped
    without a reason.
    """
    skip = rules_query.skips_rules()
    if skip and not reason:
        raise ValidationError({"reason": ["Say why the rules are skipped."]})
    return RulesContext(began_at(), current_app.config["RULES"], skip)


WARNING = {
    "rule": "prerequisite-missing",
    "student_id": 1,
    "course_id": 7,
    "detail": "Nobody has checked this condition of CS 499: “consent of the head”.",
    "remedy": "Check it by hand.",
    "overridable": True,
    "facts": {"moment": "2026-08-24T13:00:00Z"},
}


class FindingOut(Answer):
    """A rule that is broken, or a warning."""

    rule = fields.String(metadata={"example": "time-conflict"})
    student_id = Id(metadata={"example": 1})
    course_id = Id(allow_none=True, metadata={"example": 7})
    detail = fields.String(metadata={"example": "Course 7 meets at the same time as course 9."})
    remedy = fields.String(metadata={"example": "Choose another section of one of the courses."})
    overridable = Flag(
        metadata={"description": "Whether an override can lift the rule.", "example": True}
    )
    facts = fields.Dict(
        metadata={
            "description": "The numbers, codes and times that the rule compared.",
            "example": {"moment": "2026-08-24T13:00:00Z"},
        }
    )


class Warnings(fields.List[Any]):
    """The findings that a response warns about. The field is left out if there are none."""

    def __init__(
        self,
        about: str = "What the rules of registration could not decide. Only if there is anything.",
    ) -> None:
        metadata = {"description": about, "sometimes": True, "example": [WARNING]}
        super().__init__(fields.Nested(FindingOut), metadata=metadata)
