"""The requests and responses of enrollments."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load, validate

from course_management.courses.schemas import CourseOut, CourseQuery
from course_management.enrollments.models import ENROLLED, STATES
from course_management.enrollments.requests import EnrollmentRequest, RosterRequest
from course_management.history.models import MAX_REASON, Why
from course_management.students.schemas import StudentOut, StudentQuery
from course_management.web.fields import (
    Answer,
    Flag,
    Id,
    Ids,
    Moment,
    PageQuery,
    StrictSchema,
    Text,
    Total,
)

_one_state = validate.OneOf(STATES, error=f"Must be one of: {', '.join(STATES)}.")


_WAITLIST = {
    "description": "Join the waitlist if no seat is free; false by default.",
    "example": False,
}
_STATE = {"example": ENROLLED}


class Explained(StrictSchema):
    """An optional reason, which the history shows. A student does not see the reasons of others."""

    reason = Text(
        1,
        MAX_REASON,
        load_default=None,
        allow_none=True,
        metadata={"description": "Why, for the history.", "example": "Timetable clash"},
    )


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


class TakenQuery(CourseQuery):
    """The query parameters of the list of a student's courses."""

    state = fields.String(
        validate=_one_state, metadata={"description": "Only enrollments in this state."}
    )


class RosterQuery(StudentQuery):
    """The query parameters of a roster."""

    state = fields.String(
        validate=_one_state, metadata={"description": "Only enrollments in this state."}
    )


class HistoryQuery(PageQuery):
    """The query parameters of a history."""


class CourseIds(Waiting):
    """The courses to enroll in. Loads an EnrollmentRequest."""

    course_ids = Ids(1, 100, required=True, metadata={"example": [1, 2]})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> EnrollmentRequest:
        return EnrollmentRequest(**data)


class CourseSet(CourseIds):
    """The courses that replace all courses of the student. Loads an EnrollmentRequest."""

    course_ids = Ids(0, 100, required=True, metadata={"example": [2, 3]})


class OneCourse(Waiting):
    """The course to enroll in. Loads an EnrollmentRequest."""

    course_id = Id(required=True, metadata={"example": 1})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> EnrollmentRequest:
        return EnrollmentRequest([data["course_id"]], data["waitlist"], data["reason"])


class StudentIds(Explained):
    """The students to drop. Loads a RosterRequest."""

    student_ids = Ids(1, 1000, required=True, metadata={"example": [1, 2]})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> RosterRequest:
        return RosterRequest(**data)


class StudentIdsToEnroll(StudentIds, Waiting):
    """The students to enroll, in the order in which they get seats. Loads a RosterRequest."""


class EnrollmentOut(Standing):
    """An enrollment of one student in one course."""

    student_id = Id(metadata={"example": 1})
    course_id = Id(metadata={"example": 7})


class CourseResult(Answer):
    """The result for a course. Each id of the request is in one list, in the request's order."""

    course_id = Id(metadata={"example": 7})
    added = fields.List(
        Id(), metadata={"description": "The students with a new seat.", "example": [1]}
    )
    kept = fields.List(
        Id(),
        metadata={
            "description": "The students who had a seat before the request.",
            "example": [2],
        },
    )
    waitlisted = fields.List(
        Id(),
        metadata={
            "description": "The students on the waitlist. Only if the request has `waitlist`.",
            "example": [3],
            "sometimes": True,
        },
    )


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


class DropResult(Answer):
    """The students that a request dropped from a course, in the order of the request."""

    course_id = Id(metadata={"example": 7})
    removed = fields.List(Id(), metadata={"example": [1, 2]})


# `from` is a keyword of Python, so this field cannot be an attribute in the body of a class.
_EventFrom = Answer.from_dict(
    {"from": fields.String(allow_none=True, validate=_one_state, metadata={"example": None})}
)


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


class CourseTaken(CourseOut, Standing):
    """A course that a student takes or waits for."""


class StudentEnrolled(StudentOut, Standing):
    """A student on a course's roster."""
