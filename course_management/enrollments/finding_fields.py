"""The marshmallow fields for findings of the rules of registration."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from course_management.core.problem_fields import list_of
from course_management.enrollments.refusals import FINDING


class Findings(fields.List[Any]):
    """A list of findings, in a response: what rules say about courses and students."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.Dict(), **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the list: the findings have the form of those in a refusal."""
        return list_of(*FINDING, **FINDING)


class Warnings(Findings):
    """The findings that a response warns about. They are left out if there are none."""

    def __init__(self) -> None:
        about = "What the rules of registration could not decide. Only if there is anything."
        super().__init__(metadata={"description": about, "sometimes": True, "example": []})
