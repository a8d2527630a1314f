"""The requests and responses of the registrar's acts."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from course_management.courses.refusals import STATUSES
from course_management.enrollments.rule_schemas import Warnings
from course_management.history.schemas import Explained
from course_management.registrar.requests import MoveRequest
from course_management.web.external_ids import ExternalIds, IdsOrExternalIds, NamesStudents
from course_management.web.fields import Answer, Flag, Id, Total


def _ids(description: str, example: list[int]) -> fields.List[int]:
    return fields.List(Id(), metadata={"description": description, "example": example})


def _limit(description: str, example: int) -> Total:
    return Total(allow_none=True, metadata={"description": description, "example": example})


class Move(Explained):
    """The students to move, and the course that gets them. Loads a MoveRequest."""

    to = Id(
        required=True,
        metadata={"description": "The id of the course that gets the students.", "example": 8},
    )
    student_ids = IdsOrExternalIds(
        1,
        1000,
        "student_external_ids",
        required=False,
        load_default=None,
        metadata={"example": [1, 2]},
    )
    student_external_ids = ExternalIds(1, 1000, "student_ids")
    all = Flag(
        load_default=False,
        metadata={"description": "Move everybody, instead of `student_ids`.", "example": False},
    )
    extend = Flag(
        load_default=False,
        metadata={
            "description": "Raise the capacities of the other course if they are too small.",
            "example": False,
        },
    )

    @validates_schema
    def _names_students(self, data: dict[str, Any], **_: Any) -> None:
        named = data["student_ids"] is not None or data["external_ids"] is not None
        if data["all"] == named:
            raise ValidationError('Send either `student_ids` or `"all": true`.')

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> MoveRequest:
        return MoveRequest(
            data["to"],
            data["student_ids"],
            data["extend"],
            data["reason"],
            data["external_ids"],
        )


class Reinstate(NamesStudents, Explained):
    """The students whose drop was a mistake."""


def _warnings() -> Warnings:
    return Warnings(
        "What the act breaks by the rules of registration, at most 1,000. Only if there is "
        "anything."
    )


def _warnings_count() -> Total:
    about = "How many warnings there are. Only if there are any."
    return Total(metadata={"description": about, "example": 1, "sometimes": True})


class CancelResult(Answer):
    """The students whom the cancellation took out."""

    course_id = Id(metadata={"example": 7})
    status = fields.String(metadata={"enum": list(STATUSES), "example": "cancelled"})
    removed = _ids("The students who had a seat, the oldest seat first.", [1])
    waitlisted = _ids("The students who waited, in their order.", [2])
    warnings = _warnings()
    warnings_count = _warnings_count()


class MoveResult(Answer):
    """The students who were moved. Each of them is in one list."""

    course_id = Id(metadata={"example": 7})
    to = Id(metadata={"example": 8})
    added = _ids("The students with a new seat in the other course.", [1])
    kept = _ids("The students who were in the other course already, and stay as they were.", [])
    waitlisted = _ids("The students with a new position on the waitlist of the other course.", [2])
    capacity = _limit("The capacity of the other course now.", 30)
    waitlist_capacity = _limit("Its waitlist_capacity now.", 10)
    warnings = _warnings()
    warnings_count = _warnings_count()


class ReinstateResult(Answer):
    """The students of the request. Each of them is in one list."""

    course_id = Id(metadata={"example": 7})
    added = _ids("The students who have a seat again.", [1])
    kept = _ids("The students who were in the course already.", [])
    waitlisted = _ids("The students who wait again.", [2])
    capacity = _limit("The capacity of the course now.", 31)
    waitlist_capacity = _limit("Its waitlist_capacity now.", 10)
    warnings = _warnings()
    warnings_count = _warnings_count()
