"""The requests and responses of overrides."""

from __future__ import annotations

from marshmallow import fields, validate

from course_management.history.models import MAX_REASON
from course_management.records.fields import Hundredths, Time
from course_management.records.overrides.models import RULES
from course_management.web.fields import (
    Answer,
    FlagParameter,
    Id,
    Moment,
    PageQuery,
    StrictSchema,
    Text,
)

MAX_VALUE = 9999.99
_RULE = {"description": "The rule that the override lifts.", "example": "prerequisite-missing"}
_COURSE = {"description": "The id of the course for which the rule is lifted.", "example": None}
_CATALOG_CODE = {
    "description": "The code of a catalog entry, instead of `course_id`.",
    "example": "CS 225",
}
_TERM = {"description": "The code of a term, instead of `course_id`.", "example": None}
_VALUE = {
    "description": "The limit for this student: credits (at most 99.99) for `credits-exceeded` and "
    "`credits-below-minimum`, a whole number for `courses-exceeded` and `repeat-limit`. Other "
    "rules have none.",
    "example": None,
}
_REASON = {"description": "The reason. Students do not see it.", "example": "Placement test"}
_EXPIRES_AT = {
    "description": "The override ends at this time; null (the default) means that it does not.",
    "example": "2126-09-01T08:00:00Z",
}


class OverrideIn(StrictSchema):
    """An override to create. It has one of `course_id`, `catalog_code` and `term`."""

    rule = fields.String(
        required=True,
        validate=validate.OneOf(RULES, error=f"Must be one of: {', '.join(RULES)}."),
        metadata=_RULE,
    )
    course_id = Id(allow_none=True, metadata=_COURSE)
    catalog_code = Text(1, 64, allow_none=True, metadata=_CATALOG_CODE)
    term = Text(1, 32, allow_none=True, metadata=_TERM)
    value = Hundredths(MAX_VALUE, allow_none=True, metadata=_VALUE)
    reason = Text(1, MAX_REASON, required=True, metadata=_REASON)
    expires_at = Time(allow_none=True, metadata=_EXPIRES_AT)


class OverrideOut(Answer):
    """An override: it lifts one rule for one student until it is revoked, or until `expires_at`."""

    id = Id(metadata={"example": 5})
    student_id = Id(metadata={"example": 1})
    rule = fields.String(metadata=_RULE)
    course_id = Id(allow_none=True, metadata=_COURSE)
    catalog_code = fields.String(allow_none=True, metadata=_CATALOG_CODE)
    term = fields.String(allow_none=True, metadata=_TERM)
    value = fields.Float(allow_none=True, metadata=_VALUE)
    reason = fields.String(
        allow_none=True,
        metadata={
            "description": "The reason; null for students, unless they granted the override.",
            "example": "Placement test",
        },
    )
    expires_at = Moment(allow_none=True, metadata=_EXPIRES_AT)
    granted_by = fields.String(
        allow_none=True,
        metadata={
            "description": "The caller who granted it. Students do not see other callers.",
            "example": "key:SIS sync",
        },
    )
    revoked_at = Moment(
        allow_none=True,
        metadata={"description": "null while the override is not revoked.", "example": None},
    )
    revoked_by = fields.String(
        allow_none=True,
        metadata={
            "description": "The caller who revoked it. Students do not see other callers.",
            "example": None,
        },
    )
    created_at = Moment()
    updated_at = Moment()
    version = Id(metadata={"description": "Counts the edits. The ETag contains it.", "example": 1})


class OverrideQuery(PageQuery):
    """The query parameters of a list of overrides."""

    active = FlagParameter(
        metadata={
            "description": "Whether the override is neither revoked nor past its `expires_at`.",
        }
    )
