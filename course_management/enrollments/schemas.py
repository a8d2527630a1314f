"""The requests and responses of enrollments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from course_management.courses.schemas import CourseOut, CourseQuery
from course_management.enrollments.models import ENROLLED
from course_management.enrollments.requests import (
    ChangeRequest,
    EnrollmentRequest,
    RosterRequest,
    RuledRequest,
)
from course_management.enrollments.rule_schemas import Warnings, rules_context
from course_management.history.models import STATES
from course_management.history.schemas import Explained, ReasonOnly
from course_management.students.schemas import StudentOut, StudentQuery
from course_management.web.catalog_fields import Code
from course_management.web.external_ids import ExternalIds, IdsOrExternalIds, NamesStudents
from course_management.web.fields import Answer, Credits, Flag, Id, Ids, Moment, StrictSchema, Total

_COURSES = "course_external_ids"
_one_state = validate.OneOf(STATES, error=f"Must be one of: {', '.join(STATES)}.")

_WAITLIST = {
    "description": "Join the waitlist if no seat is free; false by default.",
    "example": False,
}
_STATE = {"example": ENROLLED}
_CREDITS = {
    "description": "The credits, if the course has a range. null (the default) means the least, "
    "or those that the student takes already.",
    "example": None,
}
_CREDITS_TAKEN = {
    "description": "The credits that the student takes. Only for enrollments that have credits.",
    "example": 3,
    "sometimes": True,
}
_BLOCKED = {
    "description": "`true` if rules of registration block the waitlist place: promotions pass over "
    "it. Otherwise the field is left out.",
    "example": True,
    "sometimes": True,
}
_STATE_FILTER = {"description": "Only enrollments in this state."}


def _hundredths(courses: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """The chosen credits of courses, in hundredths."""
    chosen = {one["course_id"]: one.get("credits") for one in courses}
    return {i: round(number * 100) for i, number in chosen.items() if number is not None}


class DropOne(ReasonOnly):
    """The body of a request to drop one course. Loads a RuledRequest."""

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> RuledRequest:
        return RuledRequest(reason=data["reason"], context=rules_context(data["reason"]))


class Waiting(Explained):
    """Whether to accept a waitlist position if no seat is free."""

    waitlist = Flag(load_default=False, metadata=_WAITLIST)


class Standing(Answer):
    """The state of an enrollment: since when the student has a seat, or the position on the
    waitlist.
    """

    enrolled_at = Moment(
        allow_none=True,
        metadata={"description": "When the student got the seat; null on the waitlist."},
    )
    state = fields.String(validate=_one_state, metadata=_STATE)
    position = Total(
        allow_none=True,
        metadata={
            "description": "The current position on the waitlist: 1 is next; null with a seat.",
            "example": None,
        },
    )
    credits = Credits(metadata=_CREDITS_TAKEN)
    blocked = Flag(metadata=_BLOCKED)


class TakenQuery(CourseQuery):
    """The query parameters of the list of a student's courses."""

    state = fields.String(validate=_one_state, metadata=_STATE_FILTER)


class RosterQuery(StudentQuery):
    """The query parameters of a roster."""

    state = fields.String(validate=_one_state, metadata=_STATE_FILTER)


class CourseIds(Waiting):
    """The courses to enroll in. Loads an EnrollmentRequest."""

    replaces: ClassVar[bool] = False

    course_ids = IdsOrExternalIds(1, 100, _COURSES, metadata={"example": [1, 2]})
    course_external_ids = ExternalIds(1, 100, "course_ids")

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> EnrollmentRequest:
        context = rules_context(data["reason"])
        return EnrollmentRequest(**data, replaces=self.replaces, context=context)


class CourseSet(CourseIds):
    """The courses that replace courses of the student. Loads an EnrollmentRequest."""

    replaces = True

    course_ids = IdsOrExternalIds(0, 100, _COURSES, metadata={"example": [2, 3]})
    course_external_ids = ExternalIds(0, 100, "course_ids")
    term = Code(
        allow_none=True,
        metadata={
            "description": "The code of the term whose courses the request replaces. Without it, "
            "the request replaces the courses without a term, and those of the whole terms of the "
            "courses in `course_ids`.",
            "example": None,
        },
    )


class CourseToAdd(StrictSchema):
    """A course to add, and whether to accept a waitlist position in it if no seat is free."""

    course_id = Id(required=True, metadata={"example": 2})
    waitlist = Flag(load_default=False, metadata=_WAITLIST)
    credits = Credits(allow_none=True, metadata=_CREDITS)


class Changes(Explained):
    """The courses to add and to drop. Loads a ChangeRequest."""

    add = fields.List(
        fields.Nested(CourseToAdd),
        load_default=list,
        validate=validate.Length(max=100, error="Must have at most 100 courses."),
        metadata={"example": [{"course_id": 2, "waitlist": False}]},
    )
    drop = Ids(0, 100, load_default=list, metadata={"example": [1]})

    @validates_schema
    def _names_each_course_once(self, data: dict[str, Any], **_: Any) -> None:
        added = [one["course_id"] for one in data["add"]]
        if not added and not data["drop"]:
            raise ValidationError("Name a course in `add` or in `drop`.")
        faults = {
            i: {"course_id": ["Name each course only once."]}
            for i, course_id in enumerate(added)
            if course_id in added[:i] or course_id in data["drop"]
        }
        if faults:
            raise ValidationError({"add": faults})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> ChangeRequest:
        add = [one["course_id"] for one in data["add"]]
        waitlist = [one["course_id"] for one in data["add"] if one["waitlist"]]
        return ChangeRequest(
            add,
            waitlist,
            drop=data["drop"],
            reason=data["reason"],
            credits=_hundredths(data["add"]),
            context=rules_context(data["reason"]),
        )


class CourseSetOut(Answer):
    """All courses of a student: those with a seat, and those with a waitlist position."""

    student_id = Id(metadata={"example": 1})
    course_ids = fields.List(
        Id(), metadata={"description": "The courses with a seat.", "example": [2, 3]}
    )
    waitlisted = fields.List(
        Id(), metadata={"description": "The courses with a waitlist position.", "example": []}
    )


class OneCourse(Waiting):
    """The course to enroll in. Loads an EnrollmentRequest."""

    course_id = Id(required=True, metadata={"example": 1})
    credits = Credits(allow_none=True, metadata=_CREDITS)

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> EnrollmentRequest:
        return EnrollmentRequest(
            [data["course_id"]],
            data["waitlist"],
            reason=data["reason"],
            credits=_hundredths([data]),
            context=rules_context(data["reason"]),
        )


class StudentIds(NamesStudents, Explained):
    """The students to drop. Loads a RosterRequest."""

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> RosterRequest:
        return RosterRequest(**data, context=rules_context(data["reason"]))


class StudentIdsToEnroll(StudentIds, Waiting):
    """The students to enroll, in the order in which they get seats. Loads a RosterRequest."""


class EnrollmentOut(Standing):
    """An enrollment of one student in one course."""

    student_id = Id(metadata={"example": 1})
    course_id = Id(metadata={"example": 7})


class EnrollmentWritten(EnrollmentOut):
    """An enrollment that a request made or found."""

    warnings = Warnings()


class CourseResult(Answer):
    """The result for a course. Each id of the request is in one list, in the request's order."""

    course_id = Id(metadata={"example": 7})
    added = fields.List(
        Id(), metadata={"description": "The students with a new seat.", "example": [1]}
    )
    kept = fields.List(
        Id(), metadata={"description": "The students who had a seat before.", "example": [2]}
    )
    waitlisted = fields.List(
        Id(),
        metadata={
            "description": "The students on the waitlist. Only if the request has `waitlist`.",
            "example": [3],
            "sometimes": True,
        },
    )
    warnings = Warnings()


class StudentResult(Answer):
    """The result for a student. Each id of the request is in one list, in the request's order."""

    student_id = Id(metadata={"example": 1})
    added = fields.List(
        Id(), metadata={"description": "The courses with a new seat.", "example": [2]}
    )
    kept = fields.List(
        Id(),
        metadata={
            "description": "The courses in which the student had a seat before the request.",
            "example": [3],
        },
    )
    removed = fields.List(
        Id(), metadata={"description": "The courses that the request dropped.", "example": []}
    )
    waitlisted = fields.List(
        Id(),
        metadata={
            "description": "The courses on whose waitlist the student is. Only if the request has "
            "`waitlist`.",
            "example": [7],
            "sometimes": True,
        },
    )
    warnings = Warnings()


class DropResult(Answer):
    """The students that a request dropped from a course, in the order of the request."""

    course_id = Id(metadata={"example": 7})
    removed = fields.List(Id(), metadata={"example": [1, 2]})


class CourseTaken(CourseOut, Standing):
    """A course that a student takes or waits for."""


class StudentEnrolled(StudentOut, Standing):
    """A student on a course's roster."""
