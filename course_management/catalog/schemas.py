"""The requests and responses of the catalog."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from course_management.catalog.models import RELATIONS
from course_management.core import text
from course_management.web.catalog_fields import Code, Expression
from course_management.web.changes import ChangeSchema
from course_management.web.fields import (
    Answer,
    Credits,
    Id,
    Moment,
    PageQuery,
    Sort,
    StrictSchema,
    Text,
    Total,
    whole,
)
from course_management.web.repeated import IdFilter

MAX_CODES = 50
_CODE = {"description": "The code, such as a subject and a number.", "example": "CS 225"}
_TITLE = {"example": "Data Structures"}
_PREREQUISITES = {
    "description": "The condition that a student must meet: see docs/rules.md. null means none.",
    "example": {"course": "CS 173", "min_grade": "C"},
}
_CODES = {
    "excludes": {
        "description": "The codes of entries that a student cannot take besides this one. The "
        "relation is symmetric, whichever entry names it.",
        "example": ["CS 277"],
    },
    "same_as": {
        "description": "The codes of entries that count as this one. The relation is symmetric, "
        "whichever entry names it.",
        "example": ["ECE 225"],
    },
}
_ATTEMPTS = {
    "description": "How often a student may take the entry; null means any number of times.",
    "example": None,
}
_LEAST = {"description": "The least number of credits.", "example": 4}
_MOST = {"description": "The largest number of credits.", "example": 4}


class Codes(fields.List[str]):
    """A list of codes of catalog entries, which may not exist yet."""

    def __init__(self, name: str) -> None:
        super().__init__(
            Code(),
            validate=validate.Length(max=MAX_CODES, error=f"Must have at most {MAX_CODES} codes."),
            metadata=_CODES[name],
        )


class Attempts(fields.Integer):
    """A whole JSON number from 1 to 99, or null."""

    RULE = "Must be a whole number from 1 to 99, or null."

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_none=True, validate=validate.Range(1, 99, error=self.RULE), **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = whole(value)
        if number is None:
            raise ValidationError(self.RULE)
        return number


class CatalogIn(StrictSchema):
    """A catalog entry to create."""

    code = Code(required=True, metadata=_CODE)
    title = Text(1, 200, required=True, metadata=_TITLE)
    credits_min = Credits(required=True, metadata=_LEAST)
    credits_max = Credits(
        metadata={**_MOST, "description": f"{_MOST['description']} By default `credits_min`."}
    )
    prerequisites = Expression(metadata=_PREREQUISITES)
    excludes = Codes("excludes")
    same_as = Codes("same_as")
    max_attempts = Attempts(metadata=_ATTEMPTS)

    @validates_schema
    def _names_others(self, data: dict[str, Any], **_: Any) -> None:
        if "code" in data:
            own = text.key(data["code"])
            faults = {
                name: {i: ["An entry cannot name itself."]}
                for name in RELATIONS
                for i, code in enumerate(data.get(name, ()))
                if text.key(code) == own
            }
            if faults:
                raise ValidationError(faults)


class CatalogInChange(ChangeSchema, CatalogIn):
    """A change of a catalog entry."""

    warnings = fields.List(fields.String(), dump_only=True, metadata={"example": []})


class CatalogOut(Answer):
    """A catalog entry."""

    id = Id(metadata={"example": 1})
    code = fields.String(metadata=_CODE)
    title = fields.String(metadata=_TITLE)
    credits_min = Credits(metadata=_LEAST)
    credits_max = Credits(metadata=_MOST)
    prerequisites = fields.Dict(allow_none=True, metadata=_PREREQUISITES)
    excludes = fields.List(fields.String(), metadata=_CODES["excludes"])
    same_as = fields.List(fields.String(), metadata=_CODES["same_as"])
    max_attempts = Total(allow_none=True, metadata=_ATTEMPTS)
    created_at = Moment()
    updated_at = Moment()
    version = Id(metadata={"description": "Counts the edits. The ETag contains it.", "example": 1})


class CatalogWritten(CatalogOut):
    """A catalog entry that a request created or changed."""

    warnings = fields.List(
        fields.String(),
        metadata={
            "description": "What may be a mistake: codes that no entry has, grades that the school "
            "does not have, and prerequisites in a circle. Only if there are any.",
            "example": ["No catalog entry has the code CS 173."],
            "sometimes": True,
        },
    )


class CatalogQuery(PageQuery):
    """The query parameters of the list of the catalog."""

    id = IdFilter()
    code = Text(1, 32, metadata={"description": "Only the entry with this code, ignoring case."})
    q = Text(
        1,
        200,
        metadata={"description": "A part of the title, or the beginning of the code."},
    )
    sort = Sort("id", "code", "title", "created_at")
