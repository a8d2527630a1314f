"""The requests and responses of completions."""

from __future__ import annotations

from marshmallow import fields, validate

from course_management.records.fields import Grade, Hundredths
from course_management.rules.facts import COURSE, KINDS
from course_management.web.changes import ChangeSchema
from course_management.web.fields import Answer, Id, Moment, PageQuery, StrictSchema, Text
from course_management.web.repeated import ExternalIdFilter, IdFilter

_CATALOG_CODE = {
    "description": "The code of a catalog entry. A completion has it or `test`.",
    "example": "CS 225",
}
_TEST = {"description": "The name of a test, instead of `catalog_code`.", "example": None}
_KIND = {"description": "`test` for a test, else another kind.", "example": COURSE}
_GRADE = {
    "description": "Only of the kinds `course`, `transfer` and `withdrawn`: a grade of the school.",
    "example": None,
}
_SCORE = {"description": "Only of a test.", "example": None}
_CREDITS = {"description": "0 by default.", "example": 3}
_TERM = {"description": "The code of the term.", "example": "2026-fall"}
_NUMBER = {
    "description": "The number of the completion in another system.",
    "example": "T-2026-0042",
}


class CompletionIn(StrictSchema):
    """A completion to create."""

    catalog_code = Text(1, 64, allow_none=True, metadata=_CATALOG_CODE)
    test = Text(1, 64, allow_none=True, metadata=_TEST)
    kind = fields.String(
        required=True,
        validate=validate.OneOf(KINDS, error=f"Must be one of: {', '.join(KINDS)}."),
        metadata=_KIND,
    )
    grade = Grade(allow_none=True, metadata=_GRADE)
    score = Hundredths(99999.99, allow_none=True, metadata=_SCORE)
    credits = Hundredths(99.99, metadata=_CREDITS)
    term = Text(1, 32, allow_none=True, metadata=_TERM)
    external_id = Text(1, 255, allow_none=True, metadata=_NUMBER)


class CompletionInChange(ChangeSchema, CompletionIn):
    """A change of a completion."""

    student_id = Id(dump_only=True, metadata={"example": 1})


class CompletionOut(Answer):
    """A completion: what a student has done, tried or begun."""

    id = Id(metadata={"example": 5})
    student_id = Id(metadata={"example": 1})
    catalog_code = fields.String(allow_none=True, metadata=_CATALOG_CODE)
    test = fields.String(allow_none=True, metadata=_TEST)
    kind = fields.String(metadata={**_KIND, "enum": list(KINDS)})
    grade = fields.String(allow_none=True, metadata=_GRADE)
    score = fields.Float(allow_none=True, metadata=_SCORE)
    credits = fields.Float(metadata={"example": 3})
    term = fields.String(allow_none=True, metadata=_TERM)
    external_id = fields.String(allow_none=True, metadata=_NUMBER)
    created_at = Moment()
    updated_at = Moment()
    version = Id(metadata={"description": "Counts the edits. The ETag contains it.", "example": 1})


class CompletionQuery(PageQuery):
    """The query parameters of a list of completions."""

    id = IdFilter()
    external_id = ExternalIdFilter()
