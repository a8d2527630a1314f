"""The requests and responses of groups."""

from __future__ import annotations

from marshmallow import fields

from course_management.web.external_ids import NamesStudents
from course_management.web.fields import Answer, Id


class GroupMembers(NamesStudents):
    """The students to add to a group, or to remove from it."""


class GroupResult(Answer):
    """The students of the request, in its order. Each of them is in one list."""

    group = fields.String(metadata={"example": "program:cs"})
    changed = fields.List(
        Id(), metadata={"description": "The students who were added or removed.", "example": [1]}
    )
    unchanged = fields.List(
        Id(),
        metadata={
            "description": "The students who were in the group already, or not in it.",
            "example": [2],
        },
    )
